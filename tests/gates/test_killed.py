"""Whatever line the process dies at, and whoever reads meanwhile: the old database or the new one, never half."""

from __future__ import annotations

import functools
import json
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
from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.gates import advisories, databases, download, kept, sources, trivy_places
from tasks.lib.settings import Environment
from tests.gates import places
from tests.gates.web import WebServer

YESTERDAY = places.TODAY - timedelta(days=1)
TRACED = {str(Path(module.__file__ or "")) for module in (kept, download, sources, databases, trivy_places)}


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


def killed(act: Callable[[], object], cache: Path) -> Iterator[int]:
    """Acts on the cache as it is now, once for every line of it, and yields each time when it was killed there."""
    template = cache.with_name("template")
    shutil.copytree(cache, template)
    lines = traced(act, 0)
    for line in dict.fromkeys(lines):
        shutil.rmtree(cache)
        shutil.copytree(template, cache)
        assert child(functools.partial(traced, act, lines.index(line) + 1)) == -signal.SIGKILL
        yield line[1]


@pytest.mark.slow
def test_killed_before_any_line_and_run_again(web: WebServer, tmp_path: Path) -> None:
    old = places.serve(web, YESTERDAY)
    sources.refresh(web.url)
    new = places.serve(web)

    def update() -> object:
        return sources.refresh(web.url, always=True)

    states = []
    for _ in killed(update, tmp_path / "cache"):
        states.append(seen := places.content(web))
        assert seen in (old, new)
        update()
        assert places.content(web) == new
        home = sources.slot(web.url)
        assert not list(home.glob(".made.*")) and not (home / "partial").exists()
    assert set(states) == {old, new} and len(states) > 100


@pytest.mark.slow
def test_killed_while_a_database_is_built(env: Environment, tmp_path: Path) -> None:
    mine = places.using(env, str(tmp_path / "all.zip"))
    places.advisories_of(YESTERDAY, tmp_path / "all.zip", 20)
    before = databases.safety(mine)
    old = (before.folder / "insecure_full.json").read_bytes()
    places.advisories_of(places.TODAY, tmp_path / "all.zip", 30)
    sources.find(mine)
    count = 0
    for _ in killed(lambda: databases.safety(mine), tmp_path / "cache"):
        count += 1
        assert (before.folder / "insecure_full.json").read_bytes() == old  # for a scan that is still at it
        built = databases.safety(mine)
        full = json.loads((built.folder / "insecure_full.json").read_text(encoding="utf-8"))
        assert built.about.date == places.TODAY and full["vulnerable_packages"]
        assert not list(built.folder.parent.glob(".build.*"))
    assert count > 50


@pytest.mark.slow
def test_killed_while_trivys_database_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context()
    context.config.run.in_stream = False
    program = tools.path(context, "trivydb")
    monkeypatch.setattr(tools, "path", lambda *_: program)
    monkeypatch.setattr(trivy_places, "MINIMUM", 5)
    zipped = places.advisories_of(places.TODAY, tmp_path / "all.zip", 20)
    place = places.trivy_database(program, zipped, tmp_path / "published", YESTERDAY, system=False)
    old = trivy_places.refresh(context, str(place))
    shutil.rmtree(place)
    places.trivy_database(program, zipped, place)

    def update() -> kept.Kept:
        return trivy_places.refresh(context, str(place), always=True)

    states = []
    home = trivy_places.slot(str(place))
    for _ in killed(update, tmp_path / "cache"):
        found = kept.read(home)
        assert found is not None and kept.sha256(home / found.file) == found.digest
        states.append(found.digest)
        assert update().date == places.TODAY
        assert not list(home.glob(".made.*"))
    assert len(set(states)) == 2 and old.digest in states and len(states) > 50


@pytest.mark.slow
def test_killed_in_the_middle_of_a_download_it_goes_on(web: WebServer, tmp_path: Path) -> None:
    whole = places.serve(web, keep=2000)
    web.pace = 0.05
    script = f"""
from pathlib import Path
from tasks.lib import paths, tools
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


@pytest.mark.slow
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
