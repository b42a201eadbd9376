"""The dashboards that are checked in are those that the source makes, and hold what they promise."""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from ruamel.yaml import YAML

from tasks.lib import paths
from tasks.lib.errors import Code, Stop
from tasks.lib.observe import dashboards, panels

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(panels.GENERATED.glob("*.json"))}
PANELS = [panel for board in BOARDS.values() for panel in board["panels"]]
# The four of the first draft, as they were.
FIRST = {
    "Request rate": "rate(app_requests_total[5m])",
    "Error rate": 'rate(app_requests_total{status=~"5.."}[5m]) / rate(app_requests_total[5m]) * 100',
    "P95 latency": "histogram_quantile(0.95, rate(app_request_latency_seconds_bucket[5m]))",
    "Pod restarts": 'kube_pod_container_status_restarts_total{namespace="default"}',
}


NEEDS_SDK = pytest.mark.skipif(tuple(sys.version_info) < (3, 11), reason="Grafana's SDK needs Python 3.11")


@NEEDS_SDK
@pytest.mark.slow
def test_what_is_checked_in_is_current(c: Context) -> None:
    made = dashboards.build(c)
    assert dashboards.stale(made, panels.GENERATED) == []
    assert set(made) == {"slipway-service.json", "slipway-delivery.json", "configmaps.yaml"}


@NEEDS_SDK
@pytest.mark.slow
def test_a_changed_source_is_told_and_writes_what_is_missing_and_nothing_else(c: Context, tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "generated"
    source.mkdir()
    folder.mkdir()
    for path in dashboards.SOURCE.glob("*.*"):
        (source / path.name).write_text(path.read_text())
    assert len(dashboards.write(dashboards.build(c, source), folder)) == 3
    assert dashboards.write(dashboards.build(c, source), folder) == []
    (source / "service.py").write_text((source / "service.py").read_text().replace("0.95", "0.99"))
    (folder / "left.json").write_text("{}")
    made = dashboards.build(c, source)
    changed = [folder / name for name in ("configmaps.yaml", "left.json", "slipway-service.json")]
    assert dashboards.stale(made, folder) == changed
    assert dashboards.write(made, folder) == changed
    assert not (folder / "left.json").exists()


def test_the_service_has_the_four_panels_and_each_explains_both_forms() -> None:
    found = {panel["title"]: panel for panel in BOARDS["slipway-service"]["panels"]}
    assert list(found) == list(FIRST)
    for title, first in FIRST.items():
        assert first in found[title]["description"]
        assert all(target["expr"] != first for target in found[title]["targets"])
        assert " gap " in found[title]["description"].lower()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_every_panel_says_what_it_is_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 40
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        selectors = re.findall(r"\b(?:app|kube|slipway)_\w+(\{?)", target["expr"])
        assert selectors.count("{") >= 1


@pytest.mark.parametrize("uid", BOARDS)
def test_releases_are_marked_on_every_panel(uid: str) -> None:
    """An annotation without a filter is Grafana's way of saying all panels."""
    (releases,) = BOARDS[uid]["annotations"]["list"]
    assert releases["enable"] and not releases["hide"] and releases["useValueForTime"]
    assert "slipway_release_timestamp_seconds" in releases["expr"]
    assert "filter" not in releases


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_have_numbers_of_their_own_and_do_not_overlap(uid: str) -> None:
    board = BOARDS[uid]
    assert board["uid"] == uid
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_delivery_shows_what_runs_the_four_numbers_and_the_gates() -> None:
    titles = [panel["title"] for panel in BOARDS["slipway-delivery"]["panels"]]
    assert titles[:5] == ["What runs where", "Deploys per week", "Lead time", "Change failure rate", "Time to restore"]
    assert "Gates of the running release" in titles


def test_links_of_alerts_lead_to_a_dashboard_and_its_variable() -> None:
    texts = [path.read_text() for path in (paths.ROOT / "alerts" / "rules").glob("*.yaml")]
    links = [link for text in texts for link in re.findall(r"dashboard_url: '?\S+/d/([\w-]+)(?:\?var-(\w+)=)?", text)]
    assert len(links) > 10
    for uid, variable in links:
        assert uid in BOARDS
        assert variable in ("", *(one["name"] for one in BOARDS[uid]["templating"]["list"]))


def test_config_maps_are_what_the_sidecar_looks_for() -> None:
    manifests = list(YAML(typ="safe").load_all((panels.GENERATED / dashboards.CONFIG_MAPS).read_text()))
    found = {name: text for manifest in manifests for name, text in manifest["data"].items()}
    for manifest in manifests:
        label = "grafana_datasource" if "slipway.yaml" in manifest["data"] else "grafana_dashboard"
        assert (manifest["kind"], manifest["metadata"]["labels"][label]) == ("ConfigMap", "1")
    for uid, board in BOARDS.items():
        assert json.loads(found.pop(f"{uid}.json")) == board
    (source,) = YAML(typ="safe").load(StringIO(found.pop("slipway.yaml")))["datasources"]
    assert (source["type"], source["access"], found) == ("prometheus", "proxy", {})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"uid": "a", "title": "b", "panels": [], "annotations": {}}'])
def test_a_broken_dashboard_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "slipway-service.json").write_text(text)
    with pytest.raises(Stop, match=r"slipway-service\.json is no dashboard of ours") as stopped:
        panels.read(tmp_path)
    assert stopped.value.code == Code.USAGE


def test_no_dashboards_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="holds no dashboards"):
        panels.read(tmp_path)
