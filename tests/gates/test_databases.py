"""What is kept of a place is whole at any moment, is replaced only by something better, and is named without asking."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import requests  # so that a forked child need not import it
from invoke.context import Context

from tasks.lib import paths
from tasks.lib.gates import advisories, databases, download, kept, sources, trivy_places
from tasks.lib.settings import Environment, Gates
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


def serve(web: WebServer, when: Any = places.TODAY, keep: int = 20) -> bytes:
    return places.advisories_of(when, web.root / "all.zip", keep).read_bytes()


def using(env: Environment, *urls: str, **more: Any) -> Environment:
    return env.model_copy(update={"gates": Gates(advisories=list(urls), **more)})


def content(web: WebServer) -> bytes:
    """What a reader gets now; whole, or this raises."""
    home = sources.slot(web.url)
    found = kept.read(home)
    assert found is not None
    file = home / found.file
    assert kept.sha256(file) == found.digest
    return file.read_bytes()


def test_what_broke_off_goes_on_from_there(web: WebServer) -> None:
    """300,000 bytes are four whole blocks and a part that is asked for again, with the last byte before it."""
    whole = serve(web, keep=2000)
    web.break_after = 300_000
    found = sources.refresh(web.url)
    assert web.asked == [("/all.zip", ""), ("/all.zip", "bytes=262143-")]
    assert content(web) == whole and found.size == len(whole) and found.date == places.TODAY


def test_a_file_that_changed_meanwhile_is_not_glued_to_the_old_one(web: WebServer) -> None:
    serve(web, YESTERDAY, keep=2000)
    web.break_after = 300_000
    again = web.answer

    def change(request: Any) -> None:
        if len(web.asked) == 1:
            serve(web, keep=1990)
        again(request)

    web.answer = change  # type: ignore[method-assign]
    sources.refresh(web.url)
    assert web.asked[1][1] == "bytes=262143-" and content(web) == (web.root / "all.zip").read_bytes()


@pytest.mark.parametrize("without", ["ranges", "validators"])
def test_a_server_that_cannot_resume_is_asked_for_all_of_it(web: WebServer, without: str) -> None:
    whole = serve(web, keep=2000)
    setattr(web, without, False)
    web.break_after = 300_000
    sources.refresh(web.url)
    assert content(web) == whole and web.sent == len(whole)


def test_a_zip_that_did_not_change_is_not_sent_again(web: WebServer) -> None:
    whole = serve(web)
    before = sources.refresh(web.url)
    web.sent = -1
    after = sources.refresh(web.url, always=True)
    assert len(web.asked) == 2 and web.sent == -1  # 304
    assert after.fetched > before.fetched and after.file == before.file and content(web) == whole


def broken(web: WebServer, how: str) -> None:
    file = web.root / "all.zip"
    good = file.read_bytes()
    if how == "truncated":
        file.write_bytes(good[: len(good) // 2])
    elif how == "one byte flipped":
        file.write_bytes(good[:2000] + bytes([good[2000] ^ 255]) + good[2001:])
    elif how in ("empty", "not a zip"):
        file.write_bytes(b"" if how == "empty" else b"<html>Sign in</html>")
    elif how == "no advisories":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("one.json", "{}")
    elif how == "gone":
        file.unlink()
    else:
        when = {"older": YESTERDAY, "future": TOMORROW}.get(how, places.TODAY)
        serve(web, when, keep=9 if how == "half" else 20)


TOMORROW = places.TODAY + timedelta(days=3)
SAID = {
    "truncated": "cannot be read",
    "one byte flipped": "cannot be read",
    "empty": "cannot be read",
    "not a zip": "the zip cannot be read: File is not a zip file",
    "no advisories": "cannot be read",
    "gone": "the server answered 404",
    "older": "older than the kept one",
    "half": r"it has \d entries and the kept one \d\d",
    "future": "dated in the future",
}


@pytest.mark.parametrize("how", SAID)
def test_what_is_worse_never_replaces_what_is_kept(web: WebServer, env: Environment, how: str) -> None:
    whole = serve(web)
    good = sources.refresh(web.url)
    broken(web, how)
    with pytest.raises(OSError, match=SAID[how]):
        sources.refresh(web.url, always=True)
    assert content(web) == whole
    found = sources.find(using(env, web.url))
    assert found.digest == good.digest and not found.snapshot
    home = sources.slot(web.url)
    assert not list(home.glob(".made.*")) and not (home / "partial").exists()


def test_a_tag_that_promises_no_bytes_is_nothing_to_go_on_from(web: WebServer) -> None:
    whole = serve(web, keep=2000)
    web.weak = True
    web.break_after = 300_000
    sources.refresh(web.url)
    assert web.asked == [("/all.zip", "")] * 2 and content(web) == whole


def test_a_slow_download_is_given_up_and_gone_on_with_later(web: WebServer) -> None:
    whole = serve(web, keep=2000)
    web.pace = 0.05
    with pytest.raises(OSError, match="bytes have arrived and the next attempt goes on from there"):
        sources.refresh(web.url, seconds=0.3)
    web.pace = 0.0
    sources.refresh(web.url, always=True)
    assert web.asked[-1][1].startswith("bytes=") and content(web) == whole


def test_a_place_that_failed_is_left_alone_for_a_while(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources.find(using(env, web.url)).snapshot
    assert "404" in sources.find(using(env, web.url)).note and len(web.asked) == 1
    serve(web)
    monkeypatch.setattr(kept, "RETRY", timedelta(0))
    assert not sources.find(using(env, web.url)).snapshot


def test_a_place_that_is_too_old_gives_way_to_the_next(web: WebServer, env: Environment, tmp_path: Path) -> None:
    serve(web, places.TODAY - timedelta(days=30))
    newer = places.advisories_of(YESTERDAY, tmp_path / "newer.zip", 20)
    oldest = places.advisories_of(places.TODAY - timedelta(days=60), tmp_path / "oldest.zip", 20)
    assert sources.find(using(env, web.url, str(newer))).name == str(newer)
    assert sources.find(using(env, web.url, str(newer), max_database_age_days=40)).name == web.url
    assert sources.find(using(env, str(oldest), web.url)).name == web.url  # none is new enough: the newest


def test_a_kept_copy_that_was_damaged_is_not_used(web: WebServer, env: Environment) -> None:
    serve(web)
    home = sources.slot(web.url)
    file = home / sources.refresh(web.url).file
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="damaged: 0 bytes of"):
        kept.read(home)
    assert not sources.find(using(env, web.url)).snapshot  # fetched again
    file = home / sources.refresh(web.url).file
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    (web.root / "all.zip").unlink()
    found = sources.find(using(env, web.url))
    assert found.snapshot and "damaged" in found.note


# A process that dies


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
    """Forks, acts, and says how the child ended: 0, or minus a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.slow
