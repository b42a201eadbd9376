"""The lab's monitoring, without a lab: what would be applied, and where it is said to answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.lib.lab import monitoring, monitoring_images, observing, state
from tasks.lib.lab import monitoring_manifests as manifests
from tasks.lib.lab.layout import Home

NAMES = {name: f"slipway.lab/{name}:0123" for name in monitoring_images.PROGRAMS}


def own() -> list[dict[str, Any]]:
    texts = [manifests.filled(file.read_text(), "0123", Path("/lab/textfile")) for file in manifests.OWN.glob("*.yaml")]
    return [found for text in texts for found in YAML(typ="safe").load_all(text)]


def images(found: object) -> list[str]:
    """Every value under a key `image`, at any depth."""
    if isinstance(found, dict):
        return [value for key, value in found.items() if key == "image"] + images(list(found.values()))
    return [image for one in found for image in images(one)] if isinstance(found, list) else []


def test_every_image_is_one_that_is_made_here() -> None:
    upstream = [monitoring_images.PROGRAMS[index] for index in (0, 1, 4)]  # named in upstream's manifests and by a flag
    assert sorted(images(own())) == sorted(name for program, name in NAMES.items() if program not in upstream)


def test_node_ports_are_those_that_are_told_and_below_those_that_kubernetes_gives_away() -> None:
    services = [one for one in own() if one["kind"] == "Service"]
    ports = {port["nodePort"] for one in services for port in one["spec"]["ports"] if "nodePort" in port}
    assert ports == {address.port for address in observing.VARIABLES.values()}
    assert max(ports) < 30086


def test_prometheus_takes_every_monitor_and_rule_and_asks_every_15_s() -> None:
    (spec,) = [one["spec"] for one in own() if one["kind"] == "Prometheus"]
    for kind in ("serviceMonitor", "rule"):
        assert spec[f"{kind}Selector"] == spec[f"{kind}NamespaceSelector"] == {}
    assert spec["scrapeInterval"] == "15s"
    assert spec["alerting"]["alertmanagers"][0]["name"] == "alertmanager-operated"


def test_routes_are_those_that_are_checked_and_tell_nobody_without_a_webhook() -> None:
    text = (manifests.ALERTMANAGER / "alertmanager.yaml").read_text()
    ours = YAML(typ="safe").load(text)
    told, silent = (json.loads(manifests.routes(text, webhook)) for webhook in ("http://10.10.0.1:9/x", ""))
    for found in (told, silent):
        assert (found["route"], found["inhibit_rules"]) == (ours["route"], ours["inhibit_rules"])
        assert found["templates"] == ["/etc/alertmanager/config/slack.tmpl"]
    assert told["receivers"] == ours["receivers"]
    assert silent["receivers"] == [{"name": name} for name in ("ticket", "urgent", "page")]
    assert "slack" not in json.dumps(silent["global"])


def test_the_webhook_is_in_its_secret_and_nowhere_else() -> None:
    webhook = "http://10.10.0.1:9/hook"
    holding = [one["metadata"]["name"] for one in manifests.secrets(webhook) if webhook in json.dumps(one)]
    assert holding == ["slipway-slack"]
    assert manifests.secrets("")[1]["stringData"] == {"url": ""}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({}, ""),
        ({"containerStatuses": [{"state": {"running": {}}}]}, ""),
        (
            {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "1 Insufficient cpu."}]},
            "p: Unschedulable: 1 Insufficient cpu.",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}, "p: ErrImagePull"),
    ],
)
def test_what_keeps_a_pod_from_running_is_named(status: dict[str, Any], says: str) -> None:
    assert monitoring.stuck({"metadata": {"name": "p"}, "status": status}) == says


def test_another_webhook_is_another_installation() -> None:
    assert monitoring.recipe("") == monitoring.recipe("") != monitoring.recipe("http://10.10.0.1:9/hook")


def test_overlays_lay_our_images_over_upstreams_manifests(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for folder in (manifests.operator(home, tmp_path, NAMES), manifests.rest(home, tmp_path, NAMES)):
        found = json.loads((folder / "kustomization.yaml").read_text())
        assert {image["newName"] for image in found["images"]} == {
            "slipway.lab/prometheus-operator",
            "slipway.lab/kube-state-metrics",
        }
        assert (folder / found["resources"][0]).resolve() == tmp_path.resolve()
    assert (
        f"--prometheus-config-reloader={NAMES['prometheus-config-reloader']}"
        in (home.etc / "monitoring" / "operator" / "kustomization.yaml").read_text()
    )
    assert str(manifests.textfiles(home)) in (folder / "own" / "node-exporter.yaml").read_text()


@pytest.mark.parametrize(
    "listing",
    [
        "\tlinux-vdso.so.1 (0x00007f55)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f55)\n\t/lib64/ld.so.2 (0x00007f55)\n",
        "\tlibc.so.6 => /lib/libc.so.6 (0x0000ffff)\n\t/lib64/ld.so.2 (0x0000ffff)\n",
    ],
)
def test_libraries_are_files_and_not_what_the_kernel_brings(listing: str) -> None:
    assert monitoring_images.LIBRARY.findall(listing) == ["/lib/libc.so.6", "/lib64/ld.so.2"]
    assert monitoring_images.LIBRARY.findall("\tnot a dynamic executable\n") == []


def test_nothing_is_named_and_nobody_asked_where_no_monitoring_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_LAB_HOME", str(tmp_path))
    monkeypatch.setattr("tasks.lib.lab.probes.http", lambda url: pytest.fail(f"{url} was asked"))
    assert observing.prometheus() is observing.alertmanager() is observing.traces() is None
    assert observing.addresses() == {}
    state.remember(Home(tmp_path), monitoring="")  # started once, in a lab that does not run any more
    assert observing.addresses() == {}
