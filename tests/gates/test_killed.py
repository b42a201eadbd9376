"""Whatever line the process dies at, and whoever reads meanwhile: the old database or the new one, never half."""

from __future__ import annotations

import functools
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tasks.lib import paths
from tasks.lib.gates import advisories, download, kept, sources
from tests.gates import places
from tests.gates.web import WebServer

YESTERDAY = places.TODAY - timedelta(days=1)
TRACED = {str(Path(module.__file__ or "")) for module in (kept, download, sources)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(advisories, "MINIMUM", 5)  # small zips are quick to look at


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(tmp_path / "www") as running:
        yield running


def traced(act: Callable[[], object], stop_at: int) -> list[tuple[str, int]]:
    """Runs in a forked child; the child kills itself before the line with this number (0: reports all lines)."""
    seen: list[tuple[str, int]] = []

    def local(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            seen.append((frame.f_code.co_filename, frame.f_lineno))
            if len(seen) == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename in TRACED else None)
    try:
        act()
    finally:
        sys.settrace(None)
    return seen


def child(act: Callable[[], object]) -> int:
    """Forks, acts, and says how the child ended: 0, 1, or minus a signal."""
    pid = os.fork()
    if pid == 0:
        failed = 1
        try:
            act()
            failed = 0
        finally:
            os._exit(failed)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.slow
def test_killed_before_any_line_and_run_again(web: WebServer, tmp_path: Path) -> None:
    old = places.serve(web, YESTERDAY)
    sources.refresh(web.url)
    cache, template = tmp_path / "cache", tmp_path / "template"
    shutil.copytree(cache, template)
    new = places.serve(web)

    def update() -> object:
        return sources.refresh(web.url, always=True)

    lines = traced(update, 0)
    first = [lines.index(line) + 1 for line in dict.fromkeys(lines)]
    assert len(first) > 100 and places.content(web) == new
    states = set()
    for number in first:
        shutil.rmtree(cache)
        shutil.copytree(template, cache)
        assert child(functools.partial(traced, update, number)) == -signal.SIGKILL
        states.add(seen := places.content(web))
        assert seen in (old, new)
        update()
        assert places.content(web) == new
        home = sources.slot(web.url)
        assert not list(home.glob(".made.*")) and not (home / "partial").exists()
    assert states == {old, new}


@pytest.mark.slow
def test_killed_in_the_middle_of_a_download_it_goes_on(web: WebServer, tmp_path: Path) -> None:
    whole = places.serve(web, keep=2000)
    web.pace = 0.05
    script = f"""
from pathlib import Path
from tasks.lib import paths
paths.cache = lambda: Path({str(tmp_path / "cache")!r})
from tasks.lib.gates import sources
sources.refresh({web.url!r})
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=paths.ROOT) as running:
        deadline = time.monotonic() + 60
        partial = sources.slot(web.url) / "partial"
        while time.monotonic() < deadline and not (partial.exists() and partial.stat().st_size > 1 << 19):
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    arrived = partial.stat().st_size
    assert 1 << 19 < arrived < len(whole) and kept.read(sources.slot(web.url)) is None
    web.pace = 0.0
    sources.refresh(web.url)
    assert web.asked[-1][1] == f"bytes={arrived - 1}-"
    assert places.content(web) == whole


def test_a_reader_sees_the_old_or_the_new_one_and_never_half(web: WebServer) -> None:
    known = {places.serve(web, YESTERDAY + timedelta(minutes=number)) for number in range(12)}
    ended = threading.Event()

    def write() -> None:
        for number in range(12):
            places.serve(web, YESTERDAY + timedelta(minutes=number))
            sources.refresh(web.url, always=True)
        ended.set()

    places.serve(web, YESTERDAY)
    sources.refresh(web.url)
    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not ended.is_set():
        seen.append(places.content(web))
    writer.join()
    assert set(seen) <= known and len(seen) > 12


def test_old_generations_go_when_nobody_can_be_reading_them(web: WebServer) -> None:
    places.serve(web, YESTERDAY)
    home = sources.slot(web.url)
    before = home / sources.refresh(web.url).file
    places.serve(web)
    sources.refresh(web.url, always=True)
    assert before.is_file()  # a scan may still be at it
    os.utime(before.parent, (0, 0))
    sources.refresh(web.url, always=True)
    assert not before.exists() and places.content(web)


def test_a_full_disc_is_said_and_changes_nothing(web: WebServer) -> None:
    """No file may be larger than 64 KiB here, which Linux says of a write as it says that the disc is full."""
    old = places.serve(web, YESTERDAY)
    assert sources.refresh(web.url).size < 1 << 16
    places.serve(web, keep=2000)

    def update() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        with pytest.raises(OSError, match="File too large"):
            sources.refresh(web.url, always=True)

    assert child(update) == 0
    assert places.content(web) == old
