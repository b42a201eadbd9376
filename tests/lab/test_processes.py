"""Daemons: a pid alone proves nothing, a dead one is seen, a mute one is named with the end of its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.lab import processes
from tasks.lib.lab.layout import Home
from tasks.lib.lab.processes import Part


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    for folder in made.folders():
        folder.mkdir(parents=True)
    yield made
    for file in made.run.glob("*.pid"):
        processes.stop(made, file.stem)


def part(script: str, ready: bool = True, **more: object) -> Part:
    return Part("sample", ("/bin/sh", "-c", script), lambda: ready, **more)  # type: ignore[arg-type]


def test_a_started_part_is_found_until_it_is_stopped(home: Home) -> None:
    running = processes.start(home, part("exec sleep 60"), [])
    assert processes.find(home, "sample") == running
    processes.stop(home, "sample")
    assert processes.find(home, "sample") is None
    assert processes.start_time(running.pid) is None


def test_the_pid_is_the_programs_own(home: Home) -> None:
    running = processes.start(home, part("exec sleep 60"), [])
    processes.wait(home, part("exec sleep 60"))
    deadline = time.monotonic() + 5
    while "sleep" not in (comm := Path(f"/proc/{running.pid}/comm").read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert comm == "sleep\n"


def test_another_process_of_the_same_pid_is_not_taken_for_the_part(home: Home) -> None:
    running = processes.start(home, part("exec sleep 60"), [])
    reused = {**running.__dict__, "pid": os.getpid()}
    processes.pid_file(home, "sample").write_text(json.dumps(reused))
    assert processes.find(home, "sample") is None
    processes.stop(home, "sample")  # must not end this very process
    os.kill(running.pid, signal.SIGKILL)


def test_a_damaged_pid_file_means_that_nothing_runs(home: Home) -> None:
    processes.pid_file(home, "sample").write_text("{")
    assert processes.find(home, "sample") is None


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 5
    while processes.start_time(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.start_time(child.pid) is None
    child.wait()


@pytest.mark.slow
def test_a_part_that_ignores_term_is_killed(home: Home) -> None:
    running = processes.start(home, part("trap '' TERM; while :; do sleep 0.1; done"), [])
    time.sleep(0.3)
    processes.stop(home, "sample", timeout=0.5)
    assert processes.start_time(running.pid) is None


def test_a_part_that_dies_is_named_with_the_end_of_its_log(home: Home) -> None:
    broken = part("echo no such flag >&2; exit 1", ready=False)
    processes.start(home, broken, [])
    with pytest.raises(Stop, match=r"(?s)sample died.*no such flag") as stop:
        processes.wait(home, broken)
    assert stop.value.code == Code.COULD_NOT_RUN


@pytest.mark.slow
def test_a_part_that_never_answers_ends_at_its_deadline(home: Home) -> None:
    mute = part("exec sleep 60", ready=False, deadline=0.5)
    processes.start(home, mute, [])
    with pytest.raises(Stop, match=r"did not answer within 0\.5 s"):
        processes.wait(home, mute)


def test_a_changed_configuration_file_is_another_part(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("one")
    before = part("true", files=(file,)).digest
    assert part("true", files=(file,)).digest == before
    file.write_text("two")
    assert part("true", files=(file,)).digest != before


def test_a_daemon_gets_a_small_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "value-that-must-not-leak")
    asked = part("env", ready=False, env={"GOGC": "50"})
    processes.start(home, asked, [])
    with pytest.raises(Stop):
        processes.wait(home, asked)
    log = processes.log_file(home, "sample").read_text()
    assert "GOGC=50" in log
    assert "must-not-leak" not in log
