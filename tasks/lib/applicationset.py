"""Our project and ApplicationSet in a cluster: what they deliver, and how several checkouts add to that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import kube, paths, settings, terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.kube import ARGOCD, Cluster, missing_is_none
from tasks.lib.runner import run, tail
from tasks.lib.settings import EksCluster, Environment, LabCluster
from tasks.lib.target import Target

NAME = "slipway"
STAMP = "slipway/rendered"
APPLY_SECONDS = 60.0
ATTEMPTS = 8  # those that install at the same moment come one after the other


class Changed(Exception):
    """Somebody wrote the ApplicationSet between our look at it and our change."""


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
    applications["metadata"]["name"] = NAME
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
    if there is None or not there["spec"]["generators"]:  # _begin, and then killed
        return []
    generator = there["spec"]["generators"][0]
    if generator["git"]["repoURL"] != target.git_url:
        raise Stop(
            f"{target.context} is delivered to from {generator['git']['repoURL']}; taking it over for {target.git_url} "
            "would delete what runs there",
            Code.REFUSED,
            f"if it moved: kubectl -n {ARGOCD} delete applicationset {NAME} --cascade=orphan",
        )
    values: list[str] = generator["selector"]["matchExpressions"][1]["values"]
    return values


def install(c: Context, target: Target, cluster: Cluster) -> bool:
    """Brings Argo CD (where the environment allows it), our project and ApplicationSet; whether anything changed.

    What another checkout adds to the list at the same moment stays there. Raises Stop (4) when Argo CD is missing and
    may not be installed, and (5) when the cluster has another repository's.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    there, wanted = _look(target, cluster)
    if _current(cluster, there, wanted):
        return False
    if not _has_argocd(cluster):
        place = target.env.cluster
        if isinstance(place, LabCluster) or not place.install_argocd:
            raise Stop(f"{target.context} has no Argo CD", Code.COULD_NOT_RUN, "./inv lab.up, or set install_argocd")
        from tasks.lib import argocd_install

        argocd_install.install(c, kube.kubeconfig(target), target.context, None)
    changing = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception_type(Changed),
        reraise=True,
    )
    try:
        with terminal.step("Install project and ApplicationSet"):
            changing(_change, c, target, cluster)
    except Changed as error:
        said = f"install the ApplicationSet: others changed it {ATTEMPTS} times meanwhile"
        raise Stop(said, Code.COULD_NOT_RUN, f"./inv gitops.install --env {target.env.name}") from error
    return True


def _look(target: Target, cluster: Cluster) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The ApplicationSet that is there, and the project and ApplicationSet that are to be."""
    there = cluster.argo("applicationsets", NAME)
    return there, manifests(target, _listed(target, there))


def _change(c: Context, target: Target, cluster: Cluster) -> None:
    """Looks, and applies. Raises Changed when the ApplicationSet became another one in between."""
    there, wanted = _look(target, cluster)
    # The API server refuses the change of any other version than the one that was looked at.
    wanted[1]["metadata"]["resourceVersion"] = (there or _begin(cluster))["metadata"]["resourceVersion"]
    _apply(c, target, wanted)


def _begin(cluster: Cluster) -> dict[str, Any]:
    """An ApplicationSet that delivers nothing yet, so that there is a version to change. Raises Changed."""
    from kubernetes.client.exceptions import ApiException

    template = {"metadata": {}, "spec": {"project": "", "destination": {}}}
    body = {
        "apiVersion": f"{kube.GROUP}/{kube.VERSION}",
        "kind": "ApplicationSet",
        "metadata": {"name": NAME},
        "spec": {"generators": [], "template": template},
    }
    try:
        made: Any = cluster.custom.create_namespaced_custom_object(
            kube.GROUP, kube.VERSION, ARGOCD, "applicationsets", body, _request_timeout=kube.REQUEST_SECONDS
        )
    except ApiException as error:
        if error.status == 409:
            raise Changed from error
        raise
    answer: dict[str, Any] = made
    return answer


def _apply(c: Context, target: Target, wanted: list[dict[str, Any]]) -> None:
    argv: list[str | Path] = [
        tools.path(c, "kubectl"),
        f"--kubeconfig={kube.kubeconfig(target)}",
        f"--context={target.context}",
        *("apply", "--server-side", "--force-conflicts", "--filename=-"),
    ]
    text = "\n---\n".join(json.dumps(manifest) for manifest in wanted)
    step = "install the ApplicationSet"
    result = run(c, argv, step=step, timeout=APPLY_SECONDS, stdin=text, quiet=True, ok=(0, 1))
    if "the object has been modified" in result.stderr:
        raise Changed
    if result.exited:
        raise Stop(f"{step}: kubectl failed\n{tail(result)}", Code.COULD_NOT_RUN, "./inv doctor")


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
