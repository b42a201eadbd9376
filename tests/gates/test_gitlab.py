"""GitLab's own schemas accept our reports, whatever the outcome."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tasks.lib.gates import GATES, gitlab
from tasks.lib.gates.models import Covered, Finding, Outcome, Report
from tasks.lib.settings import Severity

SCHEMAS = Path(__file__).parents[1] / "fixtures" / "schemas"
FILES = {
    "secrets": "secret-detection-report-format.json",
    "deps": "dependency-scanning-report-format.json",
    "image": "container-scanning-report-format.json",
    "config": "sast-report-format.json",
    "code": "sast-report-format.json",
}


def validate(gate: str, document: dict[str, Any]) -> None:
    schema = json.loads((SCHEMAS / FILES[gate]).read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(document)


def full(gate: str) -> Report:
    findings = [
        Finding(
            id="CVE-2030-1",
            severity=severity,
            title="bad",
            package="flask",
            installed="1.0",
            fixed="2.0",
            file="a.txt",
            line=3,
            commit="b" * 40,
            url="https://example.org/1",
            aliases=["GHSA-1", "PYSEC-2030-1"],
        )
        for severity in Severity
    ]
    bare = Finding(id="X", severity=Severity.LOW, title="bare", package="p", installed="1", file="f", commit="b" * 40)
    return Report(
        gate=gate,
        commit="a" * 40,
        outcome=Outcome.FINDINGS,
        tool="tool",
        version="1.0",
        covered=Covered(os="debian 12"),
        findings=[*findings, bare],
        ended=datetime.now(timezone.utc),
    )


@pytest.mark.parametrize("gate", GATES)
def test_findings_validate(gate: str) -> None:
    document = gitlab.convert(full(gate))
    validate(gate, document)
    assert len(document["vulnerabilities"]) == 6 and document["scan"]["status"] == "success"


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_could_not_run_says_so(gate: str) -> None:
    document = gitlab.convert(Report(gate=gate, commit="a" * 40, tool="tool", reason="the scanner was killed"))
    validate(gate, document)
    assert document["scan"]["status"] == "failure"
    assert document["scan"]["messages"][0]["value"] == "the scanner was killed"


@pytest.mark.parametrize("gate", GATES)
def test_the_schema_refuses_what_is_wrong(gate: str) -> None:
    document = gitlab.convert(full(gate))
    document["scan"]["start_time"] += "Z"
    with pytest.raises(jsonschema.ValidationError):
        validate(gate, document)
