"""Planted vulnerable pins are found, and what cannot be looked up is no pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths
from tasks.lib.errors import Stop
from tasks.lib.gates import databases, deps_gate
from tasks.lib.gates.advisories import Advisory, Span
from tasks.lib.gates.models import Outcome, Report
from tasks.lib.gates.safety_output import About, CheckReport
from tasks.lib.settings import Environment
from tests.gates.conftest import Repo

HARMLESS = "six==1.17.0"


def scan(c: Context, env: Environment, repo: Repo, root: str, service: str = HARMLESS) -> Report:
    sha = repo.commit({"requirements.txt": f"{root}\n", "service/requirements.txt": f"{service}\n"})
    return deps_gate.check(c, env, sha, repo.path)


@pytest.mark.usefixtures("programs")
@pytest.mark.slow
def test_planted_vulnerable_pins_are_found_with_place_and_fix(c: Context, env: Environment, repo: Repo) -> None:
    report = scan(c, env, repo, f"# locked\n{HARMLESS}\n", "urllib3==1.24.1 \\\n    --hash=sha256:00\ndjango==4.2rc1")
    assert report.outcome is Outcome.FINDINGS, report.reason
    found = {finding.id: finding for finding in report.findings}
    one = found["CVE-2019-11324"]
    assert (one.package, one.installed, one.fixed) == ("urllib3", "1.24.1", "1.24.2")
    assert one.where == "service/requirements.txt:1" and one.aliases
    # A pre-release of a vulnerable series counts too; Safety leaves those out of a plain "<4.2.1".
    assert "django" in {finding.package for finding in report.findings}
    assert report.canary.caught == ["pyyaml==5.1"] and report.database is not None
    assert report.database.covers == ["pip"] and report.database.snapshot and report.covered.packages == 3


@pytest.mark.usefixtures("programs")
@pytest.mark.slow
def test_clean_pins_pass_whatever_the_user_has_set(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETY_API_KEY", "not-a-real-one")  # with it, Safety ignores --db
    report = scan(c, env, repo, HARMLESS)
    assert (report.outcome, report.reason) == (Outcome.PASS, "")


@pytest.mark.parametrize(
    "text", ["flask>=2", "flask", "-r other.txt", "flask==2.*", "flask @ https://example.org/f.whl"]
)
def test_unpinned_requirement_could_not_run(c: Context, env: Environment, repo: Repo, text: str) -> None:
    report = scan(c, env, repo, f"{HARMLESS}\n{text}")
    assert report.outcome is Outcome.COULD_NOT_RUN
    assert "requirements.txt:2" in report.reason and "not pinned" in report.reason


def test_missing_and_empty_files_could_not_run(c: Context, env: Environment, repo: Repo) -> None:
    sha = repo.commit({"requirements.txt": HARMLESS})
    assert "has no service/requirements.txt" in deps_gate.check(c, env, sha, repo.path).reason
    assert "names no package" in scan(c, env, repo, "# nothing").reason


def test_every_requirements_file_of_the_commit_is_read(c: Context, env: Environment, repo: Repo) -> None:
    repo.commit({"tools/x/requirements.txt": "jinja2==2.10\n", "dev-requirements.txt": "six==1.16.0\n"})
    sha = repo.commit({"requirements.txt": HARMLESS, "service/requirements.txt": HARMLESS})
    pins = {(pin.name, pin.file) for pin in deps_gate.read_pins(c, sha, repo.path)}
    assert {("jinja2", "tools/x/requirements.txt"), ("six", "dev-requirements.txt")} <= pins
    assert "not pinned" in scan(c, env, Repo(repo.path.with_name("other")), HARMLESS, "flask").reason


def test_the_commit_is_read_and_not_the_working_tree(c: Context, repo: Repo) -> None:
    sha = repo.commit({"requirements.txt": HARMLESS, "service/requirements.txt": HARMLESS})
    (repo.path / "requirements.txt").write_text("flask\n", encoding="utf-8")
    assert {pin.name for pin in deps_gate.read_pins(c, sha, repo.path)} == {"six"}


@pytest.mark.slow
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("damage", ["zero bytes", "no entries", "other schema"])
def test_damaged_database_could_not_run(
    c: Context, env: Environment, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    folder = databases.safety(env).folder
    for file in ("insecure.json", "insecure_full.json"):
        data = json.loads((folder / file).read_text(encoding="utf-8"))
        if damage == "no entries":
            data["vulnerable_packages"] = {}
        data["meta"]["schema_version"] = "1.0.0" if damage == "other schema" else "2.0.0"
        (folder / file).write_text("" if damage == "zero bytes" else json.dumps(data), encoding="utf-8")
    report = scan(c, env, repo, HARMLESS)
    assert report.outcome is Outcome.COULD_NOT_RUN, damage


@pytest.mark.parametrize(
    ("script", "reason"),
    [("kill -9 $$", "was killed"), ("exit 0", "cannot be understood"), ("exit 68", "exit code 68")],
)
def test_scanner_that_did_not_look_could_not_run(
    c: Context, env: Environment, repo: Repo, use: Callable[[str, str], None], script: str, reason: str
) -> None:
    use("safety", script)
    report = scan(c, env, repo, "urllib3==1.24.1")
    assert report.outcome is Outcome.COULD_NOT_RUN and reason in report.reason


def test_a_line_that_the_scanner_leaves_out_is_noticed() -> None:
    seen = {"six": {"requirements": [{"name": "six", "specifier": "==1.17.0"}]}}
    answer = CheckReport(report_meta=About(safety_version="3.7.0"), scanned_packages=seen, vulnerabilities=[])
    with pytest.raises(Stop, match=r"did not look at flask==2\.0"):
        deps_gate._all_looked_at(answer, [("six", "1.17.0"), ("flask", "2.0")])


def test_specifiers_hold_pre_releases_and_stop_at_the_fix() -> None:
    from packaging.specifiers import SpecifierSet

    advisory = Advisory("X-1", "p", spans=[Span("0", fixed="2.0"), Span("3.0", last="3.1")], versions={"2.5"})
    specs = [SpecifierSet(text) for text in databases.safety_specs(advisory)]
    held = {v for v in ("1.9", "2.0rc1", "2.0", "2.5", "3.0", "3.1", "3.2") if any(s.contains(v) for s in specs)}
    assert held == {"1.9", "2.0rc1", "2.5", "3.0", "3.1"}
