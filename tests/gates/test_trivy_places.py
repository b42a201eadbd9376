"""Trivy's database from a real registry to a scan that counts, and every way in which it can be no good."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.errors import Stop
from tasks.lib.gates import (
    archive,
    databases,
    deps_gate,
    image_gate,
    trivy_database,
    trivy_places,
    update,
)
from tasks.lib.gates.models import Outcome
from tasks.lib.settings import Environment
from tests.gates import places
from tests.gates.conftest import Repo
from tests.gates.published import LONG_AGO, NO_ZIP, NOWHERE, SHA, Made, refused, scanned
from tests.gates.web import WebServer

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.slow
def test_from_a_registry_to_a_scan_that_production_accepts(
    c: Context, production: Callable[..., Environment], made: Made, registry: str, tmp_path: Path
) -> None:
    """The whole online path: the first place does not answer, Trivy downloads from the second, its canary is caught in
    Python and in Debian, and so both count."""
    zipped = str(made.home / "www/all.zip")
    env = production(trivy_databases=[NOWHERE, f"{registry}:2"], advisories=[NO_ZIP, zipped])
    rows = update.update(c, env)
    update.conclude(env, rows)
    advisories, safety, trivy = rows
    assert (advisories.source, safety.state, safety.age_days) == (zipped, "new", 0)
    assert (trivy.source, trivy.state, trivy.age_days, trivy.note) == (f"{registry}:2", "new", 0, "")
    assert trivy.holds["debian"] == 1 and trivy.holds["pip"] > 10 and trivy.bytes > 100_000
    assert {row.state for row in update.update(c, env)} == {"unchanged"}
    assert databases.identity(env, "image") == f"trivy {trivy.digest}"

    report = scanned(c, env, tmp_path)
    assert report.outcome is Outcome.FINDINGS, report.reason
    assert report.canary.planted == report.canary.caught == ["pip", "debian"] and report.covered.os == "debian 12.8"
    assert report.database is not None and report.database.digest == trivy.digest
    found = {(one.id, one.package, one.fixed) for one in report.findings}
    assert ("CVE-2023-2975", "openssl", "3.0.10-1~deb12u1") in found and any(one[1] == "urllib3" for one in found)
    assert refused(env, report) == ""


@pytest.mark.parametrize(
    ("files", "covers", "said"),
    [
        (archive.ubuntu(("openssl", "3.0.2-0ubuntu1")), ["pip", "debian", "ubuntu"], ""),
        (archive.alpine(("openssl", "3.1.0-r0")), ["pip", "debian", "alpine"], ""),
        (
            {name: text.replace("3.18.0", "3.22.1") for name, text in archive.alpine(("openssl", "3.1.0-r0")).items()},
            ["pip", "debian"],
            "the database covers pip and debian but production demands alpine too",
        ),
    ],
    ids=["ubuntu", "alpine", "a version that the database does not know"],
)
@pytest.mark.slow
def test_the_system_of_the_image_is_the_one_that_is_proven(
    c: Context,
    production: Callable[..., Environment],
    registry: str,
    tmp_path: Path,
    files: dict[str, str],
    covers: list[str],
    said: str,
) -> None:
    env = production(trivy_databases=[f"{registry}:2"])
    archive.write(tmp_path / "image.tar", archive.python_package("six", "1.17.0") | files)
    report = image_gate.check(c, env, SHA, tmp_path / "image.tar")
    assert report.database is not None and report.database.covers == covers, report.reason
    assert refused(env, report) == said
    assert [one.package for one in report.findings] == ([] if said else ["openssl"])
    assert bool(said) == any("operating-system packages were not covered" in note for note in report.notes)


def test_offline_the_kept_one_is_used_said_and_judged(
    c: Context,
    production: Callable[..., Environment],
    registry: str,
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env = production(trivy_databases=[f"{registry}:2"], advisories=[str(made.home / "www/all.zip")])
    update.update(c, env)

    def unreachable(*_: object) -> None:
        raise OSError("not reachable")

    monkeypatch.setattr(trivy_places, "_pull", unreachable)
    rows = update.update(c, env)
    update.show(env, rows)
    update.conclude(env, rows)
    assert rows[2].state == "kept" and rows[2].holds["debian"] == 1
    said = capsys.readouterr().out
    assert f"not updated from {registry}:2: not reachable" in said
    assert re.search(r"Trivy's database: still the kept copy of .*, 0 days old, which production accepts", said)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("old", r"its database is of 2020-\d\d-\d\d, 2\d{3} days old; production allows 7"),
        ("pip", "the database covers pip but production demands debian too"),
    ],
    ids=["2020", "python only"],
)
@pytest.mark.slow
def test_a_database_of_2020_and_one_of_python_only_could_not_run(
    c: Context, production: Callable[..., Environment], registry: str, tmp_path: Path, tag: str, said: str
) -> None:
    """Trivy itself says nothing about either, and ends with 0."""
    env = production(trivy_databases=[f"{registry}:{tag}"], advisories=[NO_ZIP])
    report = scanned(c, env, tmp_path)
    assert report.outcome is Outcome.FINDINGS, report.reason
    assert re.fullmatch(said, refused(env, report))
    with pytest.raises(Stop, match=r"deps: only the shipped snapshot .*; image: ") as caught:
        update.conclude(env, update.update(c, env))
    assert caught.value.code == 4 and "gates.mirrors" in caught.value.fix


@pytest.mark.slow
def test_an_empty_file_with_valid_metadata_could_not_run(
    c: Context, production: Callable[..., Environment], registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What parallel runs of older Trivys leave; Trivy finds nothing in it and ends with 0."""
    env = production(trivy_databases=[f"{registry}:2"])
    file = trivy_database.find(c, env).folder / trivy_places.FILE
    file.write_bytes(b"")
    pull = trivy_places._pull

    def unreachable(*_: object) -> None:
        raise OSError("not reachable")

    monkeypatch.setattr(trivy_places, "_pull", unreachable)
    report = scanned(c, env, tmp_path)
    assert report.outcome is Outcome.COULD_NOT_RUN and "is damaged: 0 bytes of" in report.reason
    assert report.notes == ["next: ./inv scan.update --env production"]
    monkeypatch.setattr(trivy_places, "_pull", pull)
    update.update(c, env)
    assert scanned(c, env, tmp_path).outcome is Outcome.FINDINGS


