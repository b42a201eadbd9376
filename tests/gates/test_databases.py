"""Which of several places is used, and how a scan's database is named without asking any."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests  # so that a forked child need not import it
from invoke.context import Context

from tasks.lib import paths
from tasks.lib.gates import advisories, databases, kept, sources, trivy_places
from tasks.lib.settings import Environment
from tests.gates import places
from tests.gates.web import WebServer

YESTERDAY = places.TODAY - timedelta(days=1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(advisories, "MINIMUM", 5)  # small zips are quick to look at


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(tmp_path / "www") as running:
        yield running


def test_a_place_that_failed_is_left_alone_for_a_while(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources.find(places.using(env, web.url)).snapshot
    assert "404" in sources.find(places.using(env, web.url)).note and len(web.asked) == 1
    places.serve(web)
    monkeypatch.setattr(kept, "RETRY", timedelta(0))
    assert not sources.find(places.using(env, web.url)).snapshot


def test_what_cannot_be_noted_hinders_nothing(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disc or a cache that may only be read: what is kept is still used."""
    places.serve(web)
    good = sources.find(places.using(env, web.url))
    (sources.slot(web.url) / "failure.json").mkdir()
    (web.root / "all.zip").unlink()
    monkeypatch.setattr(kept, "FRESH", timedelta(0))
    assert sources.find(places.using(env, web.url)).digest == good.digest


def test_a_clock_that_was_wrong_does_not_make_it_fresh_for_ever(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.serve(web)
    real = kept.now
    monkeypatch.setattr(kept, "now", lambda: real() + timedelta(days=30))
    sources.refresh(web.url)
    monkeypatch.setattr(kept, "now", real)
    assert kept.fresh(sources.slot(web.url), web.url) is None
    assert databases.identity(places.using(env, web.url), "deps") == ""


def test_a_place_that_is_too_old_gives_way_to_the_next(web: WebServer, env: Environment, tmp_path: Path) -> None:
    places.serve(web, places.TODAY - timedelta(days=30))
    newer = places.advisories_of(YESTERDAY, tmp_path / "newer.zip", 20)
    oldest = places.advisories_of(places.TODAY - timedelta(days=60), tmp_path / "oldest.zip", 20)
    assert sources.find(places.using(env, web.url, str(newer))).name == str(newer)
    assert sources.find(places.using(env, web.url, str(newer), max_database_age_days=40)).name == web.url
    assert sources.find(places.using(env, str(oldest), web.url)).name == web.url  # none is new enough: the newest


def test_the_identity_is_that_of_what_a_scan_uses_and_asks_nobody(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = places.using(env, web.url)
    places.serve(web, YESTERDAY)
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
    places.serve(web)
    assert databases.identity(mine, "deps") == first  # fresh for six hours
    sources.refresh(web.url, always=True)
    assert databases.identity(mine, "deps") not in ("", first)
    monkeypatch.setattr(kept, "FRESH", timedelta(0))
    assert databases.identity(mine, "deps") == ""


def test_the_identity_where_nothing_can_be_reached_is_that_of_the_snapshot(env: Environment) -> None:
    mine = places.using(env, "http://127.0.0.1:9/all.zip", trivy_databases=["127.0.0.1:9/team/trivy-db:2"])
    assert databases.identity(mine, "deps") == ""
    assert sources.find(mine).snapshot
    assert databases.identity(mine, "deps").startswith("snapshot sha256:")
    began = time.monotonic()
    for _ in range(10):
        databases.identity(mine, "deps")
    assert time.monotonic() - began < 0.5


def test_the_identity_of_trivys_database_waits_for_its_places(web: WebServer, env: Environment) -> None:
    copy = places.advisories_of(YESTERDAY, web.root / "copy.zip", 20)
    mine = places.using(env, str(copy), trivy_databases=["127.0.0.1:9/team/trivy-db:2"])
    digest = sources.find(mine).digest
    assert databases.identity(mine, "image") == ""  # that place may have a better one
    with pytest.raises(OSError, match="not reachable"):
        trivy_places.refresh(Context(), mine.gates.trivy_places[0])
    assert databases.identity(mine, "image") == f"advisories {digest} build {databases.BUILD}"


def test_places_that_have_to_be_asked_again_are_asked_before_an_unchanged_commit_is_scanned(
    web: WebServer, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.serve(web, YESTERDAY)
    mine = places.using(env, web.url)
    first = databases.settle(mine, "deps")
    assert first == databases.identity(mine, "deps") != ""
    home = sources.slot(web.url)
    current = kept.read(home)
    assert current is not None
    longer_ago = current.model_copy(update={"fetched": current.fetched - kept.FRESH})
    (home / "current.json").write_text(longer_ago.model_dump_json(), encoding="utf-8")
    assert databases.identity(mine, "deps") == ""
    assert databases.settle(mine, "deps") == first
    offline = places.using(env, "http://127.0.0.1:9/all.zip", trivy_databases=["127.0.0.1:9/team/trivy-db:2"])
    assert databases.settle(offline, "deps").startswith("snapshot ")
    assert databases.settle(offline, "image") == ""


def test_the_identity_follows_a_file_at_once(env: Environment, tmp_path: Path) -> None:
    copy = places.advisories_of(YESTERDAY, tmp_path / "copy.zip", 20)
    mine = places.using(env, str(copy))
    first = sources.find(mine).digest
    assert first in databases.identity(mine, "deps")
    places.advisories_of(places.TODAY, copy, 20)
    assert databases.identity(mine, "deps") == ""
    assert sources.find(mine).digest != first
