"""The lab's monitoring, with a delivered service in it. After all files but one: at its end it takes the lab down."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from invoke.context import Context

from tasks.lib import lab
from tasks.lib.lab import cgroups, layout, monitoring, observing
from tasks.lib.lab import monitoring_manifests as manifests
from tasks.lib.observe import panels, rules
from tests.lifecycle.world import World

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.slow]
JOBS = {
    "slipway-service",
    "kubelet",
    "apiserver",
    "kube-state-metrics",
    "node-exporter",
    "argocd-metrics",
    "argocd-repo-server",
    "argocd-applicationset-controller",
    "prometheus",
    "alertmanager",
    "otel-collector",
}


def ask(base: str | None, path: str, **params: str) -> Any:
    """The JSON of a page, which must be there."""
    assert base
    answer = requests.get(base + path, params=params, timeout=10)
    assert answer.status_code == 200, answer.text[:300]
    return answer.json()


def comes(what: str, look: Callable[[], Any], seconds: float = 90.0) -> Any:
    """The first answer of `look` that is not empty; fails after `seconds`. A question that goes wrong is put again."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
        except (AssertionError, requests.RequestException):
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.5)


def series(expr: str) -> list[Any]:
    return list(ask(observing.prometheus(), "/api/v1/query", query=expr)["data"]["result"])


def pod_address(world: World) -> str:
    """Of a pod that stays."""
    pods = world.get("pods", "--selector=app.kubernetes.io/name=slipway-service")["items"]
    return str(next(pod["status"]["podIP"] for pod in pods if "deletionTimestamp" not in pod["metadata"]))


def scraped(world: World) -> set[str]:
    """States of all targets, once every job and this environment have some and all were asked; until then empty."""
    targets = ask(observing.prometheus(), "/api/v1/targets", state="active")["data"]["activeTargets"]
    labels = [target["labels"] for target in targets]
    states = {str(target["health"]) for target in targets}
    there = {one["job"] for one in labels} >= JOBS and world.namespace in {one.get("namespace") for one in labels}
    return states if there and "unknown" not in states else set()


@pytest.fixture(scope="module")
def observed(world: World) -> Iterator[World]:
    """A service that was delivered before the monitoring came, as on a lab that somebody has used for a while."""
    world.given("a")
    world.scratch.inv("lab.up", "--observe")
    comes(
        "the collector's address in the service", lambda: "otel-collector.monitoring" in json.dumps(world.deployment())
    )
    world.scratch.kubectl("rollout", "status", "deployment/slipway-service", f"--namespace={world.namespace}")
    # Here and not in a test: where it never comes about, the tests need not each wait for it. The operator's reloader
    # misses a second change that comes soon after a first, and looks by itself every three minutes.
    comes("a first scrape of every target", lambda: scraped(world), 400)
    yield world
    assert lab.down(world.scratch.c)
    assert observing.addresses() == {}
    assert cgroups.processes(layout.home().cgroup) == set()
    with pytest.raises(requests.ConnectionError):
        requests.get(observing.PROMETHEUS.url, timeout=5)


def test_every_target_is_up_and_the_service_is_one_of_them(observed: World) -> None:
    comes("every target's good health", lambda: scraped(observed) == {"up"})


@pytest.mark.parametrize(
    "expr",
    [
        'app_requests_total{namespace="NAMESPACE", release!=""}',
        'app_request_latency_seconds_bucket{namespace="NAMESPACE"}',
        'kube_deployment_status_replicas_available{namespace="NAMESPACE"}',
        'kube_pod_container_status_restarts_total{namespace="NAMESPACE"}',
        'kube_horizontalpodautoscaler_spec_max_replicas{namespace="NAMESPACE"}',
        "node_memory_MemAvailable_bytes",
        "node_cpu_seconds_total",
        'argocd_app_info{project="slipway", dest_namespace="NAMESPACE"}',
        'container_cpu_usage_seconds_total{namespace="NAMESPACE"}',
        "apiserver_request_total",
    ],
)
def test_the_series_that_rules_and_panels_ask_for_are_there(observed: World, expr: str) -> None:
    comes(expr, lambda: series(expr.replace("NAMESPACE", f"slipway-{observed.env}")))


QUERIES = [(panel.title, target.expr) for board in panels.read() for panel in board.panels for target in panel.targets]


