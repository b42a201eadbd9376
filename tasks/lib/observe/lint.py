"""What promtool does not look at: links that lead somewhere, labels that routing needs, series that somebody makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tasks.lib.errors import Code, Stop
from tasks.lib.observe import files, queries, rules
from tasks.lib.observe.files import FOLDER, RUNBOOKS
from tasks.lib.observe.rules import Rule

LABELS = ("severity", "service", "environment", "team")
ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")
SEVERITIES = ("critical", "warning")
EVERYWHERE = {"job", "instance", "namespace"}


class Expected(BaseModel):
    """What promtool is to see of an alert at one moment; its other keys are promtool's business."""

    alertname: str
    exp_alerts: list[Any] = []


class UnitTest(BaseModel):
    alert_rule_test: list[Expected] = []


class UnitTests(BaseModel):
    tests: list[UnitTest]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. where: the file; what: the alert or record."""

    where: str
    what: str
    why: str


def series(folder: Path = FOLDER) -> dict[str, set[str]]:
    """The series that somebody makes, recorded ones included, with the labels that they have. Raises Stop (2)."""
    data = files.load(folder / "series.yaml")
    try:
        known = {name: {*labels, *EVERYWHERE} for source in data.values() for name, labels in source.items()}
    except (AttributeError, TypeError) as error:
        raise Stop(
            "alerts/series.yaml: wants source: {series: [labels]}",
            Code.USAGE,
            "./inv observe.alerts, when it is mended",
        ) from error
    for _, rule in rules.read(folder):
        if rule.record:
            known.setdefault(rule.record, set()).update({*rule.labels, *queries.grouped_by(rule.expr), *EVERYWHERE})
    return known


def unknown(expr: str, known: dict[str, set[str]]) -> list[str]:
    """The series and labels that an expression asks for and nobody makes, and selections that take everything."""
    found = []
    there = set(EVERYWHERE)
    for selector in queries.selectors(expr):
        if selector.name not in known:
            found.append(
                f"nobody makes the series {selector.name or '(any name)'}; alerts/series.yaml lists those known"
            )
            continue
        there |= known[selector.name]
        if missing := sorted(selector.labels - known[selector.name]):
            found.append(f"{selector.name} has no label {', '.join(missing)}")
        if not selector.labels:
            found.append(f"{selector.name} is asked for without a label: other teams' series would count")
    if not found and (missing := sorted(queries.grouped_by(expr) - there)):
        found.append(f"groups by {', '.join(missing)}, which none of its series has")
    return found


def shown_to_fire(folder: Path = FOLDER) -> set[str]:
    """The alerts that a unit test expects at some moment. Raises Stop (2)."""
    found = set()
    for path in sorted((folder / "tests").glob("*.yaml")):
        for test in files.model(UnitTests, path).tests:
            found |= {one.alertname for one in test.alert_rule_test if one.exp_alerts}
    return found


def alerts(folder: Path = FOLDER, runbooks: Path = RUNBOOKS) -> list[Problem]:
    """What is wrong with the rules of this folder. Raises Stop (2) when they cannot be read."""
    known, links, fires = series(folder), files.links(folder), shown_to_fire(folder)
    found = []
    for path, rule in rules.read(folder):
        reasons = unknown(rule.expr, known)
        if rule.alert:
            reasons += [*_words(rule), *_links(rule, links, runbooks)]
            reasons += [] if rule.alert in fires else ["no unit test in alerts/tests shows it fire"]
        found += [Problem(files.shown(path), rule.alert or rule.record, reason) for reason in reasons]
    return found


def _words(rule: Rule) -> Iterator[str]:
    for label in LABELS:
        if not rule.labels.get(label):
            yield f"label {label} is missing: routing and inhibition need it"
    if rule.labels.get("severity", SEVERITIES[0]) not in SEVERITIES:
        yield f"severity is none of {', '.join(SEVERITIES)}"
    for annotation in ANNOTATIONS:
        if not rule.annotations.get(annotation):
            yield f"annotation {annotation} is missing"
    if "{{" not in rule.annotations.get("description", "{{"):
        yield "description shows no value"


def _links(rule: Rule, links: files.Links, runbooks: Path) -> Iterator[str]:
    runbook, dashboard = rule.annotations.get("runbook_url"), rule.annotations.get("dashboard_url")
    if runbook and runbook != f"{links.runbooks}/{rule.alert}.md":
        yield f"runbook_url is not {links.runbooks}/{rule.alert}.md"
    elif runbook and not (runbooks / f"{rule.alert}.md").is_file():
        yield f"runbook_url leads nowhere: there is no docs/runbooks/{rule.alert}.md"
    if dashboard and not dashboard.startswith(f"{links.dashboards}/"):
        yield f"dashboard_url does not start with {links.dashboards}/"
