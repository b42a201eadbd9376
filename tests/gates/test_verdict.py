"""What lets a commit through: every required report, of this commit, with nothing serious that is not waived."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from invoke.context import Context

from tasks.lib import gates, git
from tasks.lib.errors import Stop
from tasks.lib.gates import store, waivers
from tasks.lib.gates.models import Canary, Database, Finding, Outcome, Report
from tasks.lib.settings import Environment, Gates, Severity

SHA, OTHER = "a" * 40, "b" * 40


def report(gate: str, *findings: Finding, **changes: object) -> Report:
    kept = Report(
        gate=gate,
        commit=SHA,
        outcome=Outcome.FINDINGS if findings else Outcome.PASS,
        tool="tool",
        version="1",
        canary=Canary(planted=["one"], caught=["one"]),
        findings=list(findings),
        ended=datetime.now(timezone.utc),
    )
    kept = kept.model_copy(update=changes)
    store.write(kept)
    return kept


def finding(severity: Severity = Severity.HIGH, name: str = "CVE-2030-1") -> Finding:
    return Finding(id=name, severity=severity, title="bad", package="flask", installed="1.0", fixed="2.0", file="r.txt")


def database(days: int, snapshot: bool = False) -> Database:
    date = datetime.now(timezone.utc) - timedelta(days=days)
    return Database(source="somewhere", date=date, digest="sha256:0", snapshot=snapshot, covers=["pip"])


@pytest.fixture
def all_pass() -> None:
    for gate in gates.GATES:
        report(gate)


@pytest.fixture(autouse=True)
def no_waivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of these tests is none, so it holds no waivers; test_waivers.py has real ones."""
    monkeypatch.setattr(waivers, "of_commit", lambda *_: waivers.Waivers())
    monkeypatch.setattr(git, "ask", lambda *_, **__: "")


def code(c: Context, env: Environment, required: tuple[str, ...] = gates.GATES) -> int:
    try:
        gates.verdict(c, env, SHA, required)
    except Stop as stop:
        return stop.code
    return 0


def strict(env: Environment, **changes: object) -> Environment:
    return env.model_copy(update={"gates": Gates.model_validate(changes)})


@pytest.mark.usefixtures("all_pass")
def test_all_gates_passed(c: Context, env: Environment) -> None:
    assert code(c, env) == 0


@pytest.mark.usefixtures("all_pass")
def test_findings_block_with_the_fixed_version(
    c: Context, env: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    report("deps", finding())
    assert code(c, env) == 3
    said = capsys.readouterr().out
    assert "CVE-2030-1" in said and "flask 2.0 or newer" in said and "r.txt" in said


@pytest.mark.usefixtures("all_pass")
@pytest.mark.parametrize(
    ("severity", "wanted"),
    [(Severity.CRITICAL, 3), (Severity.HIGH, 3), (Severity.MEDIUM, 0), (Severity.LOW, 0), (Severity.UNKNOWN, 3)],
)
def test_severities_of_the_policy_block_and_unrated_ones_too(
    c: Context, env: Environment, severity: Severity, wanted: int
) -> None:
    report("image", finding(severity))
    assert code(c, env) == wanted


@pytest.mark.usefixtures("all_pass")
def test_missing_report_is_no_pass_and_outranks_findings(c: Context, env: Environment) -> None:
    report("deps", finding())
    gates.report_path(SHA, "secrets").unlink()
    assert code(c, env) == 4


@pytest.mark.usefixtures("all_pass")
@pytest.mark.parametrize("text", ["", "{}", "not json", '{"format": 1}'])
def test_damaged_report_is_no_pass(c: Context, env: Environment, text: str) -> None:
    gates.report_path(SHA, "config").write_text(text)
    assert code(c, env) == 4


@pytest.mark.usefixtures("all_pass")
def test_report_of_another_commit_or_gate_is_no_pass(c: Context, env: Environment) -> None:
    path = gates.report_path(SHA, "secrets")
    good = path.read_text()
    path.write_text(good.replace(SHA, OTHER))
    assert code(c, env) == 4
    path.write_text(good.replace('"secrets"', '"deps"'))
    assert code(c, env) == 4


@pytest.mark.usefixtures("all_pass")
@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": Outcome.COULD_NOT_RUN, "reason": "killed"},
        {"canary": Canary(planted=["one"], caught=[])},
        {"canary": Canary()},
    ],
)
def test_gate_that_did_not_look_is_no_pass(c: Context, env: Environment, changes: dict[str, object]) -> None:
    report("image", **changes)
    assert code(c, env) == 4


@pytest.mark.usefixtures("all_pass")
def test_age_and_kind_of_the_database_are_policy(c: Context, env: Environment) -> None:
    report("deps", database=database(days=400, snapshot=True))
    assert code(c, strict(env, allow_snapshot=True, max_database_age_days=3650)) == 0
    assert code(c, strict(env, allow_snapshot=False, max_database_age_days=3650)) == 4
    assert code(c, strict(env, allow_snapshot=True, max_database_age_days=7)) == 4
    report("deps", database=database(days=1))
    assert code(c, strict(env)) == 0


@pytest.mark.usefixtures("all_pass")
def test_gates_that_are_not_required_are_not_asked_for(c: Context, env: Environment) -> None:
    gates.report_path(SHA, "image").unlink()
    assert code(c, env, gates.SOURCE_GATES) == 0
    assert code(c, env) == 4


def test_disc_full_is_could_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasks.lib.gates.store.os.fsync", full)
    with pytest.raises(Stop, match="No space left") as stop:
        report("deps")
    assert stop.value.code == 4 and list(store.folder(SHA).iterdir()) == []
