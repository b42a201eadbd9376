"""External programs of the lab: what the tools module builds, and Debian packages by name."""

from __future__ import annotations

import shutil
from pathlib import Path

from invoke.context import Context

from tasks.lib.errors import Code, Stop

BUILT = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubeadm",
    "kubectl",
    "coredns",
    "argocd",
    "helm",
    "metrics-server",
)
PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "docker.io",
    "docker-registry",
    "iptables",
    "conntrack",
    "catatonit",
    "mmdebstrap",
    "git",
    "iproute2",
    "mount",
    "util-linux",
)
DAEMONS = ("containerd", "ctr", "dockerd", "docker-registry", "catatonit")


def find(c: Context) -> dict[str, Path]:
    """All programs by name, installed when missing. Raises Stop (4) when one cannot be had."""
    from tasks.lib import tools

    tools.debian(c, PACKAGES)
    found = {name: shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in DAEMONS}
    absent = sorted(name for name, place in found.items() if place is None)
    if absent:
        raise Stop(
            f"lab: {', '.join(absent)} not found although their packages are installed",
            Code.COULD_NOT_RUN,
            "./inv doctor",
        )
    return {**tools.paths(c, BUILT), **{name: Path(place) for name, place in found.items() if place}}
