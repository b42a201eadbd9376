"""Whether a lab whose daemons live also answers, asked in a fraction of a second."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasks.lib.errors import Stop
from tasks.lib.lab import layout, probes, state
from tasks.lib.lab.layout import Home
from tasks.lib.lab.preflight import PORTS
from tasks.lib.runner import run

WORKLOADS = (
    "coredns",
    "metrics-server",
    "argocd-redis",
    "argocd-repo-server",
    "argocd-applicationset-controller",
    "argocd-application-controller",
)
PAGES = (f"http://{layout.REGISTRY}/v2/", *(f"http://{layout.LOOPBACK}:{port}/healthz" for port in (10248, 10256)))
READY = "jsonpath={range .items[*]}{.metadata.name}={.status.readyReplicas}{'\\n'}{end}"


def answers(c: Context, home: Home) -> bool:
    """Every port and socket accepts a connection, servers of pages answer, and what runs in the cluster is there."""
    ports = (probes.tcp(address, port) for places in PORTS.values() for address, port in places)
    sockets = (probes.unix(socket) for socket in (home.containerd_socket, home.docker_socket))
    pages = (probes.http(url) for url in PAGES)
    if not all(ask() for ask in (*ports, *sockets, *pages)):
        return False
    return not missing_workloads(c, home)


def missing_workloads(c: Context, home: Home) -> list[str]:
    """Names of what should run in the cluster and has no ready pod; all of them when the cluster does not answer."""
    kubectl = state.read(home).get("kubectl", "kubectl")  # remembered, because looking for it takes longer than asking
    argv: list[str | Path] = [kubectl, "--kubeconfig", home.kubeconfig, "--context", layout.CONTEXT]
    query = [*argv, "--request-timeout=5s", "get", "deployments,statefulsets", "--all-namespaces", "--output", READY]
    try:
        listing = run(c, query, step="ask the lab's cluster", timeout=10, quiet=True).stdout
    except Stop:
        return list(WORKLOADS)
    ready = {name for name, _, count in (line.partition("=") for line in listing.split()) if count not in ("", "0")}
    return [name for name in WORKLOADS if name not in ready]
