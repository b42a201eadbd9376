"""Files of the lab: written only when they change, deleted only when they are its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.lab import bringup, cgroups, files, images, mounts, state, teardown
from tasks.lib.lab.layout import Home

MOUNTS = """/dev/vda / ext4 rw 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
overlay /lab/run/a overlay rw 0 0
tmpfs /lab/run/a/b\\040c tmpfs rw 0 0
tmpfs /labyrinth tmpfs rw 0 0
"""


def test_an_unchanged_file_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config"
    files.put(file, "one", 0o600)
    before = file.stat()
    files.put(file, "one")
    assert file.stat().st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o600
    files.put(file, "two")
    assert file.read_text() == "two"
    assert [path.name for path in file.parent.iterdir()] == ["config"]


def test_mounts_below_a_folder_deepest_first() -> None:
    assert mounts.below(Path("/lab"), MOUNTS) == [Path("/lab/run/a/b c"), Path("/lab/run/a")]


def test_hierarchies_of_both_versions() -> None:
    assert cgroups.hierarchies(MOUNTS) == [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup/unified")]


def test_two_homes_have_two_control_groups() -> None:
    assert Home(Path("/a")).cgroup != Home(Path("/b")).cgroup


def test_delete_keeps_what_is_not_the_labs(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for folder in home.folders():
        folder.mkdir(parents=True)
    (home.data / "etcd").mkdir()
    state.remember(home, ready=True)
    mine = home.root / "thesis.txt"
    mine.write_text("mine")
    teardown.delete(home)
    assert [path.name for path in home.root.iterdir()] == ["thesis.txt"]
    mine.unlink()
    teardown.delete(home)
    assert not home.root.exists()
    teardown.delete(home)


def test_state_survives_damage_and_keeps_what_it_was_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path))
    assert state.find() is None
    state.remember(home, settings={"a": "1"})
    state.remember(home, ready=True, parts=["etcd"])
    assert state.read(home) == {"settings": {"a": "1"}, "ready": True, "parts": ["etcd"]}
    assert state.find() is None  # etcd does not run
    home.state_file.write_text("{")
    assert state.read(home) == {}


def test_an_archive_is_another_one_when_a_program_changes(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("one")
    before = images.key([program], "name")
    assert images.key([program], "name") == before
    program.write_text("two!")
    assert images.key([program], "name") != before


def test_only_lab_up_itself_replaces_what_another_version_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    running = state.describe(home)
    monkeypatch.setattr(bringup.state, "find", lambda: running)
    monkeypatch.setattr(bringup.health, "answers", lambda _c, _home: True)
    state.remember(home, recipe="of another version")
    assert bringup._running(Context(), home, upgrade=False) == running
    assert bringup._running(Context(), home, upgrade=True) is None
    state.remember(home, recipe=bringup.recipe())
    assert bringup._running(Context(), home, upgrade=True) == running
