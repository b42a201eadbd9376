"""May this commit go on in this environment? Its reports, the environment's policy and the waivers decide."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from invoke.context import Context

from tasks.lib import git, paths, settings, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import ignore_files, policy, reports, store, summary, waiver_rules, waivers
from tasks.lib.gates.models import GATES, Accepted, Blocked, Finding, GateVerdict, Outcome, Report, Verdict
from tasks.lib.gates.waivers import Waiver
from tasks.lib.settings import Environment, Severity

WAIVERS = "waivers"  # what blocks without being a gate
ENVIRONMENTS = "gitops/environments"
NEXT = "next: "  # starts the note of a report that holds the next command


def judge(c: Context, env: Environment, sha: str, required: Sequence[str] = GATES, repo: Path | None = None) -> Verdict:
    """The verdict over the required gates, under the waivers that the commit holds; prints nothing.

    A report that is not there is no pass. What does not hold in the waivers blocks whatever the gates say.
    """
    repo = repo or paths.ROOT
    verdict = Verdict(commit=sha, environment=env.name)
    usable = _usable(c, verdict, env, sha, repo)
    for gate in required:
        verdict.gates.append(_gate(verdict, env, sha, gate, usable))
    reports = [one.report for one in verdict.gates if one.report and one.outcome is not Outcome.COULD_NOT_RUN]
    now = waivers.today()
    for waiver in usable:
        if waiver_rules.unused(waiver, env.name, reports):
            verdict.blocked.append(_no_use(waiver, reports))
        if waiver_rules.ending_soon(waiver, now):
            verdict.warnings.append(f"the waiver of {waiver.id} for {waiver.subject} ends on {waiver.expires}")
    return verdict


def _usable(c: Context, verdict: Verdict, env: Environment, sha: str, repo: Path) -> list[Waiver]:
    """The waivers of the commit that hold; what does not hold, and ignore files beside them, blocks."""
    try:
        accepted = waivers.of_commit(c, sha, repo).waivers
        verdict.blocked += [_by_hand(name) for name in ignore_files.by_hand(c, sha, repo)]
        known = {env.name, *settings.known(), *_environments(c, sha, repo)}
    except Stop as stop:
        verdict.blocked += [Blocked(gate=WAIVERS, why=why, fix=stop.fix) for why in stop.sentence.splitlines()]
        return []
    now = waivers.today()
    problems = waiver_rules.faults(accepted, known, now)
    verdict.blocked += [Blocked(gate=WAIVERS, why=text, fix=f"edit {waivers.FILE}") for text in problems]
    return [one for one in accepted if not waiver_rules.faults([one], known, now)]


def _environments(c: Context, sha: str, repo: Path) -> list[str]:
    """Environments of the commit: an older one may name some that are gone since."""
    held = git.ask(c, "ls-tree", "-d", "--name-only", sha, "--", f"{ENVIRONMENTS}/", repo=repo)
    return [PurePosixPath(name).name for name in held.splitlines()]


def _by_hand(name: str) -> Blocked:
    why = f"{name} is an ignore file written by hand: without owner, approver and end, and without effect on the gates"
    return Blocked(gate=WAIVERS, why=why, fix=f"git rm {name}; what must be accepted: ./inv scan.waive")


def _no_use(waiver: Waiver, reports: Sequence[Report]) -> Blocked:
    why = f"{waivers.FILE}: the waiver of {waiver.id} for {waiver.subject} matches nothing that was found"
    elsewhere = [report.gate for report in reports if any(map(waiver.about, report.findings))]
    if elsewhere:
        why += f" by {' or '.join(waiver.gates)}; {' and '.join(elsewhere)} found it"
    fix = f"edit its applies in {waivers.FILE}" if elsewhere else f"take it out of {waivers.FILE}"
    return Blocked(gate=WAIVERS, why=why, fix=fix)


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
        covering = [one for one in usable if one.covers(gate, env.name, finding)]
        fitting = [one for one in covering if not one.too_long_for(finding)]
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
    subject = f"{finding.package} {finding.installed}".strip()
    rated = "not rated, so it counts as serious" if finding.severity is Severity.UNKNOWN else finding.severity.value
    why = f"{finding.id} ({rated}) in {f'{subject}, ' if subject else ''}{finding.where}"
    if too_long:
        why += f"; its waiver lasts longer than {waivers.LONGEST_CRITICAL_DAYS} days, the most for a critical finding"
    return Blocked(gate=gate, why=why, finding=finding, fix=_fix(gate, finding))


def _fix(gate: str, finding: Finding) -> str:
    if gate == "deps" and finding.fixed:
        return f"{finding.package} {finding.fixed} or newer: ./inv requirements.lock --upgrade"
    if finding.fixed and finding.installed:
        return f"{finding.package} {finding.fixed} or newer, or a newer base image, in service/Dockerfile: ./inv build"
    if finding.fixed:
        return finding.fixed
    return f"no fixed version is known: replace it, or accept it: ./inv scan.waive --id {shlex.quote(finding.id)}"


def conclude(c: Context, env: Environment, sha: str, required: Sequence[str], raise_: bool = True) -> Verdict:
    """Judges, prints, writes the reports, and (raise_) stops: 4 when a gate could not run, else 3 when one blocks."""
    verdict = judge(c, env, sha, required)
    summary.show(verdict)
    if not verdict.passed and git.ask(c, "status", "--porcelain", "--", waivers.FILE, repo=paths.ROOT):
        terminal.warn(f"{waivers.FILE} has changes that are in no commit, so they do not count")
    page = reports.write(verdict)
    terminal.say(f"summary: {page.relative_to(paths.ROOT) if page.is_relative_to(paths.ROOT) else page}")
    if verdict.could_not_run and raise_:
        broken = [gate.gate for gate in verdict.gates if gate.outcome is Outcome.COULD_NOT_RUN]
        names = ", ".join(broken)
        again = f"./inv scan.{broken[0]} --env {env.name} --release {sha[:12]}" if broken else "./inv scan"
        raise Stop(f"scan.gate: {names} could not run, so commit {sha[:12]} does not pass", Code.COULD_NOT_RUN, again)
    if not verdict.passed and raise_:
        number = len(verdict.blocked)
        said = "1 finding blocks" if number == 1 else f"{number} findings block"
        raise Stop(
            f"scan.gate: {said} commit {sha[:12]}",
            Code.FINDINGS,
            f"./inv scan --env {env.name}, when what is listed above is mended and committed",
        )
    if verdict.passed:
        terminal.good(f"scan.gate: commit {sha[:12]} passes {', '.join(required)} for {env.name}")
    return verdict
