"""Every series of rules and panels is asked of a real Prometheus; what it lacks is told, or its reason is declared."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.lib.errors import Code, Stop
from tasks.lib.observe import existing, panels, queries, rules
from tasks.lib.observe.files import FOLDER
from tests.observe.conftest import Watched, environment

RATE = 'sum by (namespace) (rate(app_requests_total{job="slipway-service", status=~"5.."}[5m])) > 0.1'
ODD = 'kube_pod_container_status_restarts_total{namespace=~"slipway-.+", container="none"}'


def made(tmp_path: Path, exprs: Mapping[str, str], later: Mapping[str, str] | None = None) -> Path:
    """A folder of alerts with these rules, and these selections that may be empty."""
    (tmp_path / "rules").mkdir()
    group = {"name": "x", "rules": [{"alert": name, "expr": expr} for name, expr in exprs.items()]}
    declared = [{"selector": text, "missing": kind, "reason": "a test"} for text, kind in (later or {}).items()]
    for file, data in (("rules/x.yaml", {"groups": [group]}), ("later.yaml", declared)):
        with (tmp_path / file).open("w") as out:
            YAML().dump(data, out)
    return tmp_path


def told(watched: Watched, folder: Path) -> list[str]:
    """The findings."""
    with pytest.raises(Stop) as stopped:
        existing.check(watched.address, environment(), folder, boards=[])
    assert stopped.value.code == Code.FINDINGS
    return stopped.value.sentence.splitlines()


@pytest.mark.slow
def test_panels_and_rules_whose_series_are_there_pass(watched: Watched, tmp_path: Path) -> None:
    folder = made(tmp_path, {"Rate": RATE, "Odd": ODD}, {ODD: "values"})
    said = existing.check(watched.address, environment(), folder)
    # Those of the panels, of two rules, and of the releases that are marked.
    selections = {
        one.text
        for board in panels.read()
        for panel in board.panels
        for target in panel.targets
        for one in queries.selectors(target.expr)
    }
    assert said == f"{len(selections) + 3} selections, 1 of them empty for a declared reason"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expr", "why"),
    [
        ('rate(app_request_total{job="slipway-service"}[5m])', "there is no series app_request_total"),
        ('app_requests_total{job="slipway-service", code="500"}', "app_requests_total has no label code"),
        (
            'app_requests_total{job="other"}',
            'there is no app_requests_total{job="other"}, only others of that name',
        ),
        ('sum by (code) (app_requests_total{job="slipway-service"})', "groups by code, which none of its series has"),
        ('sum(up{job="slipway-service", namespace="slipway-$environment-2"})', "only others of that name"),
    ],
)
def test_what_is_missing_is_told_with_file_alert_and_series(
    watched: Watched, tmp_path: Path, expr: str, why: str
) -> None:
    (line,) = told(watched, made(tmp_path, {"Good": RATE, "Bad": expr}))
    where, what, reason = line.split(": ", 2)
    assert (where, what) == (str(tmp_path / "rules" / "x.yaml"), "Bad")
    assert why in reason
    assert "$environment" not in reason


@pytest.mark.slow
def test_alerts_that_miss_the_same_are_one_finding(watched: Watched, tmp_path: Path) -> None:
    gone = 'argocd_app_info{project="slipway"}'
    (line,) = told(watched, made(tmp_path, {"One": gone, "Two": f"{gone} > 0"}))
    assert line.endswith("x.yaml: One, Two: there is no series argocd_app_info")
    elsewhere = environment().model_copy(update={"name": "elsewhere"})
    assert existing.scraped(watched.address, environment())
    assert not existing.scraped(watched.address, elsewhere)


@pytest.mark.slow
def test_a_declared_reason_excuses_values_or_a_whole_series_and_no_more(watched: Watched, tmp_path: Path) -> None:
    gone, label = 'argocd_app_info{project="slipway"}', 'up{job="slipway-service", nolabel="x"}'
    exprs = {"Gone": gone, "Label": label, "Odd": ODD}
    told_first = told(watched, made(tmp_path, exprs, {gone: "values", label: "values", ODD: "values"}))
    assert [line.split(": ", 1)[1] for line in told_first] == [
        "Gone: there is no series argocd_app_info",
        "Label: up has no label nolabel",
    ]
    shutil.rmtree(tmp_path / "rules")
    folder = made(tmp_path, exprs, {gone: "series", label: "series", ODD: "values"})
    assert existing.check(watched.address, environment(), folder, []).startswith("3 selections, 3 of them empty")


@pytest.mark.slow
def test_a_reason_that_nobody_needs_any_more_is_told(watched: Watched, tmp_path: Path) -> None:
    (line,) = told(watched, made(tmp_path, {"Good": RATE}, {'old{a="b"}': "series"}))
    assert line == f'{tmp_path}/later.yaml: old{{a="b"}}: neither a rule nor a panel asks for it'


def test_the_reasons_that_are_shipped_are_of_what_is_asked() -> None:
    asked = [rule.expr for _, rule in rules.read()]
    asked += [target.expr for board in panels.read() for panel in board.panels for target in panel.targets]
    assert existing.later().keys() <= {one.text for expr in asked for one in queries.selectors(expr)}


def test_a_silent_prometheus_is_no_finding() -> None:
    with pytest.raises(Stop, match="ConnectionError") as stopped:
        existing.check("http://127.0.0.1:1", environment())
    assert stopped.value.code == Code.COULD_NOT_RUN


@pytest.mark.parametrize("text", ["- selector: up", "colour: red", "[", "- {selector: up, missing: all, reason: why}"])
def test_a_broken_list_is_a_sentence(tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "alerts"))
    (folder / "later.yaml").write_text(text)
    with pytest.raises(Stop, match=r"later\.yaml") as stopped:
        existing.later(folder)
    assert stopped.value.code == Code.USAGE
