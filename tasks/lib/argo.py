"""Argo CD as delivery sees it: our project and ApplicationSet, a refresh, and what an Application says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import kube, paths, settings, terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.kube import ARGOCD, Cluster, missing_is_none
from tasks.lib.runner import run
from tasks.lib.settings import EksCluster, Environment, LabCluster
from tasks.lib.target import Target

APPLICATION_SET = "slipway"
STAMP = "slipway/rendered"
LOOK = "argocd.argoproj.io/application-set-refresh"
APPLY_SECONDS = 60.0


def manifests(target: Target, listed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The project and the ApplicationSet of the target's cluster, with its repository and environments filled in.

    listed: environments that the cluster's ApplicationSet has already. They stay: another checkout or branch may know
    them and this one not, and an environment that is left out would be deleted with everything that runs in it.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    project = yaml.load((paths.ROOT / "gitops" / "project.yaml").read_text(encoding="utf-8"))
    project["spec"]["sourceRepos"] = [target.git_url]
    applications = yaml.load((paths.ROOT / "gitops" / "applicationset.yaml").read_text(encoding="utf-8"))
    generator = applications["spec"]["generators"][0]
    generator["git"] |= {"repoURL": target.git_url, "revision": target.branch}
    generator["selector"]["matchExpressions"][1]["values"] = sorted({*_environments(target), *listed})
    applications["spec"]["template"]["spec"]["source"]["repoURL"] = target.git_url
    rendered = json.dumps([project, applications], sort_keys=True).encode()
    applications["metadata"]["annotations"] = {STAMP: hashlib.sha256(rendered).hexdigest()}
    return [project, applications]


def _environments(target: Target) -> list[str]:
    """Names of the environments that, as far as this checkout knows, live in the target's cluster and repository."""
    env = target.env
    others = (settings.load(name) for name in settings.known() if name != env.name)
    return [env.name, *(other.name for other in others if _place(other) == _place(env))]


def _place(env: Environment) -> tuple[object, ...]:
    """What tells clusters and repositories apart; two accounts may each have an EKS cluster of the same name."""
    account = (env.infra.account_id, env.infra.region, env.infra.endpoint)
    return (env.cluster, env.git, account if isinstance(env.cluster, EksCluster) else None)


def _listed(target: Target, there: dict[str, Any] | None) -> list[str]:
    """The environments of the cluster's ApplicationSet. Raises Stop (5) when that delivers from another repository."""
    if there is None:
        return []
    generator = there["spec"]["generators"][0]
    if generator["git"]["repoURL"] != target.git_url:
        raise Stop(
            f"{target.context} is delivered to from {generator['git']['repoURL']}; taking it over for {target.git_url} "
            "would delete what runs there",
            Code.REFUSED,
            f"if it moved: kubectl -n {ARGOCD} delete applicationset {APPLICATION_SET} --cascade=orphan",
        )
    values: list[str] = generator["selector"]["matchExpressions"][1]["values"]
    return values


def install(c: Context, target: Target, cluster: Cluster) -> bool:
    """Brings Argo CD (where the environment allows it), our project and ApplicationSet; whether anything changed.

    Raises Stop (4) when Argo CD is missing and may not be installed, and (5) when the cluster has another repository's.
    """
    there = cluster.argo("applicationsets", APPLICATION_SET)
    wanted = manifests(target, _listed(target, there))
    if _current(cluster, there, wanted):
        return False
    if not _has_argocd(cluster):
        place = target.env.cluster
        if isinstance(place, LabCluster) or not place.install_argocd:
            raise Stop(f"{target.context} has no Argo CD", Code.COULD_NOT_RUN, "./inv lab.up, or set install_argocd")
        from tasks.lib import argocd_install

        argocd_install.install(c, kube.kubeconfig(target), target.context, None)
    with terminal.step("Install project and ApplicationSet"):
        argv: list[str | Path] = [
            tools.path(c, "kubectl"),
            f"--kubeconfig={kube.kubeconfig(target)}",
            f"--context={target.context}",
            "apply",
        ]
        argv += ["--server-side", "--force-conflicts", "--filename=-"]
        text = "\n---\n".join(json.dumps(manifest) for manifest in wanted)
        run(c, argv, step="install the ApplicationSet", timeout=APPLY_SECONDS, stdin=text, quiet=True)
    return True


def _has_argocd(cluster: Cluster) -> bool:
    with missing_is_none() as found:
        found.value = cluster.apps.read_namespaced_deployment(
            "argocd-applicationset-controller", ARGOCD, _request_timeout=10
        )
    return found.value is not None


def _current(cluster: Cluster, there: dict[str, Any] | None, wanted: list[dict[str, Any]]) -> bool:
    """Whether the cluster has exactly what would be applied, by the stamp that the last install left."""
    project = cluster.argo("appprojects", wanted[0]["metadata"]["name"])
    stamp = wanted[1]["metadata"]["annotations"][STAMP]
    return bool(project and there and there["metadata"].get("annotations", {}).get(STAMP) == stamp)


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
            APPLICATION_SET,
            "--overwrite",
            f"{LOOK}=true",
        ]
        run(c, argv, step="ask Argo CD to look at Git", timeout=APPLY_SECONDS, quiet=True)
    except Stop as stop:
        terminal.warn(f"Git has it, but Argo CD could not be asked to look now: {stop.sentence}")


def refresh(cluster: Cluster, application: str) -> None:
    """Asks the ApplicationSet to read Git now, and the Application to compare now; neither is waited for."""
    cluster.annotate("applicationsets", APPLICATION_SET, {LOOK: "true"})
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
