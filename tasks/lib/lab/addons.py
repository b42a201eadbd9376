"""What runs in the cluster before Argo CD: names (CoreDNS) and measurements (metrics-server)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from invoke.context import Context

from tasks.lib.lab.layout import CONTEXT, DNS_ADDRESS, SYSTEM_PREFIX, Home
from tasks.lib.runner import run

METRICS = "sigs.k8s.io/metrics-server"
HERE = Path(__file__).parent


def install(c: Context, home: Home, kubectl: Path, images: Mapping[str, str]) -> None:
    """Applies both; again if they are there. images: names by program."""
    from tasks.lib import tools

    base: list[str | Path] = [kubectl, "--kubeconfig", home.kubeconfig, "--context", CONTEXT]
    apply = [*base, "apply", "--server-side", "--force-conflicts"]
    text = (HERE / "cluster.yaml").read_text()
    values = {"IMAGE": images["coredns"], "ADDRESS": DNS_ADDRESS, "DIGEST": hashlib.sha256(text.encode()).hexdigest()}
    for name, value in values.items():
        text = text.replace(name, value)
    run(c, [*apply, "-f", "-"], step="install CoreDNS", timeout=60, quiet=True, stdin=text)
    overlay = home.etc / "metrics-server"
    overlay.mkdir(exist_ok=True)
    upstream = tools.source_dir(c, METRICS) / "manifests" / "base"
    (overlay / "kustomization.yaml").write_text(json.dumps(_overlay(upstream, overlay, images["metrics-server"])))
    run(c, [*apply, "-k", overlay], step="install metrics-server", timeout=60, quiet=True)


def _overlay(upstream: Path, overlay: Path, image: str) -> dict[str, object]:
    """insecure-tls: the kubelet signs its serving certificate itself; its address never leaves this machine."""
    name, _, tag = image.rpartition(":")
    container = "/spec/template/spec/containers/0"
    changes = [
        {"op": "add", "path": f"{container}/args/-", "value": "--kubelet-insecure-tls"},
        {"op": "add", "path": f"{container}/args/-", "value": "--kubelet-request-timeout=5s"},
        {"op": "replace", "path": f"{container}/args/4", "value": "--metric-resolution=10s"},
        {"op": "replace", "path": f"{container}/readinessProbe/initialDelaySeconds", "value": 2},
        {"op": "replace", "path": f"{container}/readinessProbe/periodSeconds", "value": 2},
        # 20 s, two measurements: it has nothing to tell after one that fell into the restart of what it measures.
        {"op": "replace", "path": f"{container}/readinessProbe/failureThreshold", "value": 10},
        {"op": "replace", "path": f"{container}/resources/requests", "value": {"cpu": "20m", "memory": "64Mi"}},
    ]
    return {
        "resources": [os.path.relpath(upstream.resolve(), overlay.resolve())],
        "images": [{"name": "gcr.io/k8s-staging-metrics-server/metrics-server", "newName": name, "newTag": tag}],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(changes)}],
    }


def wait(c: Context, home: Home, kubectl: Path) -> None:
    """Waits until both serve. Raises Stop (4)."""
    base: list[str | Path] = [kubectl, "--kubeconfig", home.kubeconfig, "--context", CONTEXT]
    argv = [
        *base,
        "--namespace",
        "kube-system",
        "wait",
        "--for=condition=Available",
        "deployment",
        "--all",
        "--timeout=120s",
    ]
    run(c, argv, step="wait for CoreDNS and metrics-server", timeout=150, quiet=True)


def image_names(ids: Mapping[str, str]) -> dict[str, str]:
    """From image names to a mapping by program: slipway.lab/coredns:1 -> coredns."""
    prefix = f"{SYSTEM_PREFIX}/"
    return {name.removeprefix(prefix).partition(":")[0]: name for name in ids if name.startswith(prefix)}
