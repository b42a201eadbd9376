"""The verdict as one self-contained HTML page: nothing is loaded from elsewhere, and everything found is escaped."""

from __future__ import annotations

from pathlib import Path

from tasks.lib.gates import summary
from tasks.lib.gates.models import Finding, Outcome, Verdict

TEMPLATE = "page.html.j2"
SHOWN = 500  # a page with more is read by nobody
OUTCOMES = {
    "pass": {"sign": "✓", "word": "pass", "kind": "yes"},
    "waived": {"sign": "✓", "word": "waived", "kind": "note"},
    "findings": {"sign": "✕", "word": "findings", "kind": "no"},
    "could_not_run": {"sign": "■", "word": "could not run", "kind": "halt"},
}
SEVERITIES = {
    "CRITICAL": {"sign": "▲▲", "word": "critical", "kind": "no"},
    "HIGH": {"sign": "▲", "word": "high", "kind": "no"},
    "UNKNOWN": {"sign": "?", "word": "not rated", "kind": "no"},
    "MEDIUM": {"sign": "●", "word": "medium", "kind": "note"},
    "LOW": {"sign": "○", "word": "low", "kind": "note"},
}


def of_verdict(verdict: Verdict, files: list[str]) -> str:
    """The page's text. files: names of the reports beside it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.tests["weburl"] = lambda text: text.startswith(("https://", "http://"))
    return pages.get_template(TEMPLATE).render(
        verdict=verdict,
        banner=_banner(verdict),
        blocked=summary.worst_first(verdict.blocked)[:SHOWN],
        accepted=[(gate.gate, one) for gate in verdict.gates for one in gate.accepted],
        others=_others(verdict)[:SHOWN],
        warnings=list(dict.fromkeys(verdict.warnings)),
        outcomes=OUTCOMES,
        severities=SEVERITIES,
        database=summary.database,
        looked_at=summary.looked_at,
        counts=summary.counts,
        files=files,
    )


def _banner(verdict: Verdict) -> dict[str, str]:
    failed = [gate.gate for gate in verdict.gates if gate.outcome is Outcome.COULD_NOT_RUN]
    names = ", ".join(gate.gate for gate in verdict.gates)
    number = len(verdict.blocked)
    if failed:
        who = ", ".join(failed)
        sentence = (
            f"{who} could not run or not be relied on, so nobody knows whether this commit is safe. That is no pass."
        )
        return {"kind": "halt", "sign": "■", "word": "Could not be judged", "sentence": sentence}
    if number:
        things = "thing blocks" if number == 1 else "things block"
        sentence = f"{number} {things} this commit. Each says below how to get on."
        return {"kind": "no", "sign": "✕", "word": "Does not pass", "sentence": sentence}
    sentence = f"All required gates looked and let it through: {names}."
    return {"kind": "yes", "sign": "✓", "word": "Passes", "sentence": sentence}


def _others(verdict: Verdict) -> list[tuple[str, Finding]]:
    """Findings that neither block nor needed a waiver."""
    blocking = [one.finding for one in verdict.blocked if one.finding]
    found = []
    for gate in verdict.gates:
        known = [*blocking, *(one.finding for one in gate.accepted)]
        found += [(gate.gate, one) for one in (gate.report.findings if gate.report else []) if one not in known]
    return found
