"""Waivers are written after asking, never against the rules, and nothing else in the file changes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from ruamel.yaml import YAML

from tasks import findings
from tasks.lib import paths, terminal
from tasks.lib.errors import Stop
from tasks.lib.gates import archive, ignore_files, judgement, store, trivy_database, waiver_list, waivers, waiving
from tasks.lib.gates.waiving import Wish
from tasks.lib.runner import run
from tasks.lib.settings import Environment, Severity
from tests.gates import reporting
from tests.gates.conftest import Repo

TODAY = waivers.today()
IN_30 = TODAY + timedelta(days=30)
WISH = Wish("CVE-2030-1", "", "deps,local", "Olga <o@e.org>", "Ann", "not reached: 'x'", "", "30")
FILE = """# top
waivers:
  # the list
  - id: 'CVE-2000-1'   # quoted
    package: six
    applies: [all]
    owner: o
    approver: a
    reason: >-
      folded
      text
    created: 2026-01-01
    expires: 2026-03-01

# Exact values.
published:
  - {id: U, file: f, reason: r, approver: p}
"""


@pytest.fixture
def scanned(repo: Repo) -> str:
    """A commit whose deps found two things and whose image found one of them again."""
    sha = repo.commit({waivers.FILE: "waivers: []\n"})
    flask = reporting.finding("CVE-2030-1", aliases=["GHSA-1"], purl="pkg:pypi/flask@1.0")
    other = reporting.finding("CVE-2030-1", package="six")
    critical = reporting.finding("CVE-2030-9", Severity.CRITICAL)
    store.write(reporting.report("deps", flask, critical, commit=sha))
    store.write(reporting.report("image", other, commit=sha))
    return sha


def waive(c: Context, repo: Repo, sha: str, yes: bool = True, **changes: str) -> waivers.Waiver:
    return waiving.waive(c, sha, replace(WISH, **{"package": "flask", **changes}), yes, repo.path)


def text(repo: Repo) -> str:
    return (repo.path / waivers.FILE).read_text()


def test_a_waiver_is_written_and_accepts_its_finding(c: Context, env: Environment, repo: Repo, scanned: str) -> None:
    made = waive(c, repo, scanned)
    assert waivers.parse(text(repo)).waivers == [made] and (made.created, made.expires) == (TODAY, IN_30)
    sha = repo.commit({})
    store.write(store.read(scanned, "deps").model_copy(update={"commit": sha}))
    (gate,) = judgement.judge(c, env, sha, ("deps",), repo.path).gates
    assert gate.waived == ["CVE-2030-1"]


def test_everything_else_in_the_file_stays(c: Context, repo: Repo, scanned: str) -> None:
    repo.commit({waivers.FILE: FILE})
    waive(c, repo, scanned)
    lines = text(repo).splitlines()
    assert [line for line in FILE.splitlines() if line not in lines] == []
    assert waivers.parse(text(repo)).waivers[0].id == "CVE-2030-1"
    data = YAML(typ="safe").load(text(repo))
    assert data["published"] == YAML(typ="safe").load(FILE)["published"] and data["waivers"][1]["id"] == "CVE-2000-1"


@pytest.mark.parametrize("before", [None, "", "# only words\n", "published: []\n"])
def test_the_file_may_be_missing_or_empty(c: Context, repo: Repo, scanned: str, before: str | None) -> None:
    repo.commit({waivers.FILE: before})
    waive(c, repo, scanned)
    assert len(waivers.parse(text(repo)).waivers) == 1 and (before or "") in text(repo)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "CVE-1"}, "no report of this commit has CVE-1; found: CVE-2030-1, CVE-2030-9"),
        ({"package": ""}, "CVE-2030-1 is in flask, six; name one with --package"),
        ({"package": "django"}, "CVE-2030-1 is not in django but in flask, six"),
        ({"package": "pkg:pypi/flask@2"}, "is not in pkg:pypi/flask@2"),
        ({"expires": "91"}, "lasts 91 days; at most 90"),
        ({"expires": str(TODAY - timedelta(days=1))}, "expires before it is created"),
        ({"expires": "soon"}, "'soon' is neither a day such as"),
        ({"expires": "9" * 30}, "is neither a day"),
        ({"id": "CVE-2030-9", "expires": "31"}, "the finding is critical: at most 30 days"),
        ({"applies": "deps,lokal"}, "applies to unknown lokal"),
        ({"applies": ","}, "applies: List should have at least 1 item"),
        ({"applies": "image"}, "it would match nothing: deps found it, not image"),
        ({"reason": " "}, "reason"),
        ({"owner": ""}, "there is no terminal to ask for --owner"),
    ],
)
def test_what_the_rules_refuse_is_not_written(
    c: Context, repo: Repo, scanned: str, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(Stop) as stop:
        waive(c, repo, scanned, **changes)
    assert said in stop.value.sentence and stop.value.code == 2 and text(repo) == "waivers: []\n"
    if "in flask, six" in said:
        assert stop.value.fix == "./inv scan.waive --id CVE-2030-1 --package flask"


def test_the_same_waiver_is_not_written_twice(c: Context, repo: Repo, scanned: str) -> None:
    waive(c, repo, scanned)
    with pytest.raises(Stop, match="it is there already, until"):
        waive(c, repo, scanned, expires="20")
    waive(c, repo, scanned, package="pkg:pypi/flask", id="GHSA-1")
    assert [one.subject for one in waivers.parse(text(repo)).waivers] == ["pkg:pypi/flask", "flask"]


def test_without_agreement_nothing_is_written(c: Context, repo: Repo, scanned: str) -> None:
    with pytest.raises(Stop, match="add --yes") as stop:
        waive(c, repo, scanned, yes=False)
    assert stop.value.code == 2 and text(repo) == "waivers: []\n"


def test_nothing_can_be_waived_in_a_commit_that_was_not_scanned(c: Context, repo: Repo) -> None:
    with pytest.raises(Stop, match="has no report") as stop:
        waive(c, repo, repo.commit({"a": "1"}))
    assert stop.value.code == 4


def test_a_broken_file_is_left_alone(c: Context, repo: Repo, scanned: str) -> None:
    repo.commit({waivers.FILE: "waivers: [\n"})
    with pytest.raises(Stop, match="is not YAML") as stop:
        waive(c, repo, scanned)
    assert stop.value.code == 3 and text(repo) == "waivers: [\n"


ASKED = """
import sys
from pathlib import Path
from invoke.context import Context
from tasks.lib import paths
from tasks.lib.gates import waiving
paths.work = lambda: Path(sys.argv[2])
waiving.waive(Context(), sys.argv[3], waiving.Wish(), repo=Path(sys.argv[1]))
"""


@pytest.mark.parametrize(("last", "written"), [("y", True), ("", False)])
@pytest.mark.slow
def test_a_person_at_a_terminal_is_asked_for_everything(repo: Repo, scanned: str, last: str, written: bool) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", ASKED, str(repo.path), str(paths.work()), scanned]
    process = subprocess.Popen(words, cwd=paths.ROOT, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    answers = ["CVE-2030-1", "flask", "", "", "Ann", "not reached", "7", "SEC-1", last]
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    _, errors = process.communicate(timeout=60)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "Found in this commit" in shown and "Who agreed:" in shown, errors
    made = waivers.parse(text(repo)).waivers
    assert bool(made) is written
    if made:
        (one,) = made
        assert (one.applies, one.approver, one.ticket, one.expires) == (
            ["deps"],
            "Ann",
            "SEC-1",
            TODAY + timedelta(days=7),
        )


def entry(**changes: Any) -> waivers.Waiver:
    about = {"id": "X", "package": "p", "applies": ["all"], "owner": "o", "approver": "a", "reason": "r"}
    return waivers.Waiver.model_validate({**about, "created": TODAY, "expires": IN_30, **changes})


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def show(*entries: waivers.Waiver, **options: bool) -> int:
        monkeypatch.setattr(waivers, "load", lambda: waivers.Waivers(waivers=list(entries)))
        terminal._console.cache_clear()
        try:
            findings.waivers(Context(), **options)
        except Stop as stop:
            return stop.code
        return 0

    return show


def test_the_list_says_how_many_days_are_left(listed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(entry(), entry(id="Y", expires=TODAY + timedelta(days=3))) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("X", "Y"))]
    assert [(line[0], line[6], line[7]) for line in lines] == [("Y", "3", "ends"), ("X", "30", "holds")]


@pytest.mark.parametrize(
    "changes",
    [
        {"created": TODAY - timedelta(days=9), "expires": TODAY - timedelta(days=1)},
        {"applies": ["lokal"]},
        {"expires": TODAY + timedelta(days=91)},
    ],
)
def test_the_list_fails_when_one_does_not_hold(
    listed: Callable[..., int], capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    assert listed(entry(id="Good"), entry(**changes), json=True) == 3
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["Good"]["state"] == waiver_list.HOLDS and rows["Good"]["days_left"] == 30
    assert rows["X"]["state"] in (waiver_list.EXPIRED, waiver_list.INVALID) and len(rows["X"]["faults"]) == 1


def test_the_ignore_files_hold_what_is_valid_today_only(listed: Callable[..., int]) -> None:
    old = entry(id="Old", created=TODAY - timedelta(days=9), expires=TODAY - timedelta(days=1))
    assert (
        listed(entry(), entry(id="12345"), entry(id="D", applies=["config"], package="a/Dockerfile.x"), old, write=True)
        == 3
    )
    made = YAML(typ="safe").load((ignore_files.folder() / ignore_files.TRIVY).read_text())
    assert [one["id"] for one in made["vulnerabilities"]] == ["X", "12345"]
    assert made["vulnerabilities"][0]["expired_at"] == IN_30 + timedelta(days=1)
    assert [(one["id"], one["paths"]) for one in made["misconfigurations"]] == [("D", ["a/Dockerfile.x"])]
    policy = YAML(typ="safe").load((ignore_files.folder() / ignore_files.SAFETY).read_text())
    assert list(policy["security"]["ignore-vulnerabilities"]) == [12345]


@pytest.mark.slow
def test_trivy_itself_hides_what_is_waived_and_nothing_else(
    c: Context, env: Environment, tmp_path: Path, programs: dict[str, Path]
) -> None:
    image = tmp_path / "image.tar"
    archive.write(image, archive.python_package("urllib3", "1.24.1") | archive.python_package("jinja2", "2.10"))
    database = trivy_database.find(c, env, programs["trivy"]).folder
    words: list[str | Path] = [programs["trivy"], "image", "--input", image, "--scanners", "vuln", "--format", "json"]
    words += ["--cache-dir", database, "--cache-backend", "memory", "--skip-db-update", "--offline-scan", "--quiet"]

    def found(*options: str | Path) -> set[tuple[str, str]]:
        answer = json.loads(run(c, [*words, *options], step="trivy", timeout=120, cwd=tmp_path).stdout)
        results = answer["Results"]
        return {(one["VulnerabilityID"], one["PkgName"]) for row in results for one in row.get("Vulnerabilities", [])}

    everything = found()
    assert ("CVE-2019-11324", "urllib3") in everything and len(everything) > 3
    for waived in ({"package": "urllib3"}, {"package": None, "purl": "pkg:pypi/urllib3@1.24.1"}):
        ignore_files.write([entry(id="CVE-2019-11324", **waived)], TODAY)
        left = found("--ignorefile", ignore_files.folder() / ignore_files.TRIVY)
        assert everything - left == {("CVE-2019-11324", "urllib3")}
    ignore_files.write([entry(id="CVE-2019-11324", package="jinja2")], TODAY)
    assert found("--ignorefile", ignore_files.folder() / ignore_files.TRIVY) == everything
