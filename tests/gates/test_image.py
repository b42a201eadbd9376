"""Planted vulnerable packages in an image are found, and an image that was not looked up is no pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths
from tasks.lib.gates import archive, databases, image_gate, trivy_database
from tasks.lib.gates.advisories import Advisory, Span
from tasks.lib.gates.models import Database, Outcome, Report
from tasks.lib.settings import Environment, Severity

SHA = "a" * 40
HARMLESS = archive.python_package("six", "1.17.0")
pytestmark = pytest.mark.usefixtures("programs")


def scan(c: Context, env: Environment, tmp_path: Path, files: dict[str, str]) -> Report:
    image = tmp_path / "image.tar"
    archive.write(image, files)
    return image_gate.check(c, env, SHA, image)


def test_planted_vulnerable_package_is_found(c: Context, env: Environment, tmp_path: Path) -> None:
    debian = archive.debian(("bash", "5.2-1"))
    report = scan(c, env, tmp_path, HARMLESS | archive.python_package("urllib3", "1.24.1") | debian)
    assert report.outcome is Outcome.FINDINGS, report.reason
    found = {finding.id: finding for finding in report.findings}
    assert found["CVE-2019-11324"].fixed == "1.24.2" and found["CVE-2019-11324"].severity is Severity.UNKNOWN
    assert report.database is not None and report.database.snapshot and report.database.covers == ["pip"]
    assert report.covered.packages == 2 and report.covered.os == "debian 12.8"
    assert "operating-system packages were not covered" in report.notes[0]
    assert report.subject.startswith("sha256:") and report.version == "0.74.0"


def test_harmless_image_passes_whatever_settings_lie_around(
    c: Context, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVY_SKIP_FILES", "**/METADATA")
    monkeypatch.setenv("TRIVY_FORMAT", "table")
    assert scan(c, env, tmp_path, HARMLESS).outcome is Outcome.PASS


@pytest.mark.parametrize("files", [{"etc/motd": "hello\n"}, archive.debian(("bash", "5.2-1"))])
def test_image_without_packages_that_the_database_knows_could_not_run(
    c: Context, env: Environment, tmp_path: Path, files: dict[str, str]
) -> None:
    report = scan(c, env, tmp_path, files)
    assert report.outcome is Outcome.COULD_NOT_RUN and "nothing was looked up" in report.reason


def test_missing_and_broken_archives_could_not_run(c: Context, env: Environment, tmp_path: Path) -> None:
    assert "no archive" in image_gate.check(c, env, SHA, tmp_path / "image.tar").reason
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"not a tar")
    assert image_gate.check(c, env, SHA, broken).outcome is Outcome.COULD_NOT_RUN


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["zero bytes", "other entries only", "gone"])
def test_damaged_database_could_not_run(
    c: Context, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    if damage == "other entries only":
        monkeypatch.setattr(databases, "trivy_entries", lambda found: _entries()[:2])
    file = trivy_database.find(c, env, Path("trivy")).folder / "db/trivy.db"
    if damage == "zero bytes":
        file.write_bytes(b"")
    elif damage == "gone":
        file.unlink()
    report = scan(c, env, tmp_path, HARMLESS | archive.python_package("urllib3", "1.24.1"))
    assert report.outcome is Outcome.COULD_NOT_RUN, damage


def _entries() -> list[dict[str, object]]:
    about = {"ID": "test", "Name": "test", "URL": "https://example.org"}
    fixed: dict[str, object] = {"path": ["debian 12", "openssl"], "key": "CVE-2030-1", "value": {"FixedVersion": "9"}}
    return [{"path": ["data-source"], "key": "debian 12", "value": about}, fixed]


@pytest.mark.slow
def test_operating_system_packages_count_where_the_database_covers_them(
    c: Context, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a database as Trivy's registry has it: the canary is planted for Debian, too, and must be caught there."""
    django = Advisory("CVE-2030-2", "django", severity=Severity.HIGH, spans=[Span("0", fixed="99")])
    monkeypatch.setattr(databases, "trivy_entries", lambda found: [*_entries(), *_own([django])])
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    own = trivy_database.find(c, env, Path("trivy"))
    about = Database(source="registry", date=own.about.date, digest=own.about.digest)
    built = databases.Built(own.folder, about, {}, {"pip": 1, "debian": 1}, ["debian 12"])
    monkeypatch.setattr(trivy_database, "find", lambda *_: built)
    report = scan(c, env, tmp_path, archive.debian(("openssl", "3.0.9-1")))
    assert report.outcome is Outcome.FINDINGS, report.reason
    assert report.canary.caught == ["pip", "debian"] and report.covered.packages == 1 and not report.notes
    (finding,) = report.findings
    assert (finding.id, finding.package, finding.fixed) == ("CVE-2030-1", "openssl", "9")


_own = databases.trivy_entries


@pytest.mark.parametrize(("script", "reason"), [("kill -9 $$", "was killed"), ("exit 0", "No such file")])
def test_scanner_that_did_not_look_could_not_run(
    c: Context, env: Environment, tmp_path: Path, use: Callable[[str, str], None], script: str, reason: str
) -> None:
    use("trivy", script)
    report = scan(c, env, tmp_path, HARMLESS)
    assert report.outcome is Outcome.COULD_NOT_RUN and reason in report.reason


def test_sbom_names_the_packages(c: Context, tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    archive.write(image, HARMLESS)
    made = json.loads(image_gate.sbom(c, image, tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert made["metadata"]["component"]["name"] == "slipway-service"  # and not where this machine keeps the archive
    assert str(tmp_path) not in json.dumps(made)
    assert made["specVersion"] == "1.6" and "six" in {one["name"] for one in made["components"]}
