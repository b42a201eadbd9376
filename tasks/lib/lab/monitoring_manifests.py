"""What is applied for the lab's monitoring: upstream's manifests with our images over them, and our own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from tasks.lib import paths
from tasks.lib.lab.files import put
from tasks.lib.lab.layout import Home

NAMESPACE = "monitoring"
OPERATOR = "github.com/prometheus-operator/prometheus-operator"
STATE_METRICS = "k8s.io/kube-state-metrics/v2"
OWN = paths.ROOT / "k8s" / "monitoring"
ALERTMANAGER = paths.ROOT / "alerts" / "alertmanager"
RULES = paths.ROOT / "alerts" / "kubernetes" / "prometheusrule.yaml"
FOLDERS = (OWN, ALERTMANAGER, RULES.parent)  # another file in them is another installation
UPSTREAM = {  # images that cannot be pulled, by the program of ours that takes their place
    "prometheus-operator": "quay.io/prometheus-operator/prometheus-operator",
    "kube-state-metrics": "registry.k8s.io/kube-state-metrics/kube-state-metrics",
}
CONTAINER = "/spec/template/spec/containers/0"


def textfiles(home: Home) -> Path:
    """The folder out of which node-exporter reads what `observe.metrics --out` writes."""
    return home.data / "textfile"


def before(webhook: str) -> dict[str, Any]:
    """The namespace, and the Secrets without which Alertmanager's pod does not start."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return {"apiVersion": "v1", "kind": "List", "items": [namespace, *secrets(webhook)]}


def secrets(webhook: str) -> list[dict[str, Any]]:
    """Alertmanager's configuration, from the files that observe.alerts checks, and the address of the webhook."""
    configuration = {"alertmanager.yaml": routes((ALERTMANAGER / "alertmanager.yaml").read_text(), webhook)}
    templates = {file.name: file.read_text() for file in sorted(ALERTMANAGER.glob("*.tmpl"))}
    wanted = {"slipway-alertmanager": {**configuration, **templates}, "slipway-slack": {"url": webhook}}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": data}
        for name, data in wanted.items()
    ]


def routes(text: str, webhook: str) -> str:
    """The configuration as it works in the operator's pod; without a webhook, receivers that tell nobody.

    The operator puts templates beside its own copy of the configuration, not beside the one that is read.
    """
    from ruamel.yaml import YAML

    found = YAML(typ="safe").load(StringIO(text))
    found["templates"] = [f"/etc/alertmanager/config/{name}" for name in found["templates"]]
    if not webhook:
        found["receivers"] = [{"name": receiver["name"]} for receiver in found["receivers"]]
        del found["global"]["slack_api_url_file"]
    return json.dumps(found, indent=1)


def operator(home: Home, upstream: Path, names: Mapping[str, str]) -> Path:
    """The folder to apply for the operator and its kinds; upstream: its sources, names: images by program."""
    args = [
        "--kubelet-service=kube-system/kubelet",
        "--kubelet-sync-period=30s",  # three minutes by default, until the kubelet of a new lab is scraped
        f"--prometheus-config-reloader={names['prometheus-config-reloader']}",
        "--config-reloader-cpu-limit=0",
    ]
    changes: list[dict[str, Any]] = [
        {"op": "replace", "path": f"{CONTAINER}/args", "value": args},
        {"op": "remove", "path": f"{CONTAINER}/resources/limits/cpu"},
    ]
    return _overlay(home, "operator", upstream, names, [_patch("prometheus-operator", changes)])


def rest(home: Home, upstream: Path, names: Mapping[str, str]) -> Path:
    """The folder to apply for everything else; upstream: the standard manifests of kube-state-metrics."""
    often = {"initialDelaySeconds": 1, "periodSeconds": 2}  # upstream asks after 5 s, and then every 10 s
    changes = [
        {"op": "add", "path": f"{CONTAINER}/readinessProbe/{key}", "value": value} for key, value in often.items()
    ]
    folder = _overlay(home, "rest", upstream, names, [_patch("kube-state-metrics", changes)], ["own"])
    tag = names["prometheus-server"].rpartition(":")[2]
    for file in sorted(OWN.glob("*.yaml")):
        put(folder / "own" / file.name, filled(file.read_text(), tag, textfiles(home)))
    return folder


def filled(text: str, tag: str, folder: Path) -> str:
    """One of our manifests with the images' tag and the folder of text files in it."""
    return text.replace(":TAG", f":{tag}").replace("TEXTFILES", str(folder))


def _overlay(
    home: Home, name: str, upstream: Path, names: Mapping[str, str], patches: list[Any], own: list[str] | None = None
) -> Path:
    folder = home.etc / "monitoring" / name
    folder.mkdir(parents=True, exist_ok=True)
    kustomization = {
        "namespace": NAMESPACE,
        "resources": [os.path.relpath(upstream.resolve(), folder.resolve()), *(own or [])],
        "images": [_image(original, names[program]) for program, original in UPSTREAM.items()],
        "patches": patches,
    }
    put(folder / "kustomization.yaml", json.dumps(kustomization, indent=1))  # JSON is YAML
    return folder


def _image(original: str, wanted: str) -> dict[str, str]:
    name, _, tag = wanted.rpartition(":")
    return {"name": original, "newName": name, "newTag": tag}


def _patch(deployment: str, changes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"target": {"kind": "Deployment", "name": deployment}, "patch": json.dumps(changes)}
