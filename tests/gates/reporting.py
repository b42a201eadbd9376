"""Verdicts of every kind, for the tests of what is written about them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from tasks.lib.gates.models import (
    GATES,
    Accepted,
    Blocked,
    Canary,
    Covered,
    Database,
    Finding,
    GateVerdict,
    Outcome,
    Report,
    UsedWaiver,
    Verdict,
)
from tasks.lib.settings import Severity

SHA = "a" * 40
NOW = datetime.now(timezone.utc)
EVIL = "<script>alert('x')</script> & \"quotes\" \x00\x1b[31m]]> {{ 7 * 7 }}"
WAIVER = UsedWaiver(
    id="W-1", package="flask", expires=date(2030, 1, 2), approver="Ann", reason="not reached", ticket="T-7"
)


def finding(name: str, severity: Severity = Severity.HIGH, **changes: object) -> Finding:
    about = {
        "package": "flask",
        "installed": "1.0",
        "fixed": "2.0",
        "file": "a b.txt",
        "line": 3,
        "url": "https://e.org/1",
    }
    return Finding.model_validate(
        {"id": name, "severity": severity, "title": "bad", "commit": "b" * 40, **about, **changes}
    )


def report(gate: str, *findings: Finding, **changes: object) -> Report:
    made = Report(
        gate=gate,
        commit=SHA,
        outcome=Outcome.FINDINGS if findings else Outcome.PASS,
        tool=f"tool of {gate}",
        version="1.2",
        command="tool --flag",
        database=Database(source="somewhere", date=NOW, digest="sha256:0", covers=["pip"]),
        covered=Covered(files=["a"], packages=3),
        canary=Canary(planted=["one"], caught=["one"]),
        findings=list(findings),
        started=NOW - timedelta(seconds=2),
        ended=NOW,
    )
    return made.model_copy(update=changes)


def blocked(gate: str, one: Finding) -> Blocked:
    return Blocked(gate=gate, why=f"{one.id} in {one.package}", finding=one, fix="./inv requirements.lock --upgrade")


def passed() -> Verdict:
    return _verdict([GateVerdict(gate=gate, outcome=Outcome.PASS, report=report(gate)) for gate in GATES])


def of_findings() -> Verdict:
    """Each gate blocks with one finding per severity, waives one, and shows one that does not matter."""
    verdict = _verdict([])
    for gate in GATES:
        block = [finding(f"CVE-2030-{rank}", severity) for rank, severity in enumerate(Severity)]
        evil = finding("EVIL-1", title=EVIL, file=EVIL, package="", url="javascript:alert(1)", line=0)
        waived, low = finding("W-1"), finding("LOW-1", Severity.LOW, title="harmless here", package="")
        kept = report(gate, *block, evil, waived, low)
        accepted = [Accepted(finding=waived, waiver=WAIVER)]
        verdict.gates.append(GateVerdict(gate=gate, outcome=Outcome.FINDINGS, report=kept, accepted=accepted))
        verdict.blocked += [blocked(gate, one) for one in [*block, evil]]
    verdict.blocked.append(Blocked(gate="waivers", why="the waiver of X expired", fix="edit gitops/waivers.yaml"))
    verdict.warnings.append("the waiver of W-1 for flask ends on 2030-01-02")
    return verdict


def could_not_run() -> Verdict:
    """One gate has no report, one could not run, one compared with a database that is too old; the others passed."""
    verdict = passed()
    failed = report("secrets", outcome=Outcome.COULD_NOT_RUN, reason="the scanner was killed")
    verdict.gates[0] = GateVerdict(gate="secrets", outcome=Outcome.COULD_NOT_RUN, report=failed)
    verdict.gates[1].outcome = Outcome.COULD_NOT_RUN
    verdict.gates[-1] = GateVerdict(gate=GATES[-1], outcome=Outcome.COULD_NOT_RUN)
    verdict.blocked += [
        Blocked(gate="secrets", why="the scanner was killed", fix="./inv scan.secrets"),
        Blocked(gate="deps", why="its database is 400 days old", fix="./inv scan.update"),
        Blocked(gate=GATES[-1], why="it was not scanned", fix="./inv scan.image"),
    ]
    return verdict


def _verdict(gates: list[GateVerdict]) -> Verdict:
    return Verdict(commit=SHA, environment="production", gates=gates)
