"""Locks between real processes: one at a time, told to who waits, and gone with a holder that dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.lib import locks, paths
from tasks.lib.errors import Code, Stop

HOLD = """
import sys, time
from pathlib import Path
from tasks.lib import locks
with locks.exclusive(Path(sys.argv[1]), "work"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(lock: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLD, str(lock), str(seconds)]
    with subprocess.Popen(words, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_the_second_waits_and_says_for_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "deep" / "lock"
    with holder(lock, 0.8):
        began = time.monotonic()
        with locks.exclusive(lock, "the other's work"):
            assert time.monotonic() - began > 0.3
    assert capsys.readouterr().out.count("waiting for the other's work in another process") == 1


@pytest.mark.slow
def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        holder(lock, 60),
        pytest.raises(Stop, match="work: another process holds") as caught,
        locks.exclusive(lock, "work", timeout=0.3),
    ):
        pass
    assert caught.value.code == Code.COULD_NOT_RUN


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock, 60) as process:
        process.kill()
        process.wait(timeout=10)
        with locks.exclusive(lock, "work", timeout=5):
            pass


def test_a_lock_is_held_only_while_its_holder_lives(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not locks.held(lock)
    with holder(lock, 60):
        assert locks.held(lock)
    assert not locks.held(lock)
    with locks.exclusive(lock, "work"):
        assert locks.held(lock)
