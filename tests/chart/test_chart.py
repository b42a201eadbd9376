"""What the chart renders, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import arrival
from tasks.lib.settings import Environment, LabCluster
from tasks.lib.target import Target
from tests.chart.rendering import CHART, RELEASE_VALUES, Chart, Refused

SHA = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


def test_lint_is_clean(chart: Chart) -> None:
    line = [str(chart.helm), "lint", "--strict", str(CHART), "--values", str(RELEASE_VALUES)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize(
    "values",
    [
        {"replicaCount": 3},
        {"image": {"tagg": "x"}},
        {"image": {"digest": "sha256:123"}},
        {"image": {"digest": "latest"}},
        {"release": {"revision": "a b"}},
        {"release": {"revision": 1234567}},
        {"autoscaling": {"minReplicas": 1}},
        {"autoscaling": {"minReplicas": "2"}},
        {"resources": {"limits": {"cpus": "1"}}},
        {"probes": {"readiness": {"period": 1}}},
        {"drain": {"preStop": 3}},
        {"drain": {"preStopSeconds": -1}},
        {"faults": {"errors": 1.5}},
        {"faults": {"error": 1}},
        {"faults": {"unready": "yes"}},
        {"serviceMonitor": {"interval": 15}},
        {"networkPolicy": {"from": [{"pods": {}}]}},
        {"extraEnv": [{"nam": "x"}]},
        {"extraEnv": {"X": "y"}},
        {"replicas": 1},
    ],
)
def test_schema_refuses_what_it_does_not_know(chart: Chart, values: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="don't meet the specifications of the schema"):
        chart.text(values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"image": {"digest": ""}}, "image.digest is empty"),
        ({"image": {"repository": ""}}, "image.repository is empty"),
        ({"image": {"digest": "", "tag": "", "allowTag": True}}, "image.tag is empty"),
        ({"drain": {"marginSeconds": 0}}, "drain.marginSeconds must be at least 1"),
        ({"drain": {"preStopSeconds": 2}}, "drain.preStopSeconds .2. must be more than"),
        ({"autoscaling": {"minReplicas": 6}}, "maxReplicas is less than"),
    ],
)
def test_values_that_break_a_promise_are_refused(chart: Chart, values: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        chart.text(values)


def test_the_chart_alone_has_no_image(chart: Chart) -> None:
    with pytest.raises(Refused, match=r"image\.repository is empty"):
        chart.text(release_values=False)


def test_what_runs_is_the_digest(chart: Chart) -> None:
    assert chart.container()["image"] == f"registry.example/slipway-service:{SHA}@{DIGEST}"
    local = {"image": {"digest": "", "tag": "dev", "allowTag": True}}
    assert chart.container(local)["image"] == "registry.example/slipway-service:dev"


def test_the_release_reaches_the_service(chart: Chart) -> None:
    env = chart.env()
    assert (env["SLIPWAY_REVISION"], env["SLIPWAY_IMAGE_DIGEST"]) == (SHA, DIGEST)
    assert chart.env({"extraEnv": [{"name": "A", "value": "b"}]})["A"] == "b"


@pytest.mark.parametrize(
    ("revision", "label"),
    [(SHA, SHA[:12]), (SHA + "-dirty", SHA[:12] + "-dirty"), ("v" * 100, "v" * 63), ("", "unknown")],
)
def test_the_version_label_is_short_and_safe(chart: Chart, revision: str, label: str) -> None:
    labels = chart.render({"release": {"revision": revision}})["Deployment"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == label


def test_the_selector_never_changes_with_a_release(chart: Chart) -> None:
    selector = {"app.kubernetes.io/name": "slipway-service", "app.kubernetes.io/instance": "slipway-test"}
    rendered = chart.render()
    assert rendered["Deployment"]["spec"]["selector"]["matchLabels"] == selector
    assert rendered["Service"]["spec"]["selector"] == selector
    assert rendered["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == selector
    assert rendered["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == selector
    assert selector.items() <= rendered["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert not selector.items() <= rendered["Test"]["metadata"]["labels"].items()


def test_arrival_counts_the_services_pods_and_not_the_test_pod(chart: Chart) -> None:
    env = Environment(name="x", cluster=LabCluster(kind="lab"))
    here = Target(env, Path("kubeconfig"), "context", "host/app", "git://host/app.git", "main", publishes=True)
    asked = dict(term.split("=") for term in arrival.selector(here).split(","))
    rendered = chart.render()
    pods = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert {**asked, "app.kubernetes.io/instance": "slipway-test"}.items() <= pods.items()
    assert asked["app.kubernetes.io/name"] != rendered["Test"]["metadata"]["labels"]["app.kubernetes.io/name"]


def test_replicas_are_the_autoscalers(chart: Chart) -> None:
    rendered = chart.render()
    assert "replicas" not in rendered["Deployment"]["spec"]
    spec = rendered["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    fixed = chart.render({"autoscaling": {"enabled": False}, "replicas": 3})
    assert fixed["Deployment"]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in fixed


def test_resources_are_the_promised_ones(chart: Chart) -> None:
    assert chart.container()["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "200m", "memory": "256Mi"},
    }


def test_a_rollout_never_takes_a_pod_away_first(chart: Chart) -> None:
    rendered = chart.render()
    assert rendered["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert rendered["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    spread = rendered["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {item["whenUnsatisfiable"] for item in spread} == {"ScheduleAnyway"}


def pod(chart: Chart, values: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(chart.render(values)["Deployment"]["spec"]["template"]["spec"])


def test_a_pod_has_time_to_leave(chart: Chart) -> None:
    spec = pod(chart)
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert spec["terminationGracePeriodSeconds"] == 5 + 1 + 20 + 5
    longer = {"drain": {"preStopSeconds": 30, "gracefulSeconds": 60, "marginSeconds": 10}}
    assert pod(chart, longer)["terminationGracePeriodSeconds"] == 30 + 1 + 60 + 10
    env = chart.env(longer)
    assert (env["SLIPWAY_GRACEFUL_SECONDS"], env["SLIPWAY_LAME_DUCK_SECONDS"]) == ("60", "1")


def test_draining_can_be_taken_away_for_the_control_experiment(chart: Chart) -> None:
    off = {"drain": {"enabled": False}}
    assert "lifecycle" not in chart.container(off)
    assert chart.env(off)["SLIPWAY_LAME_DUCK_SECONDS"] == "0"
    assert pod(chart, off)["terminationGracePeriodSeconds"] == 25
    assert "lifecycle" not in chart.container({"drain": {"preStopSeconds": 0}})


def test_probes_ask_the_right_questions(chart: Chart) -> None:
    container = chart.container()
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"startupProbe": "/health", "readinessProbe": "/ready", "livenessProbe": "/health"}
    assert container["readinessProbe"]["periodSeconds"] == 1


@pytest.mark.parametrize("kind", ["Deployment", "Test"])
def test_pods_meet_pod_security_restricted(chart: Chart, kind: str) -> None:
    manifest = chart.render()[kind]
    spec = manifest["spec"]["template"]["spec"] if kind == "Deployment" else manifest["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all(set(volume) <= {"name", "emptyDir"} for volume in spec.get("volumes", []))
    for container in spec["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]


def test_the_service_account_carries_no_token(chart: Chart) -> None:
    assert chart.render()["ServiceAccount"]["automountServiceAccountToken"] is False


def test_service_port(chart: Chart) -> None:
    service = chart.render()["Service"]
    assert service["metadata"]["name"] == "slipway-service"
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http", 80, "http")
    assert chart.container()["ports"] == [{"name": "http", "containerPort": 5000, "protocol": "TCP"}]
    exposed = chart.render({"service": {"type": "NodePort", "nodePort": 30080}})["Service"]["spec"]
    assert (exposed["type"], exposed["ports"][0]["nodePort"]) == ("NodePort", 30080)


def test_service_monitor_only_where_the_cluster_knows_it(chart: Chart) -> None:
    known = ["monitoring.coreos.com/v1"]
    assert "ServiceMonitor" not in chart.render()
    (endpoint,) = chart.render(apis=known)["ServiceMonitor"]["spec"]["endpoints"]
    relabelings = endpoint.pop("relabelings")
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "15s"}
    # Without this the service's own label would become exported_endpoint, which no panel and no alert asks for.
    assert {"action": "labeldrop", "regex": "endpoint"} in relabelings
    assert [one["targetLabel"] for one in relabelings if "targetLabel" in one] == ["release"]
    assert "ServiceMonitor" not in chart.render({"serviceMonitor": {"enabled": False}}, apis=known)
    labelled = chart.render({"serviceMonitor": {"labels": {"release": "prometheus"}}}, apis=known)
    assert labelled["ServiceMonitor"]["metadata"]["labels"]["release"] == "prometheus"


def test_network_policy(chart: Chart) -> None:
    spec = chart.render()["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": 5000, "protocol": "TCP"}]}]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53}
    peers = [{"namespaceSelector": {"matchLabels": {"team": "edge"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    narrowed = chart.render({"networkPolicy": {"from": peers}})["NetworkPolicy"]["spec"]
    assert narrowed["ingress"][0]["from"] == peers
    assert "NetworkPolicy" not in chart.render({"networkPolicy": {"enabled": False}})


def test_faults_are_off_until_an_environment_enables_them(chart: Chart) -> None:
    assert not [name for name in chart.env() if "FAULT" in name]
    drill = chart.env({"faults": {"unready": True, "unhealthy": True, "errors": 0.25, "latencyMs": 1500}})
    assert {name: value for name, value in drill.items() if "FAULT" in name} == {
        "SLIPWAY_FAULT_UNREADY": "true",
        "SLIPWAY_FAULT_UNHEALTHY": "true",
        "SLIPWAY_FAULT_ERRORS": "0.25",
        "SLIPWAY_FAULT_LATENCY_MS": "1500",
    }


def test_everything_belongs_to_the_release(chart: Chart) -> None:
    for kind, manifest in chart.render(apis=["monitoring.coreos.com/v1"]).items():
        assert manifest["metadata"]["namespace"] == "slipway-test", kind
        assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "slipway-test", kind
        assert manifest["metadata"]["labels"]["app.kubernetes.io/part-of"] == "slipway", kind


@pytest.mark.slow
def test_every_manifest_is_what_kubernetes_expects(chart: Chart) -> None:
    from invoke import Context

    from tasks.lib import tools
    from tasks.lib.gates import schemas

    location = f"{schemas.folder(Context())}/{schemas.LOCATION}"
    line = [str(tools.path(Context(), "kubeconform")), "-strict", "-summary", "-schema-location", location]
    for values in (
        {},
        {"service": {"type": "NodePort", "nodePort": 30080}, "networkPolicy": {"from": [{"podSelector": {}}]}},
    ):
        done = subprocess.run(line, input=chart.text(values), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Valid: 7" in done.stdout