def test_killed_before_any_line_and_run_again(web: WebServer, tmp_path: Path) -> None:
    old = serve(web, YESTERDAY)
    sources.refresh(web.url)
    cache, template = tmp_path / "cache", tmp_path / "template"
    shutil.copytree(cache, template)
    new = serve(web)

    def update() -> object:
        return sources.refresh(web.url, always=True)

    lines = traced(update, 0)
    first = [lines.index(line) + 1 for line in dict.fromkeys(lines)]
    assert len(first) > 100 and content(web) == new
    states = set()
    for number in first:
        shutil.rmtree(cache)
        shutil.copytree(template, cache)
        assert child(functools.partial(traced, update, number)) == -signal.SIGKILL
        states.add(seen := content(web))
        assert seen in (old, new)
        update()
        assert content(web) == new
        home = sources.slot(web.url)
        assert not list(home.glob(".made.*")) and not (home / "partial").exists()
    assert states == {old, new}


@pytest.mark.slow
def test_killed_in_the_middle_of_a_download_it_goes_on(web: WebServer, tmp_path: Path) -> None:
    whole = serve(web, keep=2000)
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
    assert content(web) == whole


def test_a_reader_sees_the_old_or_the_new_one_and_never_half(web: WebServer) -> None:
    known = {serve(web, YESTERDAY + timedelta(minutes=number)) for number in range(12)}
    ended = threading.Event()

    def write() -> None:
        for number in range(12):
            serve(web, YESTERDAY + timedelta(minutes=number))
            sources.refresh(web.url, always=True)
        ended.set()

    serve(web, YESTERDAY)
    sources.refresh(web.url)
    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not ended.is_set():
        seen.append(content(web))
    writer.join()
    assert set(seen) <= known and len(seen) > 12


