"""The rules: whole, current, tested, and asking only for what somebody makes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser
from ruamel.yaml import YAML

from tasks.lib.errors import Code, Stop
from tasks.lib.observe import files, lint, queries, rules
from tasks.lib.observe.files import FOLDER
from tests.service.conftest import start
from tests.service.harness import Server

__all__ = ["start"]

BURNS = {f"{objective}BudgetBurn{burn}" for objective in ("Error", "Latency") for burn in ("Fast", "Slow", "Steady")}
SERVICE = {"HighErrorRate", "HighLatencyP95", "PodCrashLooping", "ServiceDown"}
OTHERS = {"ArgoAppOutOfSync", "CertificateExpiring", "DeployFailed", "DriftFound"}
OTHERS |= {"GateDatabaseStale", "HPAAtMaximum", "PodsPending"}


def alerts() -> set[str]:
    return {rule.alert for _, rule in rules.read()} - {""}


def test_the_promised_alerts_are_there_and_nothing_is_wrong_with_them(runbooks: Path) -> None:
    assert alerts() == BURNS | SERVICE | OTHERS
    assert lint.alerts(runbooks=runbooks) == []


def test_generated_files_are_current() -> None:
    assert rules.stale() == []


def test_one_setting_moves_all_links(folder: Path, runbooks: Path) -> None:
    (folder / "links.yaml").write_text(
        "runbooks: https://git.acme.example/r\ndashboards: http://graphs.acme.example/d\n"
    )
    assert {path.name for path in rules.stale(folder)} == {
        *(path.name for path in rules.sources(folder)),
        "prometheusrule.yaml",
    }
    rules.write(folder)
    assert rules.stale(folder) == []
    assert lint.alerts(folder, runbooks) == []
    written = "".join(path.read_text() for path in folder.glob("*/*rule*.yaml"))
    assert "example.com" not in written
    assert (
        written.count("https://git.acme.example/r/") == written.count("http://graphs.acme.example/d/") == len(alerts())
    )


def test_the_kubernetes_form_has_the_same_rules() -> None:
    manifest = files.load(FOLDER / "kubernetes" / "prometheusrule.yaml")
    groups = [group for path in rules.sources() for group in files.load(path)["groups"]]
    assert (manifest["kind"], manifest["spec"]["groups"]) == ("PrometheusRule", groups)


@cache
def unit_tests() -> list[dict[str, Any]]:
    return [test for path in (FOLDER / "tests").glob("*.yaml") for test in files.load(path)["tests"]]


@pytest.mark.parametrize("alert", sorted(BURNS | SERVICE | OTHERS))
def test_each_alert_is_shown_to_fire_at_its_time_and_to_stay_quiet_below_its_limit(alert: str) -> None:
    asked = [[one for one in test.get("alert_rule_test", []) if one["alertname"] == alert] for test in unit_tests()]
    fires = [checks for checks in asked if any(one.get("exp_alerts") for one in checks)]
    # Whole labels and annotations in at least one; just before its time there is nothing.
    assert any("exp_annotations" in one["exp_alerts"][0] for checks in fires for one in checks if "exp_alerts" in one)
    assert all("exp_alerts" not in checks[0] for checks in fires)
    assert any(checks and not any(one.get("exp_alerts") for one in checks) for checks in asked)


def test_what_must_wake_nobody_is_asked_of_all_rules() -> None:
    named = files.load(FOLDER / "tests" / "quiet.yaml")["rule_files"]
    assert sorted(named) == [f"../rules/{path.name}" for path in rules.sources()]


@pytest.mark.parametrize(
    ("file", "good", "bad", "why"),
    [
        ("service.yaml", 'status=~"5.."', 'code=~"5.."', "app_requests_total has no label code"),
        (
            "service.yaml",
            "rate(app_requests_total",
            "rate(app_request_total",
            "nobody makes the series app_request_total",
        ),
        ("platform.yaml", '{name!=""}', "", "asked for without a label"),
        ("platform.yaml", "min by (instance)", "min by (host)", "groups by host, which none of its series has"),
        ("service.yaml", "          team: slipway\n", "", "label team is missing"),
        ("service.yaml", "severity: critical", "severity: bad", "severity is none of critical, warning"),
        ("service.yaml", "          summary: '{{ $labels.pod }} restarts'\n", "", "annotation summary is missing"),
        ("delivery.yaml", "{{ $value }} places of {{ $labels.kind }} differ", "Places differ", "shows no value"),
        ("delivery.yaml", "DriftFound.md", "Drift.md", "runbook_url is not https://"),
        ("delivery.yaml", "https://grafana.example.com/d", "https://grafana.example.com", "does not start with"),
    ],
)
def test_the_lint_says_what_is_wrong(folder: Path, runbooks: Path, file: str, good: str, bad: str, why: str) -> None:
    path = folder / "rules" / file
    assert good in path.read_text()
    path.write_text(path.read_text().replace(good, bad))
    assert any(why in problem.why for problem in lint.alerts(folder, runbooks))


def test_a_runbook_that_is_not_there_is_told(runbooks: Path) -> None:
    (runbooks / "DriftFound.md").unlink()
    (problem,) = lint.alerts(runbooks=runbooks)
    assert (problem.where, problem.what) == ("alerts/rules/delivery.yaml", "DriftFound")
    assert problem.why == "runbook_url leads nowhere: there is no docs/runbooks/DriftFound.md"


def test_an_alert_without_a_unit_test_is_told(folder: Path, runbooks: Path) -> None:
    (folder / "tests" / "platform.yaml").unlink()
    untested = {problem.what for problem in lint.alerts(folder, runbooks)}
    assert untested == {"PodsPending", "HPAAtMaximum", "ArgoAppOutOfSync", "CertificateExpiring"}


@pytest.mark.parametrize("file", ["links.yaml", "slo.yaml", "series.yaml", "rules/service.yaml"])
@pytest.mark.parametrize("text", ["[1, 2]", "{", "colour: red\n"])
def test_broken_files_are_one_sentence_each(folder: Path, runbooks: Path, file: str, text: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(Stop) as stopped:
        rules.stale(folder)
        lint.alerts(folder, runbooks)
    assert stopped.value.code == Code.USAGE
    assert file in stopped.value.sentence


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("up", [("up", set())]),
        ('rate(a_total{x="}", y=~"b{"}[5m]) > 1e3 and on (z) b:c', [("a_total", {"x", "y"}), ("b:c", set())]),
        ('time() - max by (up) (a{b!="c"} offset 5m) < 900', [("a", {"b"})]),
        ('{__name__="a", b="c"}', [("", {"__name__", "b"})]),
        ('label_replace(a{b=~".+"}, "new", "$1", "old", "(.+)") or vector(0)', [("a", {"b"})]),
    ],
)
def test_what_an_expression_asks_for(expr: str, found: list[tuple[str, set[str]]]) -> None:
    assert [(one.name, set(one.labels)) for one in queries.selectors(expr)] == found


@pytest.mark.slow
def test_the_running_service_has_the_series_and_the_bucket_that_the_rules_ask_for(start: Callable[..., Server]) -> None:
    text = start().get("/metrics").body.decode()
    samples = [one for family in parser.text_string_to_metric_families(text) for one in family.samples]
    declared = YAML(typ="safe").load((FOLDER / "series.yaml").read_text())["service"]
    assert declared == {name: [*declared[name]] for name in declared}
    for name, labels in declared.items():
        assert {frozenset(one.labels) for one in samples if one.name == name} == {frozenset(labels)}
    (bucket,) = set(re.findall(r'le="([\d.]+)"', (FOLDER / "slo.yaml").read_text()))
    assert bucket in {one.labels.get("le") for one in samples}
