"""scan.update with the real things: a registry with Trivy's database, Trivy, Safety, a copy for machines offline."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.program import Program
from ruamel.yaml import YAML

import tasks
from tasks import scan
from tasks.lib import paths, settings, tools
from tasks.lib.errors import Stop
from tasks.lib.gates import (
    advisories,
    archive,
    databases,
    deps_gate,
    image_gate,
    kept,
    policy,
    sources,
    trivy_database,
    trivy_places,
    update,
)
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.settings import Environment, Gates
from tests.gates import places
from tests.gates.conftest import Repo
from tests.gates.web import WebServer

SHA = "d" * 40
NOWHERE = "127.0.0.1:9/team/trivy-db:2"
NO_ZIP = "http://127.0.0.1:9/all.zip"
LONG_AGO = places.TODAY.replace(year=2020)


@dataclasses.dataclass(frozen=True)
class Made:
    """Databases as the world publishes them, made once; and programs."""

    home: Path
    programs: dict[str, Path]

    def database(self, name: str = "today") -> Path:
        return self.home / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("made")
    found = tools.paths(Context(), ["trivy", "trivydb", "safety", "crane", "docker-registry"])
    zipped = places.advisories_of(places.TODAY, home / "www/all.zip", places.FEW)
    snapshot = datetime(2024, 10, 10, tzinfo=timezone.utc)
    places.advisories_of(snapshot, home / "pypi-advisories-2024-10.zip", places.FEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advisories, "MINIMUM", 100)
        places.trivy_database(found["trivydb"], zipped, home / "today")
        places.trivy_database(found["trivydb"], zipped, home / "2020", LONG_AGO)
        places.trivy_database(found["trivydb"], zipped, home / "pip only", system=False)
    return Made(home, found)


@pytest.fixture(scope="module")
def registry(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """repository:tag in a real registry; every kind of database has a tag."""
    scratch = tmp_path_factory.mktemp("registry")
    with places.registry(made.programs["docker-registry"], scratch / "home") as host:
        repository = f"{host}/aquasecurity/trivy-db"
        for tag, name in (("2", "today"), ("old", "2020"), ("pip", "pip only")):
            layer = places.packed(made.database(name))
            places.push(made.programs["crane"], f"{repository}:{tag}", layer, scratch / tag)
        yield repository


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Made) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(advisories, "MINIMUM", 100)
    monkeypatch.setattr(trivy_places, "MINIMUM", 100)
    monkeypatch.setattr(sources, "SNAPSHOT", made.home / "pypi-advisories-2024-10.zip")
    monkeypatch.setattr(tools, "path", lambda _c, name: made.programs[name])


@pytest.fixture
def production(env: Environment) -> Callable[..., Environment]:
    """production(trivy_databases=[...]): settings as production has them, with these places."""

    def gates(**places: list[str]) -> Environment:
        return env.model_copy(update={"name": "production", "gates": Gates.model_validate(places)})

    return gates


def scanned(c: Context, env: Environment, tmp_path: Path) -> Report:
    image = tmp_path / "image.tar"
    files = archive.python_package("urllib3", "1.24.1") | archive.debian(("openssl", "3.0.9-1"), ("bash", "5.2-1"))
    archive.write(image, files)
    return image_gate.check(c, env, SHA, image)


def refused(env: Environment, report: Report) -> str:
    """Why the verdict of this environment takes the report for one that could not run."""
    assert report.database is not None, report.reason
    return policy.unusable(env, report.gate, report.database, report.database.covers, report.covered.os)


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


@pytest.mark.parametrize("by", ["folder", "file URL", "web server"])
def test_an_export_is_all_that_a_machine_without_a_network_needs(
    c: Context,
    production: Callable[..., Environment],
    made: Made,
    registry: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    online = production(trivy_databases=[f"{registry}:2"], advisories=[str(made.home / "www/all.zip")])
    folder = tmp_path / "stick"
    there = update.update(c, online)
    assert [path.name for path in update.export(c, online, folder)] == ["all.zip", "db.tar.gz"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True, timeout=60)

    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "another machine")
    with WebServer(folder) as web:
        mirror = {"folder": str(folder), "file URL": folder.as_uri(), "web server": web.base}[by]
        env = production(mirrors=[mirror])
        rows = update.update(c, env)
        update.conclude(env, rows)
    assert [(row.digest, row.state) for row in rows] == [(row.digest, "new") for row in there]
    assert all(row.source.startswith(mirror) for row in rows)
    assert refused(env, scanned(c, env, tmp_path)) == ""
    shutil.rmtree(folder)  # what is kept does without it
    monkeypatch.setattr(kept, "FRESH", timedelta(0))
    assert {row.state for row in update.update(c, env)} == {"kept"}


def test_a_mirror_without_trivys_database_makes_it_from_the_advisories(
    c: Context, production: Callable[..., Environment], made: Made, tmp_path: Path
) -> None:
    online = production(trivy_databases=[NOWHERE], advisories=[str(made.home / "www/all.zip")])
    folder = tmp_path / "stick"
    assert [path.name for path in update.export(c, online, folder)] == ["all.zip"]
    env = production(mirrors=[str(folder)])
    rows = update.update(c, env)
    assert [row.refused for row in rows] == [
        "",
        "",
        "the database covers pip but production demands the operating system of the image too",
    ]
    assert rows[2].what == "Trivy's database, made from them" and rows[2].age_days == 0


def test_the_shipped_snapshot_is_not_handed_on_as_something_better(
    c: Context, production: Callable[..., Environment], tmp_path: Path
) -> None:
    env = production(trivy_databases=[NOWHERE], advisories=[NO_ZIP])
    with pytest.raises(Stop, match="only the shipped snapshot") as caught:
        update.export(c, env, tmp_path / "stick")
    assert caught.value.code == 4 and not (tmp_path / "stick").exists()


def test_safety_sees_what_a_mirror_has(
    c: Context, production: Callable[..., Environment], made: Made, repo: Repo
) -> None:
    with WebServer(made.home / "www") as web:
        env = production(advisories=[web.url])
        text = {"requirements.txt": "urllib3==1.24.1\n", "service/requirements.txt": "six==1.17.0\n"}
        report = deps_gate.check(c, env, repo.commit(dict(text)), repo.path)
    assert report.outcome is Outcome.FINDINGS, report.reason
    assert report.database is not None and report.database.source == web.url and refused(env, report) == ""


# The task


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Environment], None]:
    """The environment that the task gets, whatever its name."""

    def get(env: Environment) -> None:
        monkeypatch.setattr(settings, "load", lambda _: env)

    return get


def test_the_local_platform_is_content_with_the_snapshot_and_says_so(
    c: Context, env: Environment, asked: Callable[[Environment], None], capsys: pytest.CaptureFixture[str]
) -> None:
    policy_of_local = env.gates.model_dump() | {"trivy_databases": [NOWHERE], "advisories": [NO_ZIP]}
    asked(env.model_copy(update={"gates": Gates.model_validate(policy_of_local)}))
    scan.update(c)
    said = capsys.readouterr().out
    assert f"warning: not updated from {NOWHERE}: not reachable" in said
    assert re.search(r"still the shipped snapshot of 2024-10-10, \d+ days old, which local accepts", said)


def test_what_production_does_not_accept_is_4_and_json_stays_json(
    c: Context,
    production: Callable[..., Environment],
    asked: Callable[[Environment], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked(production(trivy_databases=[NOWHERE], advisories=[NO_ZIP]))
    with pytest.raises(Stop, match="deps and image: only the shipped snapshot") as caught:
        scan.update(c, json=True)
    said = json.loads(capsys.readouterr().out)
    assert caught.value.code == 4 and said["accepted"] is False and said["environment"] == "production"
    assert [row["state"] for row in said["databases"]] == ["snapshot"] * 3
    assert said["databases"][0]["bytes"] == sources.SNAPSHOT.stat().st_size


def test_places_are_checked_when_the_settings_are_read() -> None:
    for wrong in ("ftp://example.com/all.zip", "relative/all.zip"):
        with pytest.raises(ValueError, match="neither an"):
            Gates(mirrors=[wrong])
    with pytest.raises(ValueError, match="netrc"):
        Gates(advisories=["https://ann:secret@example.com/all.zip"])


# docs/databases.md

PAGE = paths.ROOT / "docs/databases.md"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_the_settings_of_the_page_hold_and_the_first_are_the_defaults() -> None:
    settled = [Gates.model_validate(YAML(typ="safe").load(text)["gates"]) for text in blocks("yaml")]
    assert settled[0] == Gates()
    assert settled[1].trivy_places[1] == "/mnt/stick/trivy/db.tar.gz"


def test_the_lines_of_the_page_do_what_it_says(
    c: Context,
    production: Callable[..., Environment],
    made: Made,
    registry: str,
    tmp_path: Path,
    asked: Callable[[Environment], None],
) -> None:
    stick = tmp_path / "stick"
    asked(production(trivy_databases=[f"{registry}:2"], advisories=[str(made.home / "www/all.zip")]))
    lines = [line.partition(" #")[0] for text in blocks("sh") for line in text.splitlines() if "./inv" in line]
    assert len(lines) == 4 and lines[-1].endswith("--export /mnt/stick")
    for line in lines:
        Program(namespace=tasks.ns).run(line.replace("/mnt/stick", str(stick)).split())  # exits where a line fails
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=stick, check=True, capture_output=True, timeout=60)
    # Its first mirror does not answer, as none will that is named example.com; the stick has everything.
    named = YAML(typ="safe").load(blocks("yaml")[1].replace("/mnt/stick", str(stick)))["gates"]["mirrors"]
    rows = update.update(c, production(mirrors=named))
    assert [row.source.startswith(str(stick)) for row in rows] == [True] * 3
