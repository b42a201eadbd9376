"""Where advisories come from: a reachable source, an earlier download, an air-gapped copy, the shipped snapshot."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tasks.lib import paths
from tasks.lib.gates import advisories, sources
from tasks.lib.settings import Environment, Gates, Severity


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine with the advisories as all.zip."""
    root = tmp_path / "www"
    root.mkdir()
    shutil.copy(sources.SNAPSHOT, root / "all.zip")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/all.zip"
        running.shutdown()


def using(env: Environment, *urls: str) -> Environment:
    return env.model_copy(update={"gates": Gates(advisories=list(urls))})


def test_a_reachable_source_is_no_snapshot_and_its_copy_is_kept(
    env: Environment, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sources.find(using(env, "http://127.0.0.1:9/all.zip", server))
    assert not found.snapshot and found.name == server
    monkeypatch.setattr(sources, "FRESH_HOURS", 0.0)
    kept = sources.find(using(env, "http://127.0.0.1:9/all.zip"))
    assert not kept.snapshot and kept.path == found.path and "kept copy" in kept.name
    assert "not reachable" in kept.note


def test_a_file_url_names_an_air_gapped_copy(env: Environment, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zip"
    shutil.copy(sources.SNAPSHOT, copy)
    found = sources.find(using(env, copy.as_uri()))
    assert not found.snapshot and found.path == copy


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
    source = sources.Source(sources.SNAPSHOT, "snapshot", "sha256:0", snapshot=True)
    found, newest = advisories.read(source)
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
