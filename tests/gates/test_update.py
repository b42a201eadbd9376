"""scan.update: what it says, what it hands on to machines without a network, and what its page promises."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.program import Program
from ruamel.yaml import YAML

import tasks
from tasks import scan
from tasks.lib import paths, settings
from tasks.lib.errors import Stop
from tasks.lib.gates import (
    kept,
    sources,
    update,
)
from tasks.lib.settings import Environment, Gates
from tests.gates.published import NO_ZIP, NOWHERE, Made, refused, scanned
from tests.gates.web import WebServer

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize("by", ["folder", "file URL", "web server"])
@pytest.mark.slow
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
    for place in ("https://ann:secret@example.com/all.zip", "https://example.com/all.zip?token=secret"):
        with pytest.raises(ValueError, match="netrc"):
            Gates(advisories=[place])
        with pytest.raises(ValueError, match="netrc"):
            Gates(trivy_databases=[place])
    with pytest.raises(ValueError, match="neither an"):
        Gates(trivy_databases=["ann:secret@registry.example.com/trivy-db:2"])
    assert Gates(trivy_databases=["registry.example.com:5000/team/trivy-db:2", "/mnt/stick/db.tar.gz"])


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


@pytest.mark.slow
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
        whole = copy.deepcopy(tasks.ns)  # Invoke takes the help texts out of the tasks
        Program(namespace=whole).run(line.replace("/mnt/stick", str(stick)).split())  # exits where a line fails
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=stick, check=True, capture_output=True, timeout=60)
    # Its first mirror does not answer, as none will that is named example.com; the stick has everything.
    named = YAML(typ="safe").load(blocks("yaml")[1].replace("/mnt/stick", str(stick)))["gates"]["mirrors"]
    rows = update.update(c, production(mirrors=named))
    assert [row.source.startswith(str(stick)) for row in rows] == [True] * 3
