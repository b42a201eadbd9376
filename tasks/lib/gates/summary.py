"""What a person reads after a verdict: what was looked at, what blocks and why, and the one line to type."""

from __future__ import annotations

from tasks.lib import terminal
from tasks.lib.gates.models import Blocked, GateVerdict, Outcome, Report, Verdict
from tasks.lib.settings import Severity

SHOWN = 25  # what blocks on a terminal; all of it is in the written summary


def show(verdict: Verdict) -> None:
    """Prints a verdict: a line per gate, what to know, and what blocks, worst first."""
    rows = []
    for gate in verdict.gates:
        report = gate.report
        tool = f"{report.tool} {report.version}".strip() if report else "-"
        rows.append((gate.gate, gate.outcome.value, tool, database(report), looked_at(report), counts(gate)))
    title = f"Gates of {verdict.commit[:12]} for {verdict.environment}"
    terminal.table(title, ("gate", "outcome", "tool", "database", "looked at", "findings"), rows)
    for text in dict.fromkeys(verdict.warnings):
        terminal.warn(text)
    ordered = worst_first(verdict.blocked)
    for one in ordered[:SHOWN]:
        terminal.bad(f"{one.gate}: {one.why}")
        if one.finding and one.finding.title:
            terminal.say(f"    {one.finding.title}")
        if one.fix:
            terminal.say(f"    next: {one.fix}")
    if len(ordered) > SHOWN:
        terminal.bad(f"and {len(ordered) - SHOWN} more")


def worst_first(blocked: list[Blocked]) -> list[Blocked]:
    """What could not run, what is wrong with waivers, then findings by severity; else in the order of the gates."""
    ranks = ["gate", "waivers", *Severity]

    def rank(one: Blocked) -> int:
        return ranks.index(one.finding.severity if one.finding else "waivers" if one.gate == "waivers" else "gate")

    return sorted(blocked, key=rank)


def counts(gate: GateVerdict) -> str:
    """How many findings of which severity, worst first; '-' for a gate that did not look."""
    if gate.report is None or gate.outcome is Outcome.COULD_NOT_RUN:
        return "-"
    return ", ".join(f"{count} {name.lower()}" for name, count in gate.report.counts.items()) or "none"


def database(report: Report | None) -> str:
    """The day of the database that the scanner compared with."""
    if report is None or report.database is None:
        return "-"
    return f"{report.database.date.date()}{' (snapshot)' if report.database.snapshot else ''}"


def looked_at(report: Report | None) -> str:
    """How much was covered, in words."""
    if report is None:
        return "-"
    covered = report.covered
    amounts = {
        "commits": covered.commits,
        "packages": covered.packages,
        "files": len(covered.files),
        "lines": covered.lines,
    }
    return ", ".join(f"{amount} {name}" for name, amount in amounts.items() if amount) or "nothing"
