"""Argo CD as delivery sees it: a refresh, and what an Application says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import applicationset, kube, terminal, tools
from tasks.lib.errors import Stop
from tasks.lib.kube import ARGOCD, Cluster
from tasks.lib.runner import run
from tasks.lib.target import Target

LOOK = "argocd.argoproj.io/application-set-refresh"
ASK_SECONDS = 60.0


def look_at_git(c: Context, target: Target) -> None:
    """Asks the ApplicationSet to read Git now; not waited for. An Application that it changes is compared at once.

    Through kubectl: loading the Kubernetes client takes longer, and Argo CD can work meanwhile. A cluster that does not
    answer is only told of: Git has the change, and Argo CD looks by itself every few minutes.
    """
    try:
        argv: list[str | Path] = [
            tools.path(c, "kubectl"),
            f"--kubeconfig={kube.kubeconfig(target)}",
            f"--context={target.context}",
            f"--namespace={ARGOCD}",
            "annotate",
            "applicationset",
            applicationset.NAME,
            "--overwrite",
            f"{LOOK}=true",
        ]
        run(c, argv, step="ask Argo CD to look at Git", timeout=ASK_SECONDS, quiet=True)
    except Stop as stop:
        terminal.warn(f"Git has it, but Argo CD could not be asked to look now: {stop.sentence}")


def refresh(cluster: Cluster, application: str) -> None:
    """Asks the ApplicationSet to read Git now, and the Application to compare now; neither is waited for."""
    cluster.annotate("applicationsets", applicationset.NAME, {LOOK: "true"})
    cluster.annotate("applications", application, {"argocd.argoproj.io/refresh": "normal"})


@dataclass(frozen=True)
class Application:
    """What Argo CD says about one Application."""

    revision_wanted: str
    revision_synced: str
    sync: str
    health: str
    digest: str
    revision_tried: str = ""
    phase: str = ""
    message: str = ""
    retries: int = 0
    out_of_sync: list[str] = field(default_factory=list)

    def is_at(self, revision: str, digest: str) -> bool:
        """Whether it is Synced and Healthy at exactly this revision and image."""
        here = self.revision_wanted == self.revision_synced == revision and self.digest == digest
        return here and self.sync == "Synced" and self.health == "Healthy"


def application(cluster: Cluster, name: str) -> Application | None:
    """The Application's state, or None when there is none."""
    found = cluster.argo("applications", name)
    if found is None:
        return None
    status = found.get("status", {})
    operation = status.get("operationState", {})
    source = found["spec"]["source"]
    return Application(
        revision_wanted=source["targetRevision"],
        revision_synced=status.get("sync", {}).get("revision", ""),
        sync=status.get("sync", {}).get("status", "Unknown"),
        health=status.get("health", {}).get("status", "Unknown"),
        digest=json.loads(source.get("helm", {}).get("values") or "{}").get("image", {}).get("digest", ""),
        revision_tried=operation.get("operation", {}).get("sync", {}).get("revision", ""),
        phase=operation.get("phase", ""),
        message=operation.get("message", "") or _condition(status),
        retries=operation.get("retryCount", 0),
        out_of_sync=[
            f"{item.get('kind')}/{item.get('name')}"
            for item in status.get("resources", [])
            if item.get("status") == "OutOfSync"
        ],
    )


def _condition(status: dict[str, Any]) -> str:
    """The first error that Argo CD reports outside of a sync, such as a chart that does not render."""
    conditions = status.get("conditions", [])
    return next((item["message"] for item in conditions if item.get("type", "").endswith("Error")), "")
