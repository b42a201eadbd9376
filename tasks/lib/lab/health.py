"""Whether a lab whose daemons live also answers, asked in a fraction of a second."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasks.lib.errors import Code, Stop
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
CONTAINERS = "jsonpath={range .items[*].status.containerStatuses[?(@.ready==true)]}{.containerID}{'\\n'}{end}"
SILENT = "jsonpath={range .items[*].status.conditions[?(@.status!='True')]}{.message}{'\\n'}{end}"
SETTLED_SECONDS = 120.0
SETTLED_LOOKS = 6  # in a row, half a second apart


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
    try:
        listing = _ask(c, home, "deployments,statefulsets", READY)
    except Stop:
        return list(WORKLOADS)
    ready = {name for name, _, count in (line.partition("=") for line in listing.split()) if count not in ("", "0")}
    return [name for name in WORKLOADS if name not in ready]


def settle(c: Context, home: Home, ctr: Path) -> None:
    """Waits until the cluster answers and no longer takes containers for ready that are gone. Raises Stop (4).

    After the death of a node the cluster remembers its pods as they were, until the new kubelet has looked at each; and
    a new kubelet first calls every pod unready that it has not asked yet. So one good answer is not enough.
    """
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    looks = 0

    def unsettled() -> bool:
        nonlocal looks
        looks = 0 if _silent(c, home) or _gone(c, home, ctr) or not answers(c, home) else looks + 1
        return looks < SETTLED_LOOKS

    try:
        Retrying(retry=retry_if_result(bool), stop=stop_after_delay(SETTLED_SECONDS), wait=wait_fixed(0.5))(unsettled)
    except RetryError:
        missing = ", ".join(missing_workloads(c, home)) or "containers that the cluster still takes for ready"
        text = f"lab: the cluster has not come to rest after {SETTLED_SECONDS:g} s: {missing}"
        raise Stop(text, Code.COULD_NOT_RUN, "./inv lab.up") from None


def _gone(c: Context, home: Home, ctr: Path) -> bool:
    """Whether the cluster calls a container ready that the engine does not run."""
    argv: list[str | Path] = [ctr, "--address", home.containerd_socket, "--namespace", "k8s.io", "tasks", "list"]
    try:
        ready = {line.rpartition("/")[2] for line in _ask(c, home, "pods", CONTAINERS).split()}
        listing = run(c, argv, step="ask the lab's containerd", timeout=10, quiet=True).stdout
    except Stop:
        return True
    return not ready <= {line.split()[0] for line in listing.splitlines() if line.endswith("RUNNING")}


def _silent(c: Context, home: Home) -> bool:
    """Whether an API that a pod serves does not answer; nothing with a namespace can be deleted then."""
    try:
        return bool(_ask(c, home, "apiservices", SILENT).strip())
    except Stop:
        return True


def _ask(c: Context, home: Home, kinds: str, output: str) -> str:
    kubectl = state.read(home).get("kubectl", "kubectl")  # remembered, because looking for it takes longer than asking
    argv: list[str | Path] = [kubectl, "--kubeconfig", home.kubeconfig, "--context", layout.CONTEXT]
    query = [*argv, "--request-timeout=5s", "get", kinds, "--all-namespaces", "--output", output]
    return run(c, query, step="ask the lab's cluster", timeout=10, quiet=True).stdout
