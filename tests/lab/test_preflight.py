"""What stops lab.up before it changes anything: one sentence and exit code 4."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.lab import preflight
from tasks.lib.lab.layout import Home

MEMINFO = "MemTotal:       24684000 kB\nMemFree:         100 kB\nMemAvailable:   {kb} kB\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A machine that is good enough: root, free ports, disk and memory."""
    memory = tmp_path / "meminfo"
    memory.write_text(MEMINFO.format(kb=8 * 1024**2))
    monkeypatch.setattr(preflight, "MEMORY", memory)
    monkeypatch.setattr(preflight, "PATIENCE", 0.2)
    monkeypatch.setattr(preflight, "LEAST_DISK", 1)
    monkeypatch.setattr(preflight, "PORTS", {"registry": (("127.0.0.1", free_port()),)})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return Home(tmp_path / "not" / "there" / "yet")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def refusal(home: Home, missing: tuple[str, ...] = ("registry",)) -> str:
    with pytest.raises(Stop) as stop:
        preflight.check(home, missing)
    assert stop.value.code == Code.COULD_NOT_RUN
    assert not home.root.exists()
    return stop.value.sentence


def test_a_good_machine_passes(home: Home) -> None:
    preflight.check(home, ["registry"])


def test_not_linux(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux, this is darwin" in refusal(home)


def test_not_root(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in refusal(home)


def test_a_taken_port_is_named_with_the_process(home: Home) -> None:
    port = preflight.PORTS["registry"][0][1]
    with socket.create_server(("127.0.0.1", port)):
        sentence = refusal(home)
    assert f"Port {port}" in sentence
    assert f"(pid {os.getpid()})" in sentence


def test_the_port_of_a_part_that_runs_is_its_own(home: Home) -> None:
    with socket.create_server(("127.0.0.1", preflight.PORTS["registry"][0][1])):
        preflight.check(home, [])


def test_too_little_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "LEAST_DISK", 10**18)
    assert "of disk below" in refusal(home)


def test_too_little_memory(home: Home) -> None:
    preflight.MEMORY.write_text(MEMINFO.format(kb=1024**2))
    assert "needs 4 GB of memory, 1.0 GB are available" in refusal(home)


def test_a_repair_needs_no_free_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    preflight.MEMORY.write_text(MEMINFO.format(kb=1024**2))
    both = {**preflight.PORTS, "etcd": (("127.0.0.1", free_port()),)}
    monkeypatch.setattr(preflight, "PORTS", both)
    preflight.check(home, ["registry"])
