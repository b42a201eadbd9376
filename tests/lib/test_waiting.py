"""What ends a wait: the program's end, at once, a reader that died, and the deadline, with all that was begun."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import CommandTimedOut, ThreadException

from tasks import ns
from tasks.lib.waiting import Woken


@pytest.fixture
def c() -> Context:
    settings = {"runners": {"local": Woken}, "run": {"in_stream": False, "hide": True, "warn": True}}
    return Context(Config(overrides=settings))


def never(*_: object) -> None:
    raise AssertionError("it asks again and again")


def has_ended(pid: int) -> bool:
    """Where nobody collects what lost its parent, the entry of an ended process stays."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_every_task_waits_so() -> None:
    assert ns.configuration()["runners"]["local"] is Woken


def test_the_end_of_a_program_wakes(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", never)
    done = c.run("sleep 0.1; echo said; exit 3")
    assert (done.stdout, done.exited) == ("said\n", 3)


def test_where_the_system_cannot_wake_it_asks(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise OSError("not here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert c.run("sleep 0.1; exit 3").exited == 3


@pytest.mark.slow
def test_a_reader_that_died_is_noticed(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> bytes:
        raise RuntimeError("gone")

    monkeypatch.setattr(Woken, "read_proc_stdout", die)
    began = time.monotonic()
    with pytest.raises(ThreadException):
        c.run("sleep 20 2>/dev/null")
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_the_deadline_ends_also_what_the_program_began(c: Context, tmp_path: Path) -> None:
    """A child holds the output open: where the program alone is ended, the wait takes as long as the child."""
    began = time.monotonic()
    with pytest.raises(CommandTimedOut):
        c.run(f"sh -c 'sleep 20 & echo $! >{tmp_path}/pid; wait'; true", timeout=0.5)
    assert time.monotonic() - began < 15
    child = int((tmp_path / "pid").read_text())
    while not has_ended(child):  # it closes its output some moments before it has ended
        assert time.monotonic() - began < 15
        time.sleep(0.02)