@pytest.fixture(scope="module")
def visited(observed: World) -> World:
    """The service with some traffic, and its delivery log where node-exporter reads it."""
    file = manifests.textfiles(layout.home()) / f"{observed.env}.prom"
    observed.inv("observe.metrics", "--out", str(file))
    for _ in range(20):
        assert requests.get(f"http://{pod_address(observed)}:5000/", timeout=10).status_code == 200
    return observed


@pytest.mark.parametrize(
    ("title", "expr"), QUERIES, ids=[f"{title}-{number}" for number, (title, _) in enumerate(QUERIES)]
)
def test_every_query_of_every_panel_has_data(visited: World, title: str, expr: str) -> None:
    if title == "Time to restore":
        pytest.skip("nothing was taken back here: it says so instead of a number")
    comes(title, lambda: series(expr.replace("$environment", visited.env)))


def test_our_rules_are_loaded_and_can_be_evaluated(observed: World) -> None:
    wanted = {rule.alert for _, rule in rules.read() if rule.alert}

    def loaded() -> list[Any]:
        groups = ask(observing.prometheus(), "/api/v1/rules")["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        there = wanted <= {rule["name"] for rule in found} and all(rule["health"] != "unknown" for rule in found)
        return found if there else []

    assert [rule for rule in comes("the rules", loaded) if rule["health"] != "ok"] == []


def test_argo_cd_finds_the_service_as_git_has_it_with_its_monitor(observed: World) -> None:
    query = ("get", "application", f"slipway-{observed.env}", "--namespace=argocd", "--output=json")

    def told() -> dict[str, str]:
        found = json.loads(observed.scratch.kubectl(*query))["status"]["resources"]
        states = {one["kind"]: one["status"] for one in found}
        return states if "ServiceMonitor" in states else {}

    assert set(comes("its ServiceMonitor", told).values()) == {"Synced"}


def test_alertmanager_has_our_routes_and_prometheus_knows_it(observed: World) -> None:
    told = comes("its routes", lambda: ask(observing.alertmanager(), "/api/v2/status")["config"]["original"])
    for part in (
        "receiver: page",
        'severity="critical"',
        'alertname="ServiceDown"',
        "/etc/alertmanager/config/slack.tmpl",
    ):
        assert part in told
    known = comes(
        "Alertmanager", lambda: ask(observing.prometheus(), "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    )
    assert len(known) == 1


def test_a_request_is_found_by_its_trace_id(observed: World) -> None:
    trace = secrets.token_hex(16)
    address = pod_address(observed)
    sent = requests.get(f"http://{address}:5000/", headers={"traceparent": f"00-{trace}-{'1' * 16}-01"}, timeout=10)
    assert sent.status_code == 200

    def stored() -> list[Any]:
        answer = requests.get(f"{observing.traces()}/api/traces/{trace}", timeout=10)
        return list(answer.json()["data"] or []) if answer.status_code == 200 else []

    (found,) = comes("the trace", stored)
    (span,) = found["spans"]
    assert (found["traceID"], span["references"][0]["spanID"]) == (trace, "1" * 16)
    assert found["processes"][span["processID"]]["serviceName"] == "slipway-service"


def test_a_second_up_is_told_apart_and_does_nothing(observed: World) -> None:
    pods = ("get", "pods", "--namespace=monitoring", "--output=jsonpath={range .items[*]}{.metadata.uid} {end}")
    before = observed.scratch.kubectl(*pods)
    for words in (("lab.up", "--observe"), ("lab.up",)):
        said = observed.scratch.inv(*words).stdout
        assert f"export SLIPWAY_PROMETHEUS_URL={observing.prometheus()}" in said
        assert "Start the lab's monitoring" not in said
    assert observed.scratch.kubectl(*pods) == before
    assert "prometheus-slipway-0" in observed.scratch.inv("lab.status").stdout


def test_what_was_cut_short_or_deleted_is_put_right_by_the_next(observed: World, c: Context) -> None:
    observed.scratch.kubectl("delete", "deployment", "kube-state-metrics", "--namespace=monitoring")
    comes("the end of kube-state-metrics", lambda: monitoring.missing(c, layout.home()))
    observed.scratch.inv("lab.up", "--observe")
    assert monitoring.missing(c, layout.home()) == []
