"""Installs Argo CD's core from its upstream manifests into any cluster that a kubeconfig names."""

from __future__ import annotations

import hashlib
import json
import secrets
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
WORKLOADS = (CONTROLLER, "argocd-applicationset-controller", "argocd-repo-server", "argocd-redis")
MARK = "slipway.dev/argocd"
APPLY = ("apply", "--server-side", "--force-conflicts")
STEP = "install Argo CD"
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
    """Installs or upgrades Argo CD and waits until it is ready; what is installed already is not applied again.

    images: "argocd" and "redis" to names with tags, for a cluster that cannot pull the upstream ones.
    timeout: seconds for the wait. Raises Stop (4).
    """
    from tasks.lib import tools

    base: list[str | Path] = [tools.path(c, "kubectl"), "--kubeconfig", kubeconfig, "--context", context]
    manifest = (tools.source_dir(c, MODULE) / "manifests" / "core-install.yaml").read_text()
    overlay = json.dumps(kustomization(images or {}))
    version = hashlib.sha256((manifest + overlay).encode()).hexdigest()[:16]
    if not _is_installed(c, base, version):
        _mark(c, base, "")
        _apply(c, base, manifest, overlay)
        _ensure_secret_key(c, base)
        _mark(c, base, version)  # last: an install that was cut short is done again
    wait(c, base, timeout)


def _is_installed(c: Context, base: list[str | Path], version: str) -> bool:
    """Whether this very version was applied to its end and nobody deleted a part of it."""
    mark = MARK.replace(".", "\\.")
    query = [*base, "get", "namespace", NAMESPACE, "--ignore-not-found"]
    found = run(
        c, [*query, "--output", f"jsonpath={{.metadata.annotations.{mark}}}"], step=STEP, timeout=30, quiet=True
    )
    if found.stdout.strip() != version:
        return False
    query = [*base, "--namespace", NAMESPACE, "get", "deployments,statefulsets", "--output", "name"]
    names = {line.rpartition("/")[2] for line in run(c, query, step=STEP, timeout=30, quiet=True).stdout.split()}
    return names.issuperset(WORKLOADS)


def _mark(c: Context, base: list[str | Path], version: str) -> None:
    """Makes the namespace and notes on it which version it holds."""
    metadata = {"name": NAMESPACE, "annotations": {MARK: version}}
    text = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    argv = [*base, *APPLY, "--field-manager=slipway", "-f", "-"]
    run(c, argv, step=STEP, timeout=60, quiet=True, stdin=text)


def _apply(c: Context, base: list[str | Path], manifest: str, overlay: str) -> None:
    with tempfile.TemporaryDirectory(prefix="slipway-argocd-") as folder:
        (Path(folder) / "core-install.yaml").write_text(manifest)
        (Path(folder) / "kustomization.yaml").write_text(overlay)
        run(c, [*base, *APPLY, "-k", folder], step=STEP, timeout=180, quiet=True)


def kustomization(images: Mapping[str, str]) -> dict[str, object]:
    """The overlay: our parameters and, where images are given, their names and no pull of what is there already."""
    parameters = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cmd-params-cm"},
        "data": PARAMETERS,
    }
    patches: list[dict[str, object]] = [{"patch": json.dumps(parameters)}]
    for kind, name in (("StatefulSet", CONTROLLER), ("Deployment", "argocd-repo-server")):
        often = {"initialDelaySeconds": 1, "periodSeconds": 3}  # upstream asks every 10 s whether it is ready
        changes = [_replace(f"readinessProbe/{key}", value) for key, value in often.items()]
        patches.append({"target": {"kind": kind, "name": name}, "patch": json.dumps(changes)})
    if images:
        present = json.dumps([_replace("imagePullPolicy", "IfNotPresent")])
        patches += [{"target": {"kind": kind}, "patch": present} for kind in ("Deployment", "StatefulSet")]
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


def _replace(field: str, value: object) -> dict[str, object]:
    return {"op": "replace", "path": f"/spec/template/spec/containers/0/{field}", "value": value}


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
