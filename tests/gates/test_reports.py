"""What is written about a verdict: valid for those who read it, complete, and safe whatever a scanner found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from invoke.context import Context
from referencing import Registry, Resource

from tasks.lib import gates, terminal
from tasks.lib.errors import Stop
from tasks.lib.gates import archive, judgement, junit, page, reports, sarif, store, summary
from tasks.lib.gates.models import GATES, Finding, Outcome, Verdict
from tasks.lib.settings import Environment, Severity
from tests.gates import reporting
from tests.gates.reporting import SHA

SCHEMA = Path(__file__).parents[1] / "fixtures" / "schemas" / "sarif-2.1.0.json"
KINDS: dict[str, Callable[[], Verdict]] = {
    "passed": reporting.passed,
    "findings": reporting.of_findings,
    "could not run": reporting.could_not_run,
}


@cache
def schema() -> Any:
    text = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(text)(text, format_checker=jsonschema.FormatChecker())


def of_gate(document: dict[str, Any], gate: str) -> dict[str, Any]:
    (run,) = (run for run in document["runs"] if run["properties"]["gate"] == gate)
    return dict(run)


@pytest.mark.parametrize("kind", KINDS)
def test_sarif_holds_to_its_schema(kind: str) -> None:
    document = sarif.of_verdict(KINDS[kind]())
    schema().validate(document)
    assert [run["properties"]["gate"] for run in document["runs"]] == list(GATES)
    failed = [run["properties"]["gate"] for run in document["runs"] if not run["invocations"][0]["executionSuccessful"]]
    assert failed == (["secrets", "deps", "image"] if kind == "could not run" else [])


def test_the_schema_refuses_what_is_wrong() -> None:
    document = sarif.of_verdict(reporting.of_findings())
    document["runs"][0]["results"][0]["level"] = "bad"
    with pytest.raises(jsonschema.ValidationError):
        schema().validate(document)


def test_sarif_says_what_gitlab_needs_to_take_a_result_in() -> None:
    run = of_gate(sarif.of_verdict(reporting.of_findings()), "deps")
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert re.fullmatch(r"[\w./%'()!*-]+", place["artifactLocation"]["uri"]) and place["region"]["startLine"] >= 1
        assert len(result["message"]["text"]) <= 1024
    ranks = {result["properties"]["severity"]: (result["level"], result["rank"]) for result in run["results"]}
    assert ranks == {
        "critical": ("error", 95.0),
        "high": ("error", 80.0),
        "unknown": ("error", 80.0),
        "medium": ("warning", 55.0),
        "low": ("note", 25.0),
    }


def test_sarif_marks_secrets_as_such() -> None:
    document = sarif.of_verdict(reporting.of_findings())
    tags = {
        run["properties"]["gate"]: run["tool"]["driver"]["rules"][0]["properties"]["tags"] for run in document["runs"]
    }
    assert "cwe-798" in tags["secrets"] and "cwe-798" not in tags["deps"]


def test_only_waived_results_are_suppressed_and_say_until_when() -> None:
    run = of_gate(sarif.of_verdict(reporting.of_findings()), "deps")
    suppressed = {result["ruleId"]: result["suppressions"] for result in run["results"] if result["suppressions"]}
    assert list(suppressed) == ["W-1"] and "until 2030-01-02" in suppressed["W-1"][0]["justification"]


def test_sarif_keeps_within_the_limit_and_says_what_is_left_out() -> None:
    many = [reporting.finding(f"L-{number}", Severity.LOW) for number in range(5000)]
    document = sarif.of_reports([reporting.report("deps", *many, reporting.finding("WORST", Severity.CRITICAL))])
    (run,) = document["runs"]
    assert len(run["results"]) == 5000 and run["results"][0]["ruleId"] == "WORST"
    assert "1 of 5001 findings" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert len(json.dumps(document)) < 10_000_000


def test_two_packages_of_an_image_with_one_weakness_are_two_places() -> None:
    both = [reporting.finding("CVE-1", package=name, file="image.tar", line=0) for name in ("libssl3", "openssl")]
    (run,) = sarif.of_reports([reporting.report("image", *both)])["runs"]
    uris = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]]
    assert uris == ["image.tar/libssl3", "image.tar/openssl"]


def test_the_bill_of_materials_holds_to_its_schema(c: Context, tmp_path: Path, programs: dict[str, Path]) -> None:
    image = tmp_path / "image.tar"
    archive.write(image, archive.python_package("six", "1.17.0") | archive.debian(("bash", "5.2-1")))
    document = json.loads(gates.sbom(c, image, tmp_path / "sbom.json").read_text(encoding="utf-8"))
    texts = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in SCHEMA.parent.glob("*.SNAPSHOT.*")}
    rows = [(f"http://cyclonedx.org/schema/{name}", Resource.from_contents(text)) for name, text in texts.items()]
    bill = jsonschema.Draft7Validator(texts["bom-1.6.SNAPSHOT.schema.json"], registry=Registry().with_resources(rows))
    bill.validate(document)
    with pytest.raises(jsonschema.ValidationError):
        bill.validate({**document, "serialNumber": "1"})


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("passed", {"tests": 5, "failures": 0, "errors": 0, "skipped": 0}),
        ("findings", {"tests": 5 * 8 + 1, "failures": 5 * 6 + 1, "errors": 0, "skipped": 5}),
        ("could not run", {"tests": 5, "failures": 0, "errors": 3, "skipped": 0}),
    ],
)
def test_junit_counts_what_blocks(kind: str, wanted: dict[str, int]) -> None:
    root = ElementTree.fromstring(junit.of_verdict(KINDS[kind]()).encode())
    assert {name: int(root.attrib[name]) for name in wanted} == wanted
    assert [suite.attrib["name"] for suite in root][:5] == list(GATES)


def test_junit_says_why_and_what_next() -> None:
    text = junit.of_verdict(reporting.of_findings())
    assert "next: ./inv requirements.lock --upgrade" in text and "waived until 2030-01-02 by Ann" in text
    assert "the scanner was killed" in junit.of_verdict(reporting.could_not_run())


class Seen(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_runs_and_loads_nothing(kind: str) -> None:
    seen = Seen(page.of_verdict(KINDS[kind](), ["verdict.json"]))
    assert not {tag for tag, _ in seen.tags} & {"script", "img", "iframe", "link", "object", "form"}
    assert all((about.get("href") or "https://").startswith("https://") for _, about in seen.tags)
    assert not [name for _, about in seen.tags for name in about if name.startswith("on") or name == "src"]


def test_the_page_shows_what_a_scanner_found_as_text() -> None:
    html = page.of_verdict(reporting.of_findings(), [])
    assert "<script>alert" in Seen(html).text and "<script>" not in html and "{{ 7 * 7 }}" in html
    assert "javascript:" not in html and "\x1b" not in html and "\x00" not in html


def test_the_page_says_what_blocks_why_and_what_next() -> None:
    text = " ".join(Seen(page.of_verdict(reporting.of_findings(), ["verdict.json"])).text.split())
    assert "✕ Does not pass 31 things block this commit" in text
    for words in ("CVE-2030-0", "fixed in 2.0", "next ./inv requirements.lock --upgrade", "a b.txt:3", "harmless here"):
        assert words in text
    assert "the waiver of X expired" in text and "2030-01-02 Ann not reached (T-7)" in text


def test_the_page_of_a_gate_that_did_not_look_is_no_pass() -> None:
    text = Seen(page.of_verdict(reporting.could_not_run(), [])).text
    assert "Could not be judged" in text and "secrets, deps, image could not run" in text and "400 days old" in text
    assert "✓ Passes" in Seen(page.of_verdict(reporting.passed(), [])).text


def test_outcomes_and_severities_are_told_apart_without_colour() -> None:
    for marks in (page.OUTCOMES, page.SEVERITIES):
        assert len({mark["word"] for mark in marks.values()}) == len(marks)
    assert set(page.OUTCOMES) == {one.value for one in Outcome}
    assert set(page.SEVERITIES) == {one.value for one in Severity} == set(sarif.LEVELS) == set(sarif.SCORES)


@pytest.mark.parametrize("kind", KINDS)
def test_all_reports_are_written_whatever_the_verdict(
    c: Context, env: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    monkeypatch.setattr(judgement, "judge", lambda *_: KINDS[kind]())
    terminal._console.cache_clear()
    try:
        gates.verdict(c, env, SHA)
    except Stop as stop:
        assert stop.code == {"findings": 3, "could not run": 4}[kind]
    written = {path.name for path in store.folder(SHA).iterdir()}
    assert written == {reports.DATA, reports.JUNIT, reports.SARIF, reports.PAGE}
    assert reports.PAGE in capsys.readouterr().out
    assert Verdict.model_validate_json((store.folder(SHA) / reports.DATA).read_text()).passed is (kind == "passed")


def test_a_long_list_on_a_terminal_ends_with_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = reporting.passed()
    verdict.blocked = [reporting.blocked("deps", reporting.finding(f"CVE-{number}")) for number in range(40)]
    terminal._console.cache_clear()
    summary.show(verdict)
    out = capsys.readouterr().out
    assert out.count("next: ") == summary.SHOWN and "and 15 more" in out


def test_the_worst_comes_first() -> None:
    ordered = summary.worst_first(reporting.of_findings().blocked + reporting.could_not_run().blocked)
    names = [one.finding.severity.value if one.finding else one.gate for one in ordered]
    assert names[:5] == ["secrets", "deps", "image", "waivers", "CRITICAL"] and names[-1] == "UNKNOWN"


def test_text_of_others_cannot_break_lines_or_steer_a_terminal() -> None:
    found = Finding(id="A\nB", severity=Severity.LOW, title="a\x1b[31mb\r\nc\x00", file="x\ud800")
    assert (found.id, found.title, found.file) == ("A B", "a [31mb  c", "x")
