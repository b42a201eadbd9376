"""What a later scan saw in a release that was already recorded: told on the way back, never in its way."""

from __future__ import annotations

from tasks.lib.errors import Stop
from tasks.lib.gates import store
from tasks.lib.gates.models import Finding
from tasks.lib.record import GateEntry, Record
from tasks.lib.settings import Environment, Severity

SHOWN = 3


def since(record: Record, env: Environment) -> list[str]:
    """A sentence per gate whose report on this machine is newer than the record and has findings that block here."""
    told = []
    for gate in record.predicate.gates:
        found = _newer(record, gate, env)
        if found:
            names = ", ".join(
                dict.fromkeys(f"{one.id} ({one.severity.value}) in {_subject(one)}" for one in found[:SHOWN])
            )
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            told.append(f"{gate.name}: a scan after the build saw {names}{more}")
    return told


def _newer(record: Record, gate: GateEntry, env: Environment) -> list[Finding]:
    try:
        report = store.read(record.predicate.commit, gate.name)
    except Stop:
        return []  # not scanned again on this machine
    if report.ended is None or report.ended <= gate.ended:
        return []
    waived = {waiver.id for waiver in gate.waivers}
    blocking = {*env.gates.severities, Severity.UNKNOWN}
    return [one for one in report.findings if one.severity in blocking and not waived & {one.id, *one.aliases}]


def _subject(finding: Finding) -> str:
    return f"{finding.package} {finding.installed}".strip() or finding.file
