"""What `doctor` says about a machine, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from tasks import doctor as task
from tasks.lib import doctor
from tasks.lib.errors import Code, Stop
from tasks.lib.tools import find, pins
from tests.lib.own_tools import OwnTools, own

__all__ = ["own"]

SYSTEM = "- {name: nowhere, how: path, group: system, install: apt-get install nowhere, needed_for: tests}\n"
DEB = "- {name: engine, how: deb, group: lab-engine, package: engine.io, needed_for: tests}\n"
WHEEL = "- {name: wheel, how: pypi, group: wheel, version: 1.0.0, file: wheel, refused: ['0.9'], needed_for: tests}\n"


GO = "- {name: quick, how: go, group: mine, version: 1.0.0, module: mine, package: ./quick, needed_for: tests}\n"


@pytest.fixture
def c() -> Context:
    return Context(Config(overrides={"run": {"in_stream": False}}))


def needs(c: Context) -> dict[str, doctor.Need]:
    return {need.need: need for need in doctor.needs(c, lab=False)}


def test_missing_program_ends_with_exit_4_and_the_line_that_fixes_it(own: OwnTools, c: Context) -> None:
    own.pins(SYSTEM)
    with pytest.raises(Stop, match="missing: nowhere") as stopped:
        task.doctor(c, lab=False)
    assert stopped.value.code == Code.COULD_NOT_RUN
    assert stopped.value.fix == "apt-get install nowhere"


def test_what_can_be_installed_is_later_and_no_failure(
    own: OwnTools, c: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    (own.folder / "wheel").mkdir()
    (own.folder / "wheel" / "requirements.txt").write_text("")
    own.pins(WHEEL)
    assert needs(c)["wheel"].state == "later"
    task.doctor(c, lab=False)
    assert "./inv tools.install --only wheel" in capsys.readouterr().out


@pytest.mark.parametrize(("row", "asked"), [(WHEEL, doctor.KEEP_DISK), (GO, doctor.BUILD_DISK)])
def test_only_what_go_builds_needs_the_disk_of_a_build(own: OwnTools, c: Context, row: str, asked: int) -> None:
    (own.folder / "wheel").mkdir()
    (own.folder / "wheel" / "requirements.txt").write_text("")
    own.go_module()
    own.pins(row)
    (disk,) = [need for name, need in needs(c).items() if name.startswith("disk of")]
    assert disk.wanted == f"{asked // doctor.GIB} GB"


def test_json_holds_every_row_and_ends_the_same(own: OwnTools, c: Context, capsys: pytest.CaptureFixture[str]) -> None:
    own.pins(SYSTEM)
    with pytest.raises(Stop):
        task.doctor(c, json=True, lab=False)
    rows = json.loads(capsys.readouterr().out)
    assert [row["need"] for row in rows if row["state"] == "missing"] == ["nowhere"]
    assert {"need", "found", "wanted", "state", "fix"} == set(rows[0])


def test_refused_version_on_path_is_pointed_out_although_ours_is_used(own: OwnTools, c: Context) -> None:
    (own.folder / "wheel").mkdir()
    (own.folder / "wheel" / "requirements.txt").write_text("")
    own.pins(WHEEL)
    own.in_cache("wheel")
    bad = own.on_path("wheel", "0.9")
    need = needs(c)["wheel"]
    assert need.state == "warn"
    assert str(bad) in need.found


@pytest.mark.parametrize(
    ("root", "apt", "state", "fix"),
    [
        (True, True, "later", "./inv tools.install --only engine"),
        (False, True, "missing", "sudo apt-get install engine.io"),
        (True, False, "missing", "install engine with this system's own packages"),
    ],
)
def test_package_without_root_or_debian_is_missing(own: OwnTools, root: bool, apt: bool, state: str, fix: str) -> None:
    own.pins(DEB)
    need = doctor.program(find.Look(pins.pin("engine")), root=root, apt=apt)
    assert (need.state, need.fix) == (state, fix)


def test_without_the_lab_its_programs_are_no_need(own: OwnTools, c: Context) -> None:
    own.pins(DEB + WHEEL)
    (own.folder / "wheel").mkdir()
    (own.folder / "wheel" / "requirements.txt").write_text("")
    assert "engine" not in needs(c)
    assert not [name for name in needs(c) if name.startswith("lab:")]


def test_old_python_and_a_full_disk_are_missing(tmp_path: Path) -> None:
    assert doctor.python((3, 9, 18)).state == "missing"
    assert doctor.python((3, 10, 0)).state == "ok"
    assert doctor.disk(tmp_path / "not" / "there", 1).state == "ok"
    assert doctor.disk(tmp_path, 1 << 60).state == "missing"
