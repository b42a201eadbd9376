"""Certificates and kubeconfigs of the cluster, made by kubeadm's own phases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from invoke.context import Context

from tasks.lib.lab.files import put
from tasks.lib.lab.layout import ADDRESS, API_PORT, CONTEXT, LOOPBACK, NODE, SERVICE_SUBNET, Home
from tasks.lib.runner import run

STEP = "lab certificates"
API = "kubeadm.k8s.io/v1beta4"


def configure(c: Context, home: Home, programs: Mapping[str, Path], version: str) -> None:
    """Makes what is missing; certificates that exist are kept, so that running again disturbs nobody."""
    if home.kubeconfig.exists():
        return
    file = home.etc / "kubeadm.yaml"
    put(file, "\n---\n".join(json.dumps(part, indent=1) for part in _config(home, version)) + "\n")
    for phase in (["certs", "all"], ["kubeconfig", "all", "--kubeconfig-dir", str(home.etc)]):
        argv: list[str | Path] = [programs["kubeadm"], "init", "phase", *phase, "--config", file]
        run(c, argv, step=STEP, timeout=60, quiet=True)
    argv = [programs["kubeadm"], "kubeconfig", "user", "--client-name=system:kube-proxy", "--config", file]
    made = run(c, argv, step=STEP, timeout=60, quiet=True).stdout
    put(home.etc / "kube-proxy.conf", made, 0o600)
    _user(c, home, programs["kubectl"])


def _config(home: Home, version: str) -> list[Mapping[str, object]]:
    """kubeadm's own two documents; elliptic keys, because RSA keys take seconds to make."""
    cluster = {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": version,
        "clusterName": CONTEXT,
        "controlPlaneEndpoint": f"{ADDRESS}:{API_PORT}",
        "certificatesDir": str(home.pki),
        "encryptionAlgorithm": "ECDSA-P256",
        "networking": {"serviceSubnet": SERVICE_SUBNET, "dnsDomain": "cluster.local"},
        "apiServer": {"certSANs": [LOOPBACK, "localhost"]},
    }
    node = {
        "apiVersion": API,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": ADDRESS, "bindPort": API_PORT},
        "nodeRegistration": {"name": NODE, "criSocket": f"unix://{home.containerd_socket}"},
    }
    return [cluster, node]


def _user(c: Context, home: Home, kubectl: Path) -> None:
    """The user's kubeconfig: the administrator's with a context of the lab's name."""
    partial = home.kubeconfig.with_suffix(".new")
    shutil.copy(home.etc / "super-admin.conf", partial)
    given = f"kubernetes-super-admin@{CONTEXT}"
    argv = [kubectl, "--kubeconfig", partial, "config", "rename-context", given, CONTEXT]
    run(c, argv, step=STEP, timeout=20, quiet=True)
    partial.chmod(0o600)
    partial.replace(home.kubeconfig)
