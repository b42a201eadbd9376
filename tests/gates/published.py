"""Databases as the world publishes them, made once and served by a real registry; and who demands what of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.gates import (
    advisories,
    archive,
    image_gate,
    policy,
    sources,
    trivy_places,
)
from tasks.lib.gates.models import Report
from tasks.lib.settings import Environment, Gates
from tests.gates import places

NOWHERE = "127.0.0.1:9/team/trivy-db:2"
NO_ZIP = "http://127.0.0.1:9/all.zip"
LONG_AGO = places.TODAY.replace(year=2020)
SHA = "d" * 40


@dataclasses.dataclass(frozen=True)
class Made:
    """Databases as the world publishes them, made once; and programs."""

    home: Path
    programs: dict[str, Path]

    def database(self, name: str = "today") -> Path:
        return self.home / name


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def registry(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """repository:tag in a real registry; every kind of database has a tag."""
    scratch = tmp_path_factory.mktemp("registry")
    with places.registry(made.programs["docker-registry"], scratch / "home") as host:
        repository = f"{host}/aquasecurity/trivy-db"
        for tag, name in (("2", "today"), ("old", "2020"), ("pip", "pip only")):
            layer = places.packed(made.database(name))
            places.push(made.programs["crane"], f"{repository}:{tag}", layer, scratch / tag)
        yield repository


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Made) -> None:
    """A cache of the test's own, the programs, and few advisories instead of many."""
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(advisories, "MINIMUM", 100)
    monkeypatch.setattr(trivy_places, "MINIMUM", 100)
    monkeypatch.setattr(sources, "SNAPSHOT", made.home / "pypi-advisories-2024-10.zip")
    monkeypatch.setattr(tools, "path", lambda _c, name: made.programs[name])


@pytest.fixture
def production(env: Environment) -> Callable[..., Environment]:
    """production(trivy_databases=[...]): settings as production has them, with these places."""

    def gates(**given: list[str]) -> Environment:
        return env.model_copy(update={"name": "production", "gates": Gates.model_validate(given)})

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
