"""What is kept of a place is replaced only by something better, and a download goes on where it broke off."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import paths
from tasks.lib.gates import advisories, kept, sources
from tasks.lib.settings import Environment
from tests.gates import places
from tests.gates.web import WebServer

YESTERDAY = places.TODAY - timedelta(days=1)
TOMORROW = places.TODAY + timedelta(days=3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(advisories, "MINIMUM", 5)  # small zips are quick to look at


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(tmp_path / "www") as running:
        yield running


@pytest.mark.slow
def test_what_broke_off_goes_on_from_there(web: WebServer) -> None:
    """300,000 bytes are four whole blocks and a part that is asked for again, with the last byte before it."""
    whole = places.serve(web, keep=2000)
    web.break_after = 300_000
    found = sources.refresh(web.url)
    assert web.asked == [("/all.zip", ""), ("/all.zip", "bytes=262143-")]
    assert places.content(web) == whole and found.size == len(whole) and found.date == places.TODAY


@pytest.mark.slow
def test_a_file_that_changed_meanwhile_is_not_glued_to_the_old_one(web: WebServer) -> None:
    places.serve(web, YESTERDAY, keep=2000)
    web.break_after = 300_000
    again = web.answer

    def change(request: Any) -> None:
        if len(web.asked) == 1:
            places.serve(web, keep=1990)
        again(request)

    web.answer = change  # type: ignore[method-assign]
    sources.refresh(web.url)
    assert web.asked[1][1] == "bytes=262143-" and places.content(web) == (web.root / "all.zip").read_bytes()


@pytest.mark.parametrize("without", ["ranges", "validators"])
@pytest.mark.slow
def test_a_server_that_cannot_resume_is_asked_for_all_of_it(web: WebServer, without: str) -> None:
    whole = places.serve(web, keep=2000)
    setattr(web, without, False)
    web.break_after = 300_000
    sources.refresh(web.url)
    assert places.content(web) == whole and web.sent == len(whole)


def test_a_zip_that_did_not_change_is_not_sent_again(web: WebServer) -> None:
    whole = places.serve(web)
    before = sources.refresh(web.url)
    web.sent = -1
    after = sources.refresh(web.url, always=True)
    assert len(web.asked) == 2 and web.sent == -1  # 304
    assert after.fetched > before.fetched and after.file == before.file and places.content(web) == whole


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
        places.serve(web, when, keep=9 if how == "half" else 20)


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
    whole = places.serve(web)
    good = sources.refresh(web.url)
    broken(web, how)
    with pytest.raises(OSError, match=SAID[how]):
        sources.refresh(web.url, always=True)
    assert places.content(web) == whole
    found = sources.find(places.using(env, web.url))
    assert found.digest == good.digest and not found.snapshot
    home = sources.slot(web.url)
    assert not list(home.glob(".made.*")) and not (home / "partial").exists()


@pytest.mark.slow
def test_a_tag_that_promises_no_bytes_is_nothing_to_go_on_from(web: WebServer) -> None:
    whole = places.serve(web, keep=2000)
    web.weak = True
    web.break_after = 300_000
    sources.refresh(web.url)
    assert web.asked == [("/all.zip", "")] * 2 and places.content(web) == whole


@pytest.mark.slow
def test_a_slow_download_is_given_up_and_gone_on_with_later(web: WebServer) -> None:
    whole = places.serve(web, keep=2000)
    web.pace = 0.05
    with pytest.raises(OSError, match="bytes have arrived and the next attempt goes on from there"):
        sources.refresh(web.url, seconds=0.3)
    web.pace = 0.0
    sources.refresh(web.url, always=True)
    assert web.asked[-1][1].startswith("bytes=") and places.content(web) == whole


def test_a_kept_copy_that_was_damaged_is_not_used(web: WebServer, env: Environment) -> None:
    places.serve(web)
    home = sources.slot(web.url)
    file = home / sources.refresh(web.url).file
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="damaged: 0 bytes of"):
        kept.read(home)
    assert not sources.find(places.using(env, web.url)).snapshot  # fetched again
    file = home / sources.refresh(web.url).file
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    (web.root / "all.zip").unlink()
    found = sources.find(places.using(env, web.url))
    assert found.snapshot and "damaged" in found.note
