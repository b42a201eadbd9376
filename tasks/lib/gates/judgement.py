"""May this commit go on in this environment? Its reports, the environment's policy and the waivers decide."""

from __future__ import annotations

from collections.abc import Sequence

from invoke.context import Context

from tasks.lib import settings, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import policy, store, waivers
from tasks.lib.gates.models import GATES, Accepted, Blocked, Finding, GateVerdict, Outcome, Report, Verdict
from tasks.lib.gates.waivers import Waiver
from tasks.lib.settings import Environment, Severity

NEXT = "next: "  # starts the note of a report that holds the next command


def judge(env: Environment, sha: str, required: Sequence[str]) -> Verdict:
    """The verdict over the required gates; prints nothing, raises nothing. A report that is not there is no pass."""
    verdict = Verdict(commit=sha, environment=env.name)
    now = waivers.today()
    usable: list[Waiver] = []
    try:
        accepted = waivers.load().waivers
        problems = waivers.faults(accepted, [*GATES, *settings.known(), env.name], now)
        verdict.blocked += [Blocked(gate="waivers", why=text, fix=f"edit {waivers.FILE}") for text in problems]
        usable = [
            waiver for waiver in accepted if not waivers.faults([waiver], [*GATES, *settings.known(), env.name], now)
        ]
    except Stop as stop:
        verdict.blocked.append(Blocked(gate="waivers", why=stop.sentence, fix=stop.fix))
    for gate in required:
        verdict.gates.append(_gate(verdict, env, sha, gate, usable))
    used = {name for gate in verdict.gates for name in gate.waived}
    for waiver in usable:
        if waiver.id in used and waivers.ending_soon(waiver, now):
            verdict.warnings.append(f"the waiver of {waiver.id} for {waiver.package} ends on {waiver.expires}")
    return verdict


def _gate(verdict: Verdict, env: Environment, sha: str, gate: str, usable: Sequence[Waiver]) -> GateVerdict:
    try:
        report = store.read(sha, gate)
    except Stop as stop:
        verdict.blocked.append(Blocked(gate=gate, why=stop.sentence, fix=stop.fix))
        return GateVerdict(gate=gate, outcome=Outcome.COULD_NOT_RUN)
    verdict.warnings += [f"{gate}: {note}" for note in report.notes if not note.startswith(NEXT)]
    why, fix = _unusable(env, report, verdict)
    if why:
        verdict.blocked.append(Blocked(gate=gate, why=why, fix=fix))
        return GateVerdict(gate=gate, outcome=Outcome.COULD_NOT_RUN, report=report)
    judged = GateVerdict(gate=gate, outcome=Outcome.PASS, report=report)
    for finding in report.findings:
        if finding.severity is not Severity.UNKNOWN and finding.severity not in env.gates.severities:
            continue
        covering = [one for one in usable if one.covers(gate, env.name, GATES, finding)]
        fitting = [one for one in covering if not waivers.too_long_for(one, finding)]
        if fitting:
            longest = max(fitting, key=lambda one: one.expires)
            judged.accepted.append(Accepted(finding=finding, waiver=longest.used()))
            continue
        judged.outcome = Outcome.FINDINGS
        verdict.blocked.append(_block(gate, finding, too_long=bool(covering)))
    if judged.accepted and judged.outcome is Outcome.PASS:
        judged.outcome = Outcome.WAIVED
    return judged


def _unusable(env: Environment, report: Report, verdict: Verdict) -> tuple[str, str]:
    """Why a report says nothing in this environment, and what to do; '' when it does. Warns of an accepted snapshot."""
    again = next(
        (note.removeprefix(NEXT) for note in report.notes if note.startswith(NEXT)), f"./inv scan.{report.gate}"
    )
    if report.outcome is Outcome.COULD_NOT_RUN:
        return report.reason or "it did not end", again
    if report.canary.missed or not report.canary.planted:
        return "the planted positive was not caught, so the scanner sees nothing", again
    if report.database is None:
        return "", ""
    if why := policy.unusable(env, report.gate, report.database, report.database.covers, report.covered.os):
        return why, policy.remedy(env, report.gate, again)
    if report.database.snapshot:
        day = report.database.date.date().isoformat()
        verdict.warnings.append(f"{report.gate}: {policy.ACCEPTED_SNAPSHOT.format(date=day)}")
    return "", ""


def _block(gate: str, finding: Finding, too_long: bool) -> Blocked:
    subject = f"{finding.package} {finding.installed}".strip() or finding.title
    rated = "not rated, so it counts as serious" if finding.severity is Severity.UNKNOWN else finding.severity.value
    why = f"{finding.id} ({rated}) in {subject}, {finding.where}"
    if too_long:
        why += f"; its waiver lasts longer than {waivers.LONGEST_CRITICAL_DAYS} days, the most for a critical finding"
    return Blocked(gate=gate, why=why, finding=finding, fix=_fix(gate, finding))


def _fix(gate: str, finding: Finding) -> str:
    if gate == "deps" and finding.fixed:
        return f"{finding.package} {finding.fixed} or newer: ./inv requirements.lock --upgrade"
    if finding.fixed:
        return f"fixed in {finding.fixed}" if finding.installed else finding.fixed
    return f"no fixed version is known: replace it, or waive it in {waivers.FILE}"


def show(verdict: Verdict) -> None:
    """Prints what was looked at, what blocks and why, and what to do."""
    rows = []
    for gate in verdict.gates:
        report = gate.report
        database = report.database if report else None
        day = f"{database.date.date()}{' (snapshot)' if database.snapshot else ''}" if database else "-"
        counts = ", ".join(f"{count} {name.lower()}" for name, count in report.counts.items()) if report else ""
        tool = f"{report.tool} {report.version}".strip() if report else "-"
        rows.append((gate.gate, gate.outcome.value, tool, day, _looked_at(report), counts or "none"))
    title = f"Gates of {verdict.commit[:12]} for {verdict.environment}"
    terminal.table(title, ("gate", "outcome", "tool", "database", "looked at", "findings"), rows)
    for text in dict.fromkeys(verdict.warnings):
        terminal.warn(text)
    for one in verdict.blocked:
        terminal.bad(f"{one.gate}: {one.why}")
        if one.finding and one.finding.title:
            terminal.say(f"    {one.finding.title}")
        if one.fix:
            terminal.say(f"    next: {one.fix}")


def _looked_at(report: Report | None) -> str:
    if report is None:
        return "-"
    covered = report.covered
    amounts = {"commits": covered.commits, "packages": covered.packages, "files": len(covered.files)}
    return ", ".join(f"{amount} {name}" for name, amount in amounts.items() if amount) or "nothing"


def conclude(c: Context, env: Environment, sha: str, required: Sequence[str], raise_: bool = True) -> Verdict:
    """Judges, prints, and (raise_) stops: 4 when a required gate could not run, else 3 when something blocks."""
    verdict = judge(env, sha, required)
    show(verdict)
    if verdict.could_not_run and raise_:
        names = ", ".join(gate.gate for gate in verdict.gates if gate.outcome is Outcome.COULD_NOT_RUN)
        raise Stop(f"scan.gate: {names} could not run, so commit {sha[:12]} does not pass", Code.COULD_NOT_RUN)
    if not verdict.passed and raise_:
        number = len(verdict.blocked)
        raise Stop(f"scan.gate: {number} finding{'s' * (number != 1)} block commit {sha[:12]}", Code.FINDINGS)
    if verdict.passed:
        terminal.good(f"scan.gate: commit {sha[:12]} passes {', '.join(required)} for {env.name}")
    return verdict
