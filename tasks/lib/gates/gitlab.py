"""GitLab's security reports (schema 15.2.4), made from ours; GitLab reads them only from jobs that succeeded."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.lib.gates import store
from tasks.lib.gates.models import Finding, Outcome, Report

VERSION = "15.2.4"
KINDS = {
    "secrets": "secret_detection",
    "deps": "dependency_scanning",
    "image": "container_scanning",
    "config": "sast",
    "code": "sast",
}
NAMES = {
    "secrets": "gl-secret-detection-report.json",
    "deps": "gl-dependency-scanning-report.json",
    "image": "gl-container-scanning-report.json",
    "config": "gl-sast-report.json",
    "code": "gl-code-sast-report.json",
}


def write(report: Report) -> Path:
    """Writes GitLab's form of a report beside it. Raises Stop (4) when the disc does not take it."""
    dest = store.folder(report.commit) / NAMES[report.gate]
    store.write_text(dest, json.dumps(convert(report), indent=2) + "\n")
    return dest


def convert(report: Report) -> dict[str, Any]:
    """GitLab's form of a report; a gate that could not run has status failure and says why."""
    tool = {
        "id": report.tool,
        "name": report.tool,
        "version": report.version or "unknown",
        "vendor": {"name": "Slipway"},
    }
    failed = report.outcome is Outcome.COULD_NOT_RUN
    scan: dict[str, Any] = {
        "analyzer": {**tool, "id": f"slipway-{report.gate}"},
        "scanner": tool,
        "type": KINDS[report.gate],
        "start_time": _time(report.started),
        "end_time": _time(report.ended or report.started),
        "status": "failure" if failed else "success",
    }
    if failed:
        scan["messages"] = [{"level": "fatal", "value": report.reason[:1000]}]
    return {"version": VERSION, "scan": scan, "vulnerabilities": [_one(report, one) for one in report.findings]}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _one(report: Report, finding: Finding) -> dict[str, Any]:
    key = "|".join((report.gate, finding.id, finding.package, finding.installed, finding.file, str(finding.line)))
    names = dict.fromkeys((finding.id, *finding.aliases))
    one: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
        "name": finding.title[:255],
        "description": finding.title,
        "severity": finding.severity.value.capitalize(),
        "identifiers": [_identifier(name, finding) for name in names],
        "location": _location(report, finding),
    }
    if finding.fixed:
        one["solution"] = f"Upgrade to {finding.fixed}" if finding.installed else finding.fixed
    if finding.url.startswith(("http://", "https://")):
        one["links"] = [{"url": finding.url}]
    return one


def _identifier(name: str, finding: Finding) -> dict[str, str]:
    kind = name.partition("-")[0].lower()
    return {"type": kind if kind in ("cve", "ghsa", "pysec") else "slipway_rule", "name": name, "value": name}


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    package = {"package": {"name": finding.package}, "version": finding.installed}
    line = max(finding.line, 1)
    if report.gate == "secrets":
        return {
            "file": finding.file,
            "commit": {"sha": finding.commit or report.commit},
            "start_line": line,
            "end_line": line,
        }
    if report.gate == "deps":
        return {"file": finding.file, "dependency": package}
    if report.gate == "image":
        system = report.covered.os or "unknown"
        return {"dependency": package, "operating_system": system, "image": report.subject or report.commit}
    return {"file": finding.file, "start_line": line, "end_line": line}
