"""SARIF 2.1.0 of reports, within the limits of GitLab and GitHub; waived findings are suppressed results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from tasks.lib.gates.models import Accepted, Finding, GateVerdict, Outcome, Report, Verdict
from tasks.lib.settings import Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS, MOST_TAGS, LONGEST_TEXT = 5000, 10, 1000
# What is not rated blocks, so it counts as high. GitLab takes CRITICAL from the number only.
LEVELS = {"CRITICAL": "error", "HIGH": "error", "UNKNOWN": "error", "MEDIUM": "warning", "LOW": "note"}
SCORES = {"CRITICAL": 9.5, "HIGH": 8.0, "UNKNOWN": 8.0, "MEDIUM": 5.5, "LOW": 2.5}
SECRET = ("external/cwe/cwe-798", "cwe-798")  # how GitHub and GitLab know a hard-coded credential


def of_verdict(verdict: Verdict) -> dict[str, Any]:
    """One run per gate of a verdict; a gate without a report is a run that did not succeed."""
    return _document(_of_gate(verdict, gate) for gate in verdict.gates)


def of_reports(reports: Iterable[Report]) -> dict[str, Any]:
    """One run per report; nothing is suppressed, because nobody judged."""
    return _document(_run(report, []) for report in reports)


def _document(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": list(runs)}


def _of_gate(verdict: Verdict, gate: GateVerdict) -> dict[str, Any]:
    missing = Report(gate=gate.gate, commit=verdict.commit, tool=gate.gate, reason="there is no report of this gate")
    run = _run(gate.report or missing, gate.accepted)
    if gate.outcome is Outcome.COULD_NOT_RUN:
        said = [one.why for one in verdict.blocked if one.gate == gate.gate] or [missing.reason]
        run["invocations"][0]["executionSuccessful"] = False
        run["invocations"][0]["toolExecutionNotifications"] = [_notification("error", text) for text in said]
    return run


def _run(report: Report, accepted: Sequence[Accepted]) -> dict[str, Any]:
    findings = sorted(report.findings, key=lambda one: -SCORES[one.severity.value])
    kept = findings[:MOST_RESULTS]
    rules = _rules(report, kept)
    places = {rule["id"]: index for index, rule in enumerate(rules)}
    invocation: dict[str, Any] = {
        "executionSuccessful": report.outcome is not Outcome.COULD_NOT_RUN,
        "startTimeUtc": f"{report.started:%Y-%m-%dT%H:%M:%SZ}",
        "endTimeUtc": f"{report.ended or report.started:%Y-%m-%dT%H:%M:%SZ}",
        "commandLine": report.command,
        "toolExecutionNotifications": [_notification("error", report.reason)] if report.reason else [],
    }
    if len(findings) > len(kept):
        left = f"{len(findings) - len(kept)} of {len(findings)} findings, the least severe, are left out"
        invocation["toolExecutionNotifications"].append(_notification("warning", left))
    return {
        "tool": {"driver": {"name": report.tool, "version": report.version or "unknown", "rules": rules}},
        "automationDetails": {"id": f"slipway/{report.gate}/"},
        "invocations": [invocation],
        "results": [_result(report, one, places[one.id], accepted) for one in kept],
        "properties": {"gate": report.gate, "commit": report.commit},
    }


def _rules(report: Report, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    rules: dict[str, dict[str, Any]] = {}
    for one in findings:  # worst first: a rule is as severe as its worst finding
        if one.id in rules:
            continue
        names = [name.lower() for name in one.aliases if name.lower().startswith(("cve-", "cwe-"))]
        tags = list(dict.fromkeys(["security", *(SECRET if report.gate == "secrets" else ()), *names]))
        properties = {"tags": tags[:MOST_TAGS], "security-severity": str(SCORES[one.severity.value])}
        rule = {"id": one.id, "shortDescription": {"text": _text(one.title or one.id)}, "properties": properties}
        if one.url.startswith(("http://", "https://")):
            rule["helpUri"] = one.url
        rules[one.id] = rule
    return list(rules.values())


def _result(report: Report, one: Finding, rule: int, accepted: Sequence[Accepted]) -> dict[str, Any]:
    subject = f" ({one.package} {one.installed})" if one.installed else f" ({one.package})" if one.package else ""
    fix = f" Fixed in {one.fixed}." if one.fixed and one.installed else f" {one.fixed}" if one.fixed else ""
    key = "|".join((report.gate, one.id, one.package, one.installed, one.file, one.commit, one.title))
    # All or none of a run's results must say whether they are suppressed (SARIF 2.1.0, 3.27.23).
    waivers = [item.waiver for item in accepted if item.finding == one]
    return {
        "ruleId": one.id,
        "ruleIndex": rule,
        "level": LEVELS[one.severity.value],
        "rank": SCORES[one.severity.value] * 10,
        "message": {"text": _text(f"{one.title or one.id}{subject}.{fix}")},
        "locations": [_location(report, one)],
        "partialFingerprints": {"slipway/v1": hashlib.sha256(key.encode()).hexdigest()},
        "properties": {"severity": Severity(one.severity).value.lower(), "commit": one.commit or report.commit},
        "suppressions": [
            {
                "kind": "external",
                "status": "accepted",
                "justification": f"{waiver.reason} (approved by {waiver.approver}, until {waiver.expires})",
            }
            for waiver in waivers
        ],
    }


def _location(report: Report, one: Finding) -> dict[str, Any]:
    file = one.file.lstrip("/") or "."
    # GitLab tells findings apart by rule, file and line alone: two packages of one image are two places.
    if report.gate == "image" and one.package.lower() not in file.lower():
        file = f"{file}/{one.package}"
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(file)},
            "region": {"startLine": max(one.line, 1)},
        }
    }
    if one.package:
        place["logicalLocations"] = [{"fullyQualifiedName": one.purl or one.package}]
    return place


def _notification(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": _text(text)}}


def _text(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
