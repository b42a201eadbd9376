"""The collector of the chart: off by default, and reachable through the NetworkPolicy where one is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.rendering import Chart, Refused

ENDPOINT = "http://otel-collector.observability:4318"


def test_off_by_default(chart: Chart) -> None:
    assert not [name for name in chart.env() if name.startswith("OTEL_")]
    assert len(chart.render()["NetworkPolicy"]["spec"]["egress"]) == 1


def test_the_endpoint_and_where_it_is_from(chart: Chart) -> None:
    env = chart.env({"otlp": {"endpoint": ENDPOINT, "resourceAttributes": {"deployment.environment.name": "staging"}}})
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == ENDPOINT
    assert dict(pair.split("=") for pair in env["OTEL_RESOURCE_ATTRIBUTES"].split(",")) == {
        "deployment.environment.name": "staging",
        "k8s.deployment.name": "slipway-service",
        "k8s.namespace.name": "slipway-test",
    }


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [(ENDPOINT, 4318), ("https://otlp.example", 443), ("http://collector", 80), ("https://otlp.example:8443/", 8443)],
)
def test_the_network_policy_opens_the_way_to_it(chart: Chart, endpoint: str, port: int) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]
    policy = chart.render({"otlp": {"endpoint": endpoint, "to": peers}})["NetworkPolicy"]
    assert policy["spec"]["egress"][1] == {"ports": [{"port": port, "protocol": "TCP"}], "to": peers}


def test_without_peers_any_address_on_that_port(chart: Chart) -> None:
    policy = chart.render({"otlp": {"endpoint": ENDPOINT}})["NetworkPolicy"]
    assert policy["spec"]["egress"][1] == {"ports": [{"port": 4318, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    "values",
    [
        {"endpoint": "collector:4318"},
        {"endpoint": "http://user:password@collector:4318"},
        {"endpoint": ENDPOINT, "resourceAttributes": {"a": "x,b=y"}},
        {"endpoint": ENDPOINT, "to": [{"pods": {}}]},
        {"endpiont": ENDPOINT},
    ],
)
def test_what_cannot_be_is_refused(chart: Chart, values: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="don't meet the specifications of the schema"):
        chart.text({"otlp": values})


def test_only_where_the_cluster_knows_an_api(chart: Chart) -> None:
    values = {"otlp": {"endpoint": ENDPOINT, "onlyWith": "monitoring.coreos.com/v1"}}
    assert not [name for name in chart.env(values) if name.startswith("OTEL_")]
    assert len(chart.render(values)["NetworkPolicy"]["spec"]["egress"]) == 1
    there = chart.text(values, apis=["monitoring.coreos.com/v1"])
    assert there.count(ENDPOINT) == 1
    assert "port: 4318" in there
