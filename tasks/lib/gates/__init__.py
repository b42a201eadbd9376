"""The security gates: what is scanned, with which database, and whether the result lets a commit through.

Each gate keeps a report per commit and never decides; `verdict` decides and never scans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from invoke.context import Context

from tasks.lib import terminal, tools
from tasks.lib.errors import Stop
from tasks.lib.gates import (
    code_gate,
    config_gate,
    databases,
    deps_gate,
    evidence,
    gitlab,
    image_gate,
    judgement,
    secrets_gate,
    store,
)
from tasks.lib.gates.image_gate import sbom
from tasks.lib.gates.judgement import judge
from tasks.lib.gates.models import GATES, SOURCE_GATES, Finding, GateVerdict, Outcome, Report, Verdict
from tasks.lib.settings import Environment

CHECKS: dict[str, Callable[[Context, Environment, str], Report]] = {
    "secrets": secrets_gate.check,
    "deps": deps_gate.check,
    "config": config_gate.check,
    "code": code_gate.check,
}
PROGRAMS = {
    "secrets": ["trufflehog"],
    "deps": ["safety"],
    "config": ["trivy", "helm", "kubeconform"],
    "code": ["bandit", "shellcheck"],
    "image": ["trivy", "trivydb"],
}


def source(c: Context, env: Environment, sha: str, gate: str, again: bool = False) -> Report:
    """One gate of the sources (secrets, deps, config, code) over a commit; its report is kept and returned.

    Where nothing has changed since an earlier scan, that one's report is the answer, unless `again`.
    """
    inputs = evidence.inputs(c, env, gate, sha, PROGRAMS[gate])
    report = None if again else evidence.find(inputs)
    if report:
        store.write(report)
        same = "commit, tools and databases" if report.database else "commit and tools"
        terminal.say(f"{gate}: answered from the evidence of {_clock(report)}, same {same}; --again scans")
    else:
        with terminal.step(f"scan.{gate}"):
            report = CHECKS[gate](c, env, sha)
        evidence.keep(inputs, report, databases.identity(env, gate))
    _announce(report)
    return report


def run_source(c: Context, env: Environment, sha: str, again: bool = False) -> list[Report]:
    """Runs all gates of the sources at the same time."""
    try:
        tools.paths(c, sorted({name for gate in SOURCE_GATES for name in PROGRAMS[gate]}))
    except Stop as stop:
        terminal.warn(stop.sentence)  # the gates that need it say so in their reports
    with ThreadPoolExecutor(len(SOURCE_GATES)) as pool:
        running = [pool.submit(source, c, env, sha, gate, again) for gate in SOURCE_GATES]
        return [one.result() for one in running]


def image(c: Context, env: Environment, sha: str, archive: Path | str) -> Report:
    """Scans the image of a commit: an archive of `docker save`, or a reference in a registry."""
    with terminal.step("scan.image"):
        report = image_gate.check(c, env, sha, archive)
    _announce(report)
    return report


def verdict(c: Context, env: Environment, sha: str, required: Sequence[str] = GATES, raise_: bool = True) -> Verdict:
    """Judges the reports of a commit, prints why; raises Stop 4 (could not run) or 3 (findings) unless told not to."""
    return judgement.conclude(c, env, sha, required, raise_)


def report_path(sha: str, gate: str) -> Path:
    """The file of a gate's report."""
    return store.folder(sha) / f"{gate}.json"


def _clock(report: Report) -> str:
    ended = (report.ended or report.started).astimezone()
    today = ended.date() == datetime.now().astimezone().date()
    return f"{ended:%H:%M}" if today else f"{ended:%Y-%m-%d %H:%M}"


def _announce(report: Report) -> None:
    gitlab.write(report)
    database = report.database
    if database:
        shipped = ": the shipped snapshot, not today's advisories" if database.snapshot else ""
        words = f"{report.gate}: database {database.source}, of {database.date.date()}, {database.entries} entries"
        (terminal.warn if database.snapshot else terminal.say)(f"{words}{shipped}")
    for note in report.notes:
        terminal.warn(f"{report.gate}: {note}")
    if report.outcome is Outcome.COULD_NOT_RUN:
        terminal.bad(f"{report.gate}: could not run: {report.reason}")


__all__ = [
    "GATES",
    "SOURCE_GATES",
    "Finding",
    "GateVerdict",
    "Outcome",
    "Report",
    "Verdict",
    "image",
    "judge",
    "report_path",
    "run_source",
    "sbom",
    "source",
    "verdict",
]
