"""Row about the alerts in the lab: a fault that comes by Git, the lab's own monitoring, and a channel."""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from invoke.context import Context

from tasks.lib import applicationset, argo, git
from tasks.lib.bench.alert_world import Callers, Messages, calling, channel, scraped
from tasks.lib.bench.alerting import ALERT, LIMIT, VALUES, row, waited_for
from tasks.lib.bench.downtime import port
from tasks.lib.bench.rows import Row
from tasks.lib.bench.scratch import IDENTITY
from tasks.lib.bench.stage import Stage
from tasks.lib.errors import Code, Stop
from tasks.lib.kube import ARGOCD
from tasks.lib.lab import layout, monitoring, observing
from tasks.lib.observe import files

FIRST_SCRAPES_SECONDS = 400  # the operator's reloader may miss a new monitor, and looks by itself every three minutes
FAULT_SECONDS = 120


def alert(stage: Stage) -> Row:
    """A fault in a release of the lab until the channel has the message: the lab's Prometheus and Alertmanager."""
    scrape = int(files.load(VALUES)["serviceMonitor"]["intervalSeconds"])
    waits = waited_for(files.FOLDER, scrape, 'severity="critical"')
    stage.return_to_a()
    with channel(layout.ADDRESS) as (hook, messages), telling(stage.c, hook):
        url = f"http://{layout.LOOPBACK}:{port(stage)}"
        with calling(url) as callers:
            scraped(observing.PROMETHEUS.url, FIRST_SCRAPES_SECONDS, f', namespace="{stage.namespace}"')
            try:
                values(stage, {"errors": 1})
                began = _first(callers)
                took = _told(messages, f"{ALERT} in {stage.user.env}", 2 * LIMIT * waits.total) - began
            finally:
                values(stage, {})
    return row(
        "alert-lab",
        "from a fault in a release of the lab to the message in the channel",
        took,
        waits,
        f"{ALERT} outside production, as shipped: {waits}; from the first error, while the fault is rolled out",
    )


@contextmanager
def telling(c: Context, hook: str) -> Iterator[None]:
    """The lab's Alertmanager tells this address, until the block ends; the monitoring stays."""
    before = os.environ.get(monitoring.WEBHOOK)
    os.environ[monitoring.WEBHOOK] = hook
    try:
        monitoring.up(c)
        yield
    finally:
        os.environ.pop(monitoring.WEBHOOK)
        if before is not None:
            os.environ[monitoring.WEBHOOK] = before
        monitoring.up(c)


def values(stage: Stage, faults: dict[str, float]) -> None:
    """Commits other fault switches to the environment, as a person would who drills; Argo CD brings them in."""
    user = stage.user
    clone = user.folder.parent / "values"
    if not clone.exists():
        user.git("clone", "--quiet", user.lab.git_url, str(clone))
    git.ask(stage.c, "fetch", "--quiet", "origin", "main", repo=clone)
    git.ask(stage.c, "reset", "--quiet", "--hard", "FETCH_HEAD", repo=clone)
    file = clone / "gitops" / "environments" / user.env / "values.yaml"
    _edit(file, faults)
    git.ask(stage.c, *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", "drill", str(file), repo=clone)
    git.ask(stage.c, "push", "--quiet", "origin", "HEAD:main", repo=clone)
    again = ("applicationset", applicationset.NAME, "--overwrite", f"{argo.LOOK}=true")
    user.kubectl("--namespace", ARGOCD, "annotate", *again)


def _edit(file: Path, faults: dict[str, float]) -> None:
    desired = files.load(file)
    desired["values"] = {**(desired.get("values") or {}), "faults": faults}
    file.write_text(json.dumps(desired, indent=2) + "\n", encoding="utf-8")  # JSON is YAML


def _first(callers: Callers) -> float:
    try:
        return callers.failed.get(timeout=FAULT_SECONDS)
    except queue.Empty:
        raise Stop(f"no answer failed within {FAULT_SECONDS} s of the fault's commit", Code.COULD_NOT_RUN) from None


def _told(messages: Messages, title: str, seconds: float) -> float:
    """When the message with this title came; those about other things in the lab do not count. Raises Stop (4)."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with suppress(queue.Empty):
            moment, body = messages.get(timeout=left)
            if str(body["attachments"][0]["title"]).startswith(title):
                return moment
    raise Stop(f"no message '{title}' after {seconds:.0f} s", Code.COULD_NOT_RUN)
