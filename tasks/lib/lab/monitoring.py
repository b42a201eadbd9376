"""lab.up --observe: Prometheus with its operator, Alertmanager, exporters, a collector and a trace store."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import locks, paths, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import layout, loading, monitoring_images, observing, state
from tasks.lib.lab import monitoring_manifests as manifests
from tasks.lib.lab.addons import image_names
from tasks.lib.lab.layout import Home
from tasks.lib.lab.status import Row
from tasks.lib.runner import run

WEBHOOK = "SLIPWAY_SLACK_WEBHOOK_URL"
WORKLOADS = (
    "prometheus-operator",
    "kube-state-metrics",
    "otel-collector",
    "prometheus-slipway",
    "alertmanager-slipway",
    "node-exporter",
)
# One of the two numbers is there: the first is a deployment's or stateful set's, the second a daemon set's.
READY = "jsonpath={range .items[*]}{.metadata.name}={.status.readyReplicas}{.status.numberReady}{'\\n'}{end}"
STEP = "the lab's monitoring"
READY_SECONDS = 180.0
Pod = dict[str, Any]
"""As the API writes it."""


def up(c: Context) -> bool:
    """Brings the monitoring up in the running lab, or repairs it; False when it runs well. Raises Stop (4)."""
    home = layout.home()
    webhook = os.environ.get(WEBHOOK, "").strip()
    if runs(c, home, webhook):
        return False
    with locks.exclusive(layout.lock_file(), "lab.up or lab.down"):
        if runs(c, home, webhook):
            return False  # another process brought it up meanwhile
        programs = find(c)
        archive = monitoring_images.prepare(c, programs)
        with terminal.step("Start the lab's monitoring"):
            state.remember(home, monitoring="")
            loading.into_cluster(c, home, programs["ctr"], archive)
            _install(c, home, image_names(archive.ids), webhook)
            _wait(c, home)
        state.remember(home, monitoring=recipe(webhook))
    return True


def runs(c: Context, home: Home, webhook: str = "") -> bool:
    """Whether it is installed as this version of Slipway would, and every part of it is ready and answers."""
    if state.read(home).get("monitoring") != recipe(webhook):
        return False
    return len(observing.addresses()) == len(observing.VARIABLES) and not missing(c, home)


def recipe(webhook: str) -> str:
    """A digest of everything that decides what is installed."""
    found = hashlib.sha256(webhook.encode())
    own = [*sorted(Path(__file__).parent.glob("monitoring*.py")), paths.ROOT / "tools" / "pins.yaml"]
    for file in [*own, *(file for folder in manifests.FOLDERS for file in sorted(folder.iterdir()))]:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def missing(c: Context, home: Home) -> list[str]:
    """Names of the parts that have no ready pod; all of them when the cluster does not answer."""
    query = ["--request-timeout=5s", "get", "deployments,statefulsets,daemonsets", "--output", READY]
    try:
        listing = _kubectl(c, home, *query, timeout=10).splitlines()
    except Stop:
        return list(WORKLOADS)
    ready = {name for name, _, count in (line.partition("=") for line in listing) if count not in ("", "0")}
    return [name for name in WORKLOADS if name not in ready]


def rows(c: Context, home: Home) -> list[Row]:
    """Its pods as parts of the lab; empty where it was never asked for."""
    return [_row(home, pod) for pod in _pods(c, home)] if "monitoring" in state.read(home) else []


def _pods(c: Context, home: Home) -> list[Pod]:
    """Its pods; none when the cluster does not answer."""
    try:
        found = _kubectl(c, home, "--request-timeout=5s", "get", "pods", "--output=json", timeout=10)
    except Stop:
        return []
    pods: list[Pod] = json.loads(found)["items"]
    return pods


def stuck(pod: Pod) -> str:
    """What keeps a pod from running, as the cluster says it; '' when nothing does."""
    status = pod["status"]
    waiting = [one["state"].get("waiting") for one in status.get("containerStatuses", [])]
    placed = [one for one in status.get("conditions", []) if one.get("reason") == "Unschedulable"]
    for said in filter(None, (*placed, *waiting)):
        return f"{pod['metadata']['name']}: {said['reason']}: {said.get('message', '')[:160]}".rstrip(": ")
    return ""


def _row(home: Home, pod: Pod) -> Row:
    name, containers = pod["metadata"]["name"], pod["status"].get("containerStatuses", [])
    ready = bool(containers) and all(one["ready"] for one in containers)
    log = home.logs / "pods" / f"{manifests.NAMESPACE}_{name}_{pod['metadata']['uid']}"
    since = str(pod["status"].get("startTime", ""))
    return Row(part=str(name), state="running" if ready else "not ready", pid=0, since=since, log=str(log))


def find(c: Context) -> dict[str, Path]:
    """Every program that it takes, installed or built when missing. Raises Stop (4)."""
    from tasks.lib import tools

    return tools.paths(c, [*monitoring_images.PROGRAMS, "ctr"])


def _kubectl(c: Context, home: Home, *words: object, timeout: float = 60, stdin: str | None = None) -> str:
    """One line of kubectl in the namespace; returns what it printed. Raises Stop (4)."""
    program = state.read(home).get("kubectl", "kubectl")
    argv = [program, "--kubeconfig", home.kubeconfig, "--context", layout.CONTEXT]
    line = [*argv, "--namespace", manifests.NAMESPACE, *words]
    return run(c, line, step=STEP, timeout=timeout, quiet=True, stdin=stdin, fix="./inv lab.up --observe").stdout


def _install(c: Context, home: Home, names: dict[str, str], webhook: str) -> None:
    """Applies everything; again if it is there. names: image names by program."""
    from tasks.lib import tools

    apply = ("apply", "--server-side", "--force-conflicts")
    operator = tools.source_dir(c, manifests.OPERATOR)
    exporter = tools.source_dir(c, manifests.STATE_METRICS) / "examples" / "standard"
    manifests.textfiles(home).mkdir(parents=True, exist_ok=True)
    _kubectl(c, home, *apply, "-f", "-", stdin=json.dumps(manifests.before(webhook)))
    _kubectl(c, home, *apply, "-k", manifests.operator(home, operator, names), timeout=180)
    _kubectl(c, home, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s", timeout=80)
    _kubectl(c, home, *apply, "-k", manifests.rest(home, exporter, names))
    _kubectl(c, home, *apply, "-f", manifests.RULES)


def _wait(c: Context, home: Home) -> None:
    """Waits until every part is ready and answers on this machine. Raises Stop (4)."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    def unready() -> bool:
        return len(observing.addresses()) < len(observing.VARIABLES) or bool(missing(c, home))

    try:
        Retrying(retry=retry_if_result(bool), stop=stop_after_delay(READY_SECONDS), wait=wait_fixed(0.5))(unready)
    except RetryError:
        absent = ", ".join(missing(c, home)) or "an address on this machine"
        first = f"{STEP}: not ready after {READY_SECONDS:g} s: {absent}"
        reasons = filter(None, map(stuck, _pods(c, home)))
        raise Stop("\n".join([first, *reasons]), Code.COULD_NOT_RUN, "./inv lab.up --observe") from None
    # Charts leave out what the cluster does not know, and it knows more now.
    again = ("--all", "--overwrite", "argocd.argoproj.io/refresh=normal")
    _kubectl(c, home, "--namespace=argocd", "annotate", "applications", *again)