@pytest.mark.parametrize(
    "damage", ["empty", "no vulnerabilities", "schema", "not a tar", "one file", "older", "future"]
)
def test_a_bad_download_of_trivys_database_never_replaces_a_good_one(
    c: Context, production: Callable[..., Environment], made: Made, tmp_path: Path, damage: str
) -> None:
    published = tmp_path / "www/trivy"
    shutil.copytree(made.database(), published / "db")
    with WebServer(tmp_path / "www") as web:
        (published / "db.tar.gz").write_bytes(places.packed(published / "db"))
        place = f"{web.base}/trivy/db.tar.gz"
        good = trivy_places.refresh(c, place)
        _damage(published, made, damage)
        with pytest.raises(OSError, match=DAMAGES[damage]):
            trivy_places.refresh(c, place, always=True)
    env = production(trivy_databases=[place])
    assert trivy_database.find(c, env).about.digest == good.digest


DAMAGES = {
    "empty": "trivydb ended with exit code",
    "no vulnerabilities": "only 1 vulnerabilities",
    "schema": "it has schema 1, and Trivy reads 2",
    "not a tar": "not a db.tar.gz",
    "one file": "not a db.tar.gz with trivy.db and metadata.json",
    "older": "older than the kept one",
    "future": "dated in the future",
}


def _damage(published: Path, made: Made, damage: str) -> None:
    folder = published / "db"
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    if damage == "empty":
        (folder / "trivy.db").write_bytes(b"")
    elif damage == "no vulnerabilities":
        (folder / "trivy.db").unlink()
        (folder / "e").write_text('{"path": ["vulnerability"], "key": "CVE-1", "value": {}}\n', encoding="utf-8")
        subprocess.run([made.programs["trivydb"], folder, folder / "e"], check=True, capture_output=True, timeout=60)
    elif damage == "schema":
        metadata["Version"] = 1
    elif damage in ("older", "future"):
        metadata["UpdatedAt"] = places.stamp(LONG_AGO if damage == "older" else places.TODAY + timedelta(days=3))
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    packed = places.packed(folder)
    if damage == "not a tar":
        packed = packed[: len(packed) // 2]
    elif damage == "one file":
        subprocess.run(["tar", "-czf", published / "t", "-C", folder, "trivy.db"], check=True, timeout=60)
        packed = (published / "t").read_bytes()
    (published / "db.tar.gz").write_bytes(packed)


@pytest.mark.slow
def test_safety_sees_what_a_mirror_has(
    c: Context, production: Callable[..., Environment], made: Made, repo: Repo
) -> None:
    with WebServer(made.home / "www") as web:
        env = production(advisories=[web.url])
        text = {"requirements.txt": "urllib3==1.24.1\n", "service/requirements.txt": "six==1.17.0\n"}
        report = deps_gate.check(c, env, repo.commit(dict(text)), repo.path)
    assert report.outcome is Outcome.FINDINGS, report.reason
    assert report.database is not None and report.database.source == web.url and refused(env, report) == ""
