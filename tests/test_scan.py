"""The scan tasks: what runs at the same time, and which exit code each ending has."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from invoke.context import Context

from tasks import scan
from tasks.lib import gates, paths, tools
from tasks.lib.errors import Stop
from tasks.lib.gates import evidence, gitlab, store
from tasks.lib.gates.models import Canary, Finding, Outcome, Report
from tasks.lib.settings import Environment, Severity

BAD = Finding(id="CVE-2030-1", severity=Severity.HIGH, title="bad", package="flask", installed="1.0", file="r.txt")


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "work", lambda: tmp_path)
    monkeypatch.setattr(evidence, "folder", lambda: tmp_path / "evidence")
    monkeypatch.setattr(tools, "paths", lambda *_: {})


def keep(gate: str, sha: str, outcome: Outcome) -> Report:
    canary = Canary(planted=["one"], caught=["one"])
    report = Report(gate=gate, commit=sha, outcome=outcome, tool="t", canary=canary)
    report.findings = [BAD] if outcome is Outcome.FINDINGS else []
    report.reason = "the scanner was killed" if outcome is Outcome.COULD_NOT_RUN else ""
    store.write(report)
    return report


def gate_that_ends(monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, Outcome]) -> None:
    def check(gate: str, c: Context, env: Environment, sha: str) -> Report:
        return keep(gate, sha, outcomes[gate])

    for gate in outcomes:
        monkeypatch.setitem(gates.CHECKS, gate, lambda c, env, sha, gate=gate: check(gate, c, env, sha))


def code(task: object, **options: str) -> int:
    try:
        task(Context(), **options)  # type: ignore[operator]
    except Stop as stop:
        return stop.code
    return 0


@pytest.mark.parametrize(
    ("outcome", "of_gate", "of_scan"),
    [(Outcome.PASS, 0, 0), (Outcome.FINDINGS, 0, 3), (Outcome.COULD_NOT_RUN, 4, 4)],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, outcome: Outcome, of_gate: int, of_scan: int) -> None:
    passed = dict.fromkeys(gates.SOURCE_GATES, Outcome.PASS)
    gate_that_ends(monkeypatch, {**passed, "deps": outcome})
    assert code(scan.deps) == of_gate
    assert code(scan.scan) == of_scan


def test_could_not_run_outranks_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = dict.fromkeys(gates.SOURCE_GATES, Outcome.PASS)
    gate_that_ends(monkeypatch, {**passed, "secrets": Outcome.FINDINGS, "deps": Outcome.COULD_NOT_RUN})
    assert code(scan.scan) == 4


def test_the_scans_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(len(gates.SOURCE_GATES), timeout=20)

    def check(gate: str, sha: str) -> Report:
        together.wait()  # breaks, and fails the test, unless all are here at once
        return keep(gate, sha, Outcome.PASS)

    for gate in gates.SOURCE_GATES:
        monkeypatch.setitem(gates.CHECKS, gate, lambda c, env, sha, gate=gate: check(gate, sha))
    assert code(scan.scan) == 0


def test_gate_demands_all_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gate_that_ends(monkeypatch, dict.fromkeys(gates.SOURCE_GATES, Outcome.PASS))
    assert code(scan.scan) == 0
    assert code(scan.gate) == 4
    assert code(scan.gate, require="secrets, deps,config,code") == 0
    assert code(scan.gate, require="secret") == 2


def test_bad_input_is_usage() -> None:
    assert code(scan.deps, env="nowhere") == 2
    assert code(scan.deps, release="no-such-commit") == 2


def test_each_gate_leaves_its_report_for_gitlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate_that_ends(monkeypatch, dict.fromkeys(gates.SOURCE_GATES, Outcome.PASS))
    assert code(scan.scan) == 0
    written = {path.name for path in tmp_path.rglob("gl-*.json")}
    assert written == {gitlab.NAMES[gate] for gate in gates.SOURCE_GATES}
