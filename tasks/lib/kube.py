"""Access to the cluster of a target: one client for the lab and for any other cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra
from tasks.lib.settings import EksCluster
from tasks.lib.target import Target

if TYPE_CHECKING:
    from kubernetes import client as api

REQUEST_SECONDS = 10.0
ARGOCD = "argocd"
GROUP, VERSION = "argoproj.io", "v1alpha1"


@dataclass(frozen=True)
class Cluster:
    """The parts of the Kubernetes API that delivery uses; every call is given REQUEST_SECONDS."""

    core: api.CoreV1Api
    apps: api.AppsV1Api
    custom: api.CustomObjectsApi
    name: str

    def argo(self, plural: str, name: str) -> dict[str, Any] | None:
        """An Argo CD object in its namespace, or None."""
        with missing_is_none() as found:
            found.value = self.custom.get_namespaced_custom_object(
                GROUP, VERSION, ARGOCD, plural, name, _request_timeout=REQUEST_SECONDS
            )
        answer: dict[str, Any] | None = found.value
        return answer

    def get(self, path: str, query: tuple[tuple[str, str], ...] = (), timeout: float = REQUEST_SECONDS) -> Answer:
        """GET a path of the API server, such as a Service's proxy. Raises urllib3's HTTPError without answer."""
        client = self.core.api_client
        request = client.param_serialize("GET", path, query_params=list(query), auth_settings=["BearerToken"])
        response = client.call_api(*request, _request_timeout=timeout)
        return Answer(
            response.status, response.getheader("Content-Type") or "", response.read().decode(errors="replace")
        )

    def annotate(self, plural: str, name: str, annotations: dict[str, str]) -> bool:
        """Annotates an Argo CD object; whether it was there."""
        with missing_is_none() as found:
            body = {"metadata": {"annotations": annotations}}
            found.value = self.custom.patch_namespaced_custom_object(
                GROUP, VERSION, ARGOCD, plural, name, body, _request_timeout=REQUEST_SECONDS
            )
        return found.value is not None


@dataclass(frozen=True)
class Answer:
    """What came back for an HTTP request, whatever its status."""

    status: int
    content_type: str
    text: str

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; {} when it is none."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass
class Found:
    value: Any = None  # untyped on purpose: the API answers with dictionaries or models


@contextmanager
def missing_is_none() -> Iterator[Found]:
    """Swallows the API's 404, so that what is looked for stays None; other answers are raised."""
    from kubernetes.client.exceptions import ApiException

    found = Found()
    try:
        yield found
    except ApiException as error:
        if error.status != 404:
            raise


class Silent(Stop):
    """The cluster does not answer, or answers that it will not."""


@contextmanager
def answering(target: Target) -> Iterator[None]:
    """What the Kubernetes client raises in the block becomes Silent (4): one sentence, never a traceback."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ApiException, HTTPError) as error:
        fix = "./inv lab.up" if target.publishes else f"kubectl --context {target.context} version"
        if isinstance(target.env.cluster, EksCluster):
            fix = "docs/aws.md, The role" if getattr(error, "status", 0) in (401, 403) else "./inv doctor"
        reason = str(getattr(error, "reason", error))[:200]
        raise Silent(f"the cluster {target.context} does not answer: {reason}", Code.COULD_NOT_RUN, fix) from error


def connect(target: Target) -> Cluster:
    """A client for the target's cluster. Raises Stop (4) for a bad kubeconfig or a cluster that does not answer."""
    from kubernetes import client

    place = target.env.cluster
    if isinstance(place, EksCluster):
        from tasks.lib.aws import eks

        settings = eks.configuration(target.env.infra, place.name)
    else:
        settings = _of_context(target)
    settings.retries = 1
    opened = client.ApiClient(settings)
    with answering(target):
        client.VersionApi(opened).get_code(_request_timeout=REQUEST_SECONDS)
    return Cluster(client.CoreV1Api(opened), client.AppsV1Api(opened), client.CustomObjectsApi(opened), target.context)


def kubeconfig(target: Target) -> Path:
    """The file for kubectl; for EKS it is written now, and has no token in it. Raises Stop (4)."""
    place = target.env.cluster
    if isinstance(place, EksCluster):
        return _written(target.env.infra, place.name, target.kubeconfig)
    return target.kubeconfig


@cache
def _written(infra: Infra, cluster: str, file: Path) -> Path:
    from tasks.lib.aws import eks

    return eks.kubeconfig(infra, cluster, file)


def _of_context(target: Target) -> api.Configuration:
    from kubernetes import client, config

    file = f"gitops/environments/{target.env.name}/environment.yaml"
    if not target.kubeconfig.exists():
        raise Stop(f"the kubeconfig {target.kubeconfig} does not exist", Code.COULD_NOT_RUN, f"name yours in {file}")
    try:
        settings = client.Configuration()
        config.load_kube_config(str(target.kubeconfig), context=target.context, client_configuration=settings)
    except config.ConfigException as error:
        raise Stop(
            f"the kubeconfig {target.kubeconfig} has no usable context '{target.context}': {error}",
            Code.COULD_NOT_RUN,
            f"name one of `kubectl config get-contexts` in {file}",
        ) from error
    return settings
