"""Installs Argo CD's core from its upstream manifests into any cluster that a kubeconfig names."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from invoke.context import Context

from tasks.lib.runner import run

MODULE = "github.com/argoproj/argo-cd/v3"
NAMESPACE = "argocd"
ARGOCD_IMAGE = "quay.io/argoproj/argocd"
REDIS_IMAGE = "public.ecr.aws/docker/library/redis"
CONTROLLER = "argocd-application-controller"
PARAMETERS = {
    # Few environments: the defaults (20 and 10) are meant for hundreds of applications.
    "controller.status.processors": "4",
    "controller.operation.processors": "4",
    "controller.kubectl.parallelism.limit": "4",
    "reposerver.parallelism.limit": "4",
    # Seconds before what somebody changed by hand is put back.
    "controller.self.heal.timeout.seconds": "2",
}


def install(
    c: Context, kubeconfig: Path, context: str, images: Mapping[str, str] | None = None, timeout: float = 300.0
) -> None:
    """Installs or upgrades Argo CD and waits until it is ready.

    images: "argocd" and "redis" to names with tags, for a cluster that cannot pull the upstream ones.
    timeout: seconds for the wait. Raises Stop (4).
    """
    from tasks.lib import tools

    base: list[str | Path] = [tools.path(c, "kubectl"), "--kubeconfig", kubeconfig, "--context", context]
    source = tools.source_dir(c, MODULE) / "manifests" / "core-install.yaml"
    apply = [*base, "apply", "--server-side", "--force-conflicts"]
    namespace = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    run(c, [*apply, "-f", "-"], step="make Argo CD's namespace", timeout=60, quiet=True, stdin=namespace)
    with tempfile.TemporaryDirectory(prefix="slipway-argocd-") as folder:
        overlay = Path(folder)
        shutil.copyfile(source, overlay / "core-install.yaml")
        (overlay / "kustomization.yaml").write_text(json.dumps(kustomization(images or {})))
        run(c, [*apply, "-k", overlay], step="install Argo CD", timeout=180, quiet=True)
    _ensure_secret_key(c, base)
    wait(c, base, timeout)


def kustomization(images: Mapping[str, str]) -> dict[str, object]:
    """The overlay: our parameters and, where images are given, their names and no pull of what is there already."""
    parameters = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cmd-params-cm"},
        "data": PARAMETERS,
    }
    patches: list[dict[str, object]] = [{"patch": json.dumps(parameters)}]
    if images:
        present = [
            {"op": "replace", "path": "/spec/template/spec/containers/0/imagePullPolicy", "value": "IfNotPresent"}
        ]
        patches += [{"target": {"kind": kind}, "patch": json.dumps(present)} for kind in ("Deployment", "StatefulSet")]
    return {
        "namespace": NAMESPACE,
        "resources": ["core-install.yaml"],
        "images": [
            _image(original, images[name])
            for name, original in (("argocd", ARGOCD_IMAGE), ("redis", REDIS_IMAGE))
            if name in images
        ],
        "patches": patches,
    }


def _image(original: str, wanted: str) -> dict[str, str]:
    name, _, tag = wanted.rpartition(":")
    return {"name": original, "newName": name, "newTag": tag}


def _ensure_secret_key(c: Context, base: list[str | Path]) -> None:
    """The core install has no API server, which would make this key; without it every Application is refused."""
    secret = ["--namespace", NAMESPACE, "secret", "argocd-secret"]
    query = [*base, "get", *secret, "--output", "jsonpath={.data.server\\.secretkey}"]
    if run(c, query, step="read argocd-secret", timeout=30, quiet=True).stdout.strip():
        return
    key = secrets.token_urlsafe(32)
    patch = json.dumps({"stringData": {"server.secretkey": key}})
    with tempfile.NamedTemporaryFile("w", prefix="slipway-", suffix=".json") as file:  # mode 0600
        file.write(patch)
        file.flush()
        argv = [*base, "patch", *secret, "--type=merge", "--patch-file", file.name]
        run(c, argv, step="write argocd-secret", timeout=30, quiet=True, secrets=[key])


def wait(c: Context, base: list[str | Path], timeout: float) -> None:
    """Waits until every part of Argo CD is available. Raises Stop (4)."""
    own = [*base, "--namespace", NAMESPACE]
    limit = f"--timeout={timeout:g}s"
    deployments = [*own, "wait", "--for=condition=Available", "deployment", "--all", limit]
    controller = [*own, "rollout", "status", "statefulset", CONTROLLER, limit]
    run(c, deployments, step="wait for Argo CD", timeout=timeout + 20, quiet=True)
    run(c, controller, step="wait for Argo CD's controller", timeout=timeout + 20, quiet=True)