def test_old_generations_go_when_nobody_can_be_reading_them(web: WebServer) -> None:
    serve(web, YESTERDAY)
    home = sources.slot(web.url)
    before = home / sources.refresh(web.url).file
    serve(web)
    sources.refresh(web.url, always=True)
    assert before.is_file()  # a scan may still be at it
    os.utime(before.parent, (0, 0))
    sources.refresh(web.url, always=True)
    assert not before.exists() and content(web)


# What would be used


def test_the_identity_is_that_of_what_a_scan_uses_and_asks_nobody(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = using(env, web.url)
    serve(web, YESTERDAY)
    assert databases.identity(mine, "secrets") == databases.identity(mine, "config") == "none"
    assert databases.identity(mine, "deps") == ""  # it has to be asked
    found = sources.find(mine)

    def nobody(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    real = requests.get
    monkeypatch.setattr(requests, "get", nobody)
    first = databases.identity(mine, "deps")
    assert found.digest in first and first.startswith("advisories ")
    monkeypatch.setattr(requests, "get", real)
    serve(web)
    assert databases.identity(mine, "deps") == first  # fresh for six hours
    sources.refresh(web.url, always=True)
    assert databases.identity(mine, "deps") not in ("", first)
    monkeypatch.setattr(kept, "FRESH", timedelta(0))
    assert databases.identity(mine, "deps") == ""


def test_the_identity_where_nothing_can_be_reached_is_that_of_the_snapshot(env: Environment) -> None:
    mine = using(env, "http://127.0.0.1:9/all.zip", trivy_databases=["127.0.0.1:9/team/trivy-db:2"])
    assert databases.identity(mine, "deps") == ""
    assert sources.find(mine).snapshot
    assert databases.identity(mine, "deps").startswith("snapshot sha256:")
    began = time.monotonic()
    for _ in range(10):
        databases.identity(mine, "deps")
    assert time.monotonic() - began < 0.5


def test_the_identity_of_trivys_database_waits_for_its_places(web: WebServer, env: Environment) -> None:
    copy = places.advisories_of(YESTERDAY, web.root / "copy.zip", 20)
    mine = using(env, str(copy), trivy_databases=["127.0.0.1:9/team/trivy-db:2"])
    digest = sources.find(mine).digest
    assert databases.identity(mine, "image") == ""  # that place may have a better one
    with pytest.raises(OSError, match="not reachable"):
        trivy_places.refresh(Context(), mine.gates.trivy_places[0])
    assert databases.identity(mine, "image") == f"advisories {digest} build {databases.BUILD}"


def test_the_identity_follows_a_file_at_once(env: Environment, tmp_path: Path) -> None:
    copy = places.advisories_of(YESTERDAY, tmp_path / "copy.zip", 20)
    mine = using(env, str(copy))
    first = sources.find(mine).digest
    assert first in databases.identity(mine, "deps")
    places.advisories_of(places.TODAY, copy, 20)
    assert databases.identity(mine, "deps") == ""
    assert sources.find(mine).digest != first
