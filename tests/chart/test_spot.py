"""What a node that AWS takes back does to the service: infra/terraform's Spot nodes and the chart have to agree."""

from __future__ import annotations

import re

from tasks.lib import paths
from tests.chart.rendering import Chart

WARNING_SECONDS = 120  # between a Spot interruption's warning and the end of the instance


def test_pods_may_run_on_spot_and_are_gone_in_time(chart: Chart) -> None:
    spec = chart.render()["Deployment"]["spec"]["template"]["spec"]
    nodes = (paths.ROOT / "infra/terraform/modules/cluster/nodes.tf").read_text(encoding="utf-8")
    key, value = re.findall(r'\? \["([^"]+)"\] : \[\]|value  = "(\w+)"', nodes)
    tolerated = {"key": key[0], "operator": "Equal", "value": value[1], "effect": "NoSchedule"}
    assert tolerated in spec["tolerations"]
    assert spec["terminationGracePeriodSeconds"] < WARNING_SECONDS / 2
    assert {one["topologyKey"] for one in spec["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
