"""Reports of Trivy, TruffleHog and Safety that others ran, as ours, so that they can become GitLab's or SARIF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.lib.errors import Code, Stop
from tasks.lib.gates import gitlab, safety_output, sarif, trivy_output, trufflehog_output
from tasks.lib.gates.models import Covered, Finding, Outcome, Report
from tasks.lib.runner import redact

HELP = "./inv scan.convert --help"
NO_COMMIT = "0" * 40
FORMATS = ("gitlab", "sarif", "json")
# What GitLab calls each kind, and which of our gates it belongs to.
KINDS = {kind: gate for gate, kind in gitlab.KINDS.items() if gate != "code"}


def read(source: str, file: Path) -> list[Report]:
    """The reports in a scanner's output: one, or for Trivy one per kind of finding.

    source: trivy, trufflehog or safety. Raises Stop (2) when the file is no such output; the sentence says why and
    quotes nothing of the file, which may hold secrets.
    """
    if source not in SOURCES:
        raise Stop(f"--from: unknown '{source}'; known: {', '.join(SOURCES)}", Code.USAGE, HELP)
    try:
        return SOURCES[source](file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Stop(f"{file} cannot be read: {error.strerror or error}", Code.USAGE, HELP) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}." for part in first["loc"]).rstrip(".")
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise Stop(f"{file} is no output of {source}: {said}", Code.USAGE, HELP) from None
    except ValueError:
        raise Stop(f"{file} is no output of {source}: it is not JSON", Code.USAGE, HELP) from None


def write(reports: list[Report], to: str, kind: str = "") -> str:
    """The text of reports in another format. kind: GitLab's name of one of several. Raises Stop (2)."""
    if to not in FORMATS:
        raise Stop(f"--to: unknown '{to}'; known: {', '.join(FORMATS)}", Code.USAGE, HELP)
    if kind and kind not in KINDS:
        raise Stop(f"--kind: unknown '{kind}'; known: {', '.join(KINDS)}", Code.USAGE, HELP)
    chosen = [report for report in reports if not kind or report.gate == KINDS[kind]]
    there = ", ".join(gitlab.KINDS[report.gate] for report in reports)
    if not chosen:
        raise Stop(f"--kind: the file holds no {kind}, only {there}", Code.USAGE, HELP)
    if to == "sarif":
        return json.dumps(sarif.of_reports(chosen), indent=2)
    if to == "json":
        return json.dumps([report.model_dump(mode="json") for report in chosen], indent=2)
    if len(chosen) > 1:
        raise Stop(f"the file holds {there}, and GitLab wants one report each: name one with --kind", Code.USAGE, HELP)
    return json.dumps(gitlab.convert(chosen[0]), indent=2)


def _trivy(text: str) -> list[Report]:
    answer = trivy_output.TrivyReport.model_validate_json(text)
    packages = "image" if answer.type == "container_image" else "deps"
    found: dict[str, list[Finding]] = {}
    hidden = 0
    for result in answer.results:
        hidden += len(result.hidden)
        if result.kind in ("os-pkgs", "lang-pkgs") or result.vulnerabilities:
            kept = found.setdefault(packages, [])
            kept += [one.finding(result.target) for one in result.vulnerabilities]
        if result.kind == "config" or result.misconfigurations:
            failed = [one for one in result.misconfigurations if one.status != "PASS"]
            found.setdefault("config", []).extend(one.finding(result.target) for one in failed)
        if result.kind == "secret" or result.secrets:
            found.setdefault("secrets", []).extend(one.finding(result.target) for one in result.secrets)
    covered = Covered(os=str(answer.metadata.os), files=[result.target for result in answer.results])
    nothing = "" if found else "Trivy's report names nothing that it looked at"
    return [
        _report(gate, "trivy", answer.about.version, found.get(gate, []), answer.created, nothing, hidden).model_copy(
            update={"covered": covered, "subject": answer.name}
        )
        for gate in found or {packages: []}
    ]


def _trufflehog(text: str) -> list[Report]:
    entries = list(trufflehog_output.objects(text))
    if text.strip() and not entries:
        raise ValueError("no JSON objects")
    log = [one for one in entries if trufflehog_output.is_log(one)]
    results = [trufflehog_output.Result.model_validate(one) for one in entries if one not in log]
    end: dict[str, Any] = next((one for one in reversed(log) if one["msg"] == "finished scanning"), {})
    failed = [one for one in log if one["level"] in ("error", "fatal")]
    if not results and not end and not failed:
        raise Stop(
            "the file is empty, which TruffleHog's output is when it found nothing and also when it did not look; "
            "keep its log in the same file",
            Code.USAGE,
            "trufflehog ... --json > file 2>&1",
        )
    cause = redact(str(failed[0].get("error") or failed[0]["msg"]))[:200] if failed else ""
    found = [one.finding() for one in results]
    version = str(end.get("trufflehog_version", "unknown"))
    return [_report("secrets", "trufflehog", version, found, "", cause)]


def _safety(text: str) -> list[Report]:
    answer = safety_output.document(text)
    if "scan_results" in answer:
        scan = safety_output.ScanReport.model_validate(answer)
        known = list(scan.known())
        found = [finding for one, finding in known if not one.ignored]
        about = scan.meta
        return [_report("deps", "safety", about.telemetry.version, found, about.timestamp, "", len(known) - len(found))]
    check = safety_output.CheckReport.model_validate(answer)
    found = [one.finding() for one in check.vulnerabilities]
    cause = "" if check.packages else "Safety's report names no package that it looked at"
    about_check = check.about
    ignored = len(check.ignored)
    return [_report("deps", "safety", about_check.version, found, about_check.timestamp, cause, ignored)]


SOURCES: dict[str, Callable[[str], list[Report]]] = {"trivy": _trivy, "trufflehog": _trufflehog, "safety": _safety}


def _report(
    gate: str, tool: str, version: str, found: Iterable[Finding], when: str, reason: str, hidden: int = 0
) -> Report:
    """A report of a run that was not ours: nothing was planted in it, so no verdict takes it for a gate's."""
    findings = list(found)
    outcome = Outcome.COULD_NOT_RUN if reason else Outcome.FINDINGS if findings else Outcome.PASS
    moment = _moment(when)
    report = Report(gate=gate, commit=NO_COMMIT, tool=tool, version=version, findings=findings, started=moment)
    report.outcome, report.reason, report.ended = outcome, reason, moment
    if hidden:
        report.notes.append(f"{hidden} findings that settings of {tool} hide are left out")
    return report


def _moment(text: str) -> datetime:
    try:
        # Go writes nanoseconds, which Python 3.10 does not read.
        found = datetime.fromisoformat(text.replace("T", " ").partition(".")[0].rstrip("Z"))
    except ValueError:
        return datetime.now(timezone.utc)
    return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found
