"""Where advisories come from: a reachable source, an earlier download, an air-gapped copy, the shipped snapshot."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tasks.lib import paths
from tasks.lib.gates import advisories, kept, sources
from tasks.lib.settings import Environment, Gates, Severity
from tests.gates.web import WebServer


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    """A web server on this machine with the advisories as all.zip."""
    with WebServer(tmp_path / "www") as running:
        shutil.copy(sources.SNAPSHOT, running.root / "all.zip")
        yield running


def using(env: Environment, *urls: str) -> Environment:
    return env.model_copy(update={"gates": Gates(advisories=list(urls))})


def test_a_reachable_source_is_no_snapshot_and_its_copy_is_kept(
    env: Environment, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sources.find(using(env, "http://127.0.0.1:9/all.zip", server.url))
    assert not found.snapshot and found.name == server.url
    monkeypatch.setattr(kept, "FRESH", timedelta(0))
    Path(server.root, "all.zip").unlink()
    again = sources.find(using(env, server.url))
    assert not again.snapshot and again.path == found.path and "kept copy" in again.name
    assert "the server answered 404" in again.note
    # Another environment that names other places gets nothing of it.
    assert sources.find(using(env, "http://127.0.0.1:9/all.zip")).snapshot


def test_a_file_url_names_an_air_gapped_copy(env: Environment, tmp_path: Path) -> None:
    copy = tmp_path / "all.zip"
    shutil.copy(sources.SNAPSHOT, copy)
    found = sources.find(using(env, copy.as_uri()))
    assert not found.snapshot and found.name == copy.as_uri()
    assert sources.find(using(env, str(tmp_path))).digest == found.digest


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_a_broken_source_is_refused_and_the_snapshot_says_why(
    env: Environment, tmp_path: Path, content: bytes | None
) -> None:
    broken = tmp_path / "broken.zip"
    if content is None:
        with zipfile.ZipFile(broken, "w") as archive:
            archive.writestr("one.json", "{}")
    else:
        broken.write_bytes(content)
    found = sources.find(using(env, broken.as_uri()))
    assert found.snapshot and "broken.zip" in found.note


def test_the_snapshot_is_read_whole() -> None:
    found, newest = advisories.read(sources.SNAPSHOT, "the snapshot")
    assert len(found) > 2600 and newest == datetime(2024, 10, 10, 17, 22, tzinfo=timezone.utc)
    assert all(advisory.spans or advisory.versions for advisory in found)


def test_ratings_are_read_and_unrated_is_not_harmless() -> None:
    entry = {"id": "GHSA-1", "aliases": ["CVE-2030-1"], "details": "bad", "affected": []}
    affected = {"package": {"name": "Zope.Interface", "ecosystem": "PyPI"}, "versions": ["1.0"]}
    for said, wanted in ({"severity": "MODERATE"}, Severity.MEDIUM), ({}, Severity.UNKNOWN):
        (one,) = advisories._advisories({**entry, "affected": [affected], "database_specific": said})
        assert (one.id, one.package, one.severity) == ("CVE-2030-1", "zope-interface", wanted)
    (one,) = advisories._advisories({**entry, "id": "MAL-1", "affected": [affected]})
    assert one.severity is Severity.CRITICAL


def test_spans_of_unsorted_events() -> None:
    events = [{"fixed": "4.3"}, {"introduced": "5.0"}, {"introduced": "4.0"}, {"last_affected": "5.2"}]
    assert advisories._spans(events) == [advisories.Span("4.0", fixed="4.3"), advisories.Span("5.0", last="5.2")]
