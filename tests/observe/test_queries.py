"""What the service's panels say in the cases where the first forms misled; worked out by Prometheus' own promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from ruamel.yaml import YAML

from tasks.lib import tools
from tasks.lib.observe import panels
from tests.observe.conftest import environment

LABELS = 'job="slipway-service",namespace="slipway-local"'
QUERIES = {
    panel.title: panels.filled(panel.targets[0].expr, environment())
    for board in panels.read()
    for panel in board.panels
    if board.uid == "slipway-service"
}


def requests(pod: str, status: str, each_minute: int, endpoint: str = "/api/time") -> dict[str, str]:
    labels = f'{LABELS},pod="{pod}",method="GET",endpoint="{endpoint}",status="{status}"'
    return {"series": f"app_requests_total{{{labels}}}", "values": f"0+{each_minute}x20"}


def bucket(pod: str, limit: str, each_minute: int, endpoint: str = "/api/time") -> dict[str, str]:
    labels = f'{LABELS},pod="{pod}",endpoint="{endpoint}",le="{limit}"'
    return {"series": f"app_request_latency_seconds_bucket{{{labels}}}", "values": f"0+{each_minute}x20"}


def restarts(pod: str, values: str, namespace: str = "slipway-local") -> dict[str, str]:
    labels = f'namespace="{namespace}",pod="{pod}",container="service"'
    return {"series": f"kube_pod_container_status_restarts_total{{{labels}}}", "values": values}


# title, what happens, the value that is shown; None: a gap
CASES: list[tuple[str, list[dict[str, str]], float | None]] = [
    ("Request rate", [requests("a", "200", 60), requests("b", "500", 30)], 1.5),
    ("Request rate", [requests("a", "200", 60), requests("a", "200", 600, "/metrics")], 1),
    ("Request rate", [requests("a", "200", 0)], 0),
    ("Request rate", [], None),
    ("Error rate", [requests("a", "200", 60), requests("b", "500", 30), requests("b", "503", 30)], 50),
    ("Error rate", [requests("a", "200", 60)], 0),
    ("Error rate", [requests("a", "200", 60), requests("a", "500", 0)], 0),
    ("Error rate", [requests("a", "200", 0), requests("a", "500", 0)], 0),
    ("Error rate", [requests("a", "200", 60), requests("a", "503", 60, "/ready")], 0),
    ("Error rate", [], None),
    ("P95 latency", [bucket("a", "0.1", 30), bucket("a", "0.2", 60), bucket("a", "+Inf", 60)], 0.19),
    ("P95 latency", [bucket(pod, limit, 30) for pod in "ab" for limit in ("0.1", "+Inf")], 0.095),
    ("P95 latency", [bucket("a", "0.1", 0), bucket("a", "+Inf", 0)], None),
    ("P95 latency", [], None),
    ("Pod restarts", [restarts("a", "0x9 1x20"), restarts("b", "4x30")], 1),
    ("Pod restarts", [restarts("a", "7x30"), restarts("a", "0+1x20", "default")], 0),
    ("Pod restarts", [], None),
]


@pytest.mark.slow
def test_zero_is_zero_a_gap_is_a_gap_and_pods_are_one_service(c: Context, tmp_path: Path) -> None:
    def told(number: int, title: str, series: list[dict[str, str]], value: float | None) -> dict[str, Any]:
        label = '{namespace="slipway-local"}' if title == "Pod restarts" else '{job="slipway-service"}'
        shown = [] if value is None else [{"labels": label, "value": value}]
        # Between two scrapes Prometheus extrapolates: one restart would be 1.07 of them.
        moment = "16m30s" if title == "Pod restarts" else "16m"
        asked = {"expr": QUERIES[title], "eval_time": moment, "exp_samples": shown}
        return {"name": f"{number} {title}", "interval": "1m", "input_series": series, "promql_expr_test": [asked]}

    file = tmp_path / "panels.yaml"
    cases = [told(number, *case) for number, case in enumerate(CASES)]
    with file.open("w") as stream:
        YAML().dump({"evaluation_interval": "1m", "tests": cases}, stream)
    promtool = tools.path(c, "prometheus").with_name("promtool")
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
