"""JUnit XML of a verdict: a suite per gate, so that a pipeline shows what blocks where it shows failed tests."""

from __future__ import annotations

from typing import Any

from tasks.lib.gates.models import Blocked, GateVerdict, Outcome, Verdict


def of_verdict(verdict: Verdict) -> str:
    """The XML text. A finding that blocks is a failure, one that is waived is skipped, a gate that could not run is an
    error; a gate with nothing of these is one passed case."""
    from junitparser import JUnitXml

    document = JUnitXml(f"Slipway gates of {verdict.commit[:12]} for {verdict.environment}")
    for gate in verdict.gates:
        document.add_testsuite(_suite(gate.gate, _cases(verdict, gate), gate))
    others = [one for one in verdict.blocked if one.gate not in {gate.gate for gate in verdict.gates}]
    if others:
        document.add_testsuite(_suite(others[0].gate, [_failed(one) for one in others]))
    document.update_statistics()
    text: str = document.tostring().decode("utf-8")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}'


def _suite(name: str, cases: list[Any], gate: GateVerdict | None = None) -> Any:
    from junitparser import TestSuite

    suite = TestSuite(name)
    report = gate.report if gate else None
    if report:
        suite.timestamp = f"{report.started:%Y-%m-%dT%H:%M:%S}"
        suite.add_property("tool", f"{report.tool} {report.version}".strip())
        if report.database:
            suite.add_property("database", f"{report.database.source} of {report.database.date.date()}")
    suite.add_testcases(cases)
    return suite


def _cases(verdict: Verdict, gate: GateVerdict) -> list[Any]:
    from junitparser import Error, Skipped

    blocked = [one for one in verdict.blocked if one.gate == gate.gate]
    ran = _case(gate.gate, "ran and caught what was planted")
    if gate.report and gate.report.ended:
        ran.time = round((gate.report.ended - gate.report.started).total_seconds(), 3)
    if gate.outcome is Outcome.COULD_NOT_RUN:
        why = blocked[0] if blocked else Blocked(gate=gate.gate, why="it did not end")
        ran.result = [Error(_xml(why.why), type_=gate.outcome.value)]
        return [ran]
    cases = [ran, *(_failed(one) for one in blocked)]
    for one in gate.accepted:
        case = _case(gate.gate, f"{one.finding.id} {one.finding.package or one.finding.where}", one.finding.file)
        case.result = [
            Skipped(_xml(f"waived until {one.waiver.expires} by {one.waiver.approver}: {one.waiver.reason}"))
        ]
        cases.append(case)
    return cases


def _failed(one: Blocked) -> Any:
    from junitparser import Failure

    about = one.finding
    case = _case(
        one.gate, f"{about.id} {about.package or about.where}" if about else one.why, about.file if about else ""
    )
    failure = Failure(_xml(one.why), type_=about.severity.value if about else one.gate)
    failure.text = _xml("\n".join(text for text in (about.title if about else "", f"next: {one.fix}") if text))
    case.result = [failure]
    return case


def _case(gate: str, name: str, file: str = "") -> Any:
    from junitparser import TestCase

    case = TestCase(_xml(name), classname=f"slipway.{gate}")
    if file:
        case._elem.set("file", _xml(file))  # GitLab links it; the library has no name for it
    return case


def _xml(text: str) -> str:
    """The text without characters that XML 1.0 cannot hold."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
