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


@pytest.mark.slow
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


# Vectors with their base scores as FIRST's and the NVD's calculators give them, around the bounds of the bands.
VECTORS = [
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity.CRITICAL),  # 9.8
    ("CVSS_V3", "CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:C/C:H/I:H/A:H", Severity.CRITICAL),  # 9.0
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Severity.HIGH),  # 8.8
    ("CVSS_V3", "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:H/I:H/A:H", Severity.HIGH),  # 7.0
    ("CVSS_V3", "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H", Severity.MEDIUM),  # 5.5
    ("CVSS_V3", "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", Severity.LOW),  # 1.6
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Severity.LOW),  # 0.0, rated as no danger
    ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Severity.CRITICAL),  # 9.3
    ("CVSS_V4", "CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Severity.HIGH),  # 8.5
    ("CVSS_V2", "AV:N/AC:L/Au:N/C:C/I:C/A:C", Severity.HIGH),  # 10.0; version 2 has no critical
    ("CVSS_V2", "AV:N/AC:M/Au:N/C:N/I:P/A:N", Severity.MEDIUM),  # 4.3
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L", Severity.UNKNOWN),
    ("CVSS_V3", "9.8", Severity.UNKNOWN),
    ("CVSS_V9", "CVSS:9.0/AV:N", Severity.UNKNOWN),
    ("Ubuntu", "high", Severity.UNKNOWN),
]


@pytest.mark.parametrize(("kind", "vector", "wanted"), VECTORS)
def test_a_cvss_vector_rates_what_nobody_rated_in_words(kind: str, vector: str, wanted: Severity) -> None:
    entry = {"id": "PYSEC-1", "severity": [{"type": kind, "score": vector}]}
    assert advisories._severity(entry, {}) is wanted
    assert advisories._severity({"id": "PYSEC-1"}, {"severity": entry["severity"]}) is wanted
    words = {"database_specific": {"severity": "MODERATE"}}
    assert advisories._severity({**entry, **words}, {}) is Severity.MEDIUM


def test_the_worst_of_several_vectors_counts() -> None:
    ratings = [{"type": kind, "score": vector} for kind, vector, _ in VECTORS]
    assert advisories._severity({"id": "PYSEC-1", "severity": ratings}, {}) is Severity.CRITICAL
    assert advisories._severity({"id": "PYSEC-1", "severity": ratings[-4:] + ratings[5:6]}, {}) is Severity.LOW


def test_how_many_of_the_snapshot_are_not_rated() -> None:
    found, _ = advisories.read(sources.SNAPSHOT, "the snapshot")
    rated = [one for one in found if one.severity is not Severity.UNKNOWN]
    assert (len(found), len(rated)) == (2650, 199)


def test_spans_of_unsorted_events() -> None:
    events = [{"fixed": "4.3"}, {"introduced": "5.0"}, {"introduced": "4.0"}, {"last_affected": "5.2"}]
    assert advisories._spans(events) == [advisories.Span("4.0", fixed="4.3"), advisories.Span("5.0", last="5.2")]
