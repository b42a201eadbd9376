"""What the release record keeps of a gate: its evidence, without the findings themselves."""

from __future__ import annotations

import hashlib
from collections import Counter

from tasks.lib import gates
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.models import Covered, Database
from tasks.lib.record import CanaryEntry, DatabaseEntry, GateEntry, WaiverEntry


def of_gate(sha: str, gate: gates.GateVerdict) -> GateEntry:
    """The entry of a judged gate. Raises Stop (4) when it left no report."""
    report = gate.report
    if report is None or report.ended is None:
        raise Stop(f"the report of gate {gate.gate} is missing", Code.COULD_NOT_RUN, "./inv scan")
    return GateEntry(
        name=gate.gate,
        outcome=gate.outcome.value,
        tool=report.tool,
        version=report.version,
        database=_database(report.database) if report.database else None,
        covered=_covered(report.covered),
        counts=report.counts,
        canary=CanaryEntry(planted=len(report.canary.planted), caught=len(report.canary.caught)),
        waivers=_waivers(gate),
        report_sha256=digest_of(sha, gate.gate),
        started=report.started,
        ended=report.ended,
    )


def digest_of(sha: str, gate: str) -> str:
    """SHA-256 of a gate's report as it is on disk; '' when there is none."""
    path = gates.report_path(sha, gate)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _database(database: Database) -> DatabaseEntry:
    return DatabaseEntry(
        source=database.source,
        date=database.date,
        digest=database.digest,
        snapshot=database.snapshot,
        covers=database.covers,
    )


def _covered(covered: Covered) -> dict[str, int | str]:
    """Amounts and names that are not nothing; of a list, how many."""
    amounts = {name: len(value) if isinstance(value, list) else value for name, value in covered.model_dump().items()}
    return {name: value for name, value in amounts.items() if value}


def _waivers(gate: gates.GateVerdict) -> list[WaiverEntry]:
    let_through: dict[tuple[str, str], Counter[str]] = {}
    for one in gate.accepted:
        let_through.setdefault((one.waiver.id, one.waiver.package), Counter())[one.finding.severity.value] += 1
    return [
        WaiverEntry(
            id=waiver.id,
            package=waiver.package,
            applies=waiver.applies,
            expires=waiver.expires,
            owner=waiver.owner,
            approver=waiver.approver,
            findings=dict(let_through[waiver.id, waiver.package]),
        )
        for waiver in gate.waivers
    ]
