"""EKS as a cluster: bearer tokens signed here, a client that holds them in memory, a kubeconfig that has none."""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.lib.aws import errors, session
from tasks.lib.errors import Code, Stop

if TYPE_CHECKING:
    from kubernetes import client as api

    from tasks.lib.infra_settings import Infra

PREFIX, HEADER = "k8s-aws-v1.", "x-k8s-aws-id"
URL_SECONDS = 60  # what EKS asks of the signed URL; the token itself holds for 15 minutes
LIFETIME = timedelta(minutes=14)
SPARE = timedelta(minutes=1)  # a token that ends sooner is replaced before it is used
EXEC = "client.authentication.k8s.io/v1"
PROGRAM = Path(__file__).with_name("credential.py")
READY = ("ACTIVE", "UPDATING")


@dataclass(frozen=True)
class Token:
    """What the API server takes as proof of who asks."""

    value: str = field(repr=False)
    expires: datetime

    @property
    def holds(self) -> bool:
        return self.expires - datetime.now(timezone.utc) > SPARE


@dataclass(frozen=True)
class Described:
    """Where a cluster's API server is, and its certificate: PEM, in base64 as AWS and kubeconfigs have it."""

    endpoint: str
    certificate: str


def token(infra: Infra, cluster: str) -> Token:
    """A token for the cluster: a request to STS (GetCallerIdentity) that is signed, but sent by the cluster.

    Signing asks nobody, so a token of the wrong account is made as well: `identity` tells. Raises Stop (4).
    """
    sts = session.client(infra, "sts")
    sts.meta.events.register("provide-client-params.sts.GetCallerIdentity", _take_name)
    sts.meta.events.register("before-sign.sts.GetCallerIdentity", _add_header)
    with errors.told(f"sign a token for {cluster}"):
        url = sts.generate_presigned_url(
            "get_caller_identity", Params={"ClusterName": cluster}, ExpiresIn=URL_SECONDS, HttpMethod="GET"
        )
    value = PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return Token(value, datetime.now(timezone.utc) + LIFETIME)


def _take_name(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """The operation has no such parameter: what is to be a header is handed on beside it."""
    context["cluster"] = params.pop("ClusterName")


def _add_header(request: Any, **_: Any) -> None:
    request.headers[HEADER] = request.context["cluster"]


def describe(infra: Infra, cluster: str) -> Described:
    """Where the cluster is. Raises Stop (4) when AWS has none of that name in this region, or it is not ready."""
    step = f"find the cluster {cluster}"
    client = session.client(infra, "eks")
    with errors.told(step):
        try:
            found = client.describe_cluster(name=cluster)["cluster"]
        except client.exceptions.ResourceNotFoundException:
            raise Stop(
                f"{step}: account {infra.account_id} has no EKS cluster of this name in {infra.region}",
                Code.COULD_NOT_RUN,
                "correct cluster.name or infra.region in environment.yaml, or ./inv infra.apply",
            ) from None
    if found["status"] not in READY:
        raise Stop(f"{step}: it is {found['status']}", Code.COULD_NOT_RUN, "wait until it is ACTIVE")
    return Described(found["endpoint"], found["certificateAuthority"]["data"])


def configuration(infra: Infra, cluster: str) -> api.Configuration:
    """For the Kubernetes client: address, certificate, and a token that is renewed before it ends; all in memory.

    Raises Stop (4) when account or region are others than the environment names, or AWS does not know the cluster.
    """
    from kubernetes import client

    session.identity(infra, f"log in to the cluster {cluster}")
    where = describe(infra, cluster)
    certificate = base64.b64decode(where.certificate).decode()
    settings = client.Configuration(host=where.endpoint, ca_cert_data=certificate)
    current = [token(infra, cluster)]

    def renew(settings: api.Configuration) -> None:
        if not current[0].holds:
            current[0] = token(infra, cluster)
        settings.api_key["authorization"] = f"Bearer {current[0].value}"

    renew(settings)
    settings.refresh_api_key_hook = renew  # type: ignore[assignment]
    return settings


def kubeconfig(infra: Infra, cluster: str, file: Path, context: str = "") -> Path:
    """Writes a kubeconfig for kubectl and people, for its owner alone; returns the file.

    There is no token in it: kubectl runs a program of this checkout that signs one. context: default: the cluster's
    name. Raises Stop (4) as `configuration` does.
    """
    session.identity(infra, f"write a kubeconfig for {cluster}")
    where, name = describe(infra, cluster), context or cluster
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {"name": name, "cluster": {"server": where.endpoint, "certificate-authority-data": where.certificate}},
        ],
        "users": [{"name": name, "user": {"exec": exec_plugin(infra, cluster)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f"{file.name}.{os.getpid()}.part")
    half.touch(mode=0o600)
    half.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")  # JSON is YAML
    half.replace(file)
    return file


def exec_plugin(infra: Infra, cluster: str) -> dict[str, Any]:
    """The `exec` part of a kubeconfig's user: which program prints a token; nothing in it is secret."""
    words = [str(PROGRAM), "--cluster", cluster, "--account", infra.account_id, "--region", infra.region]
    words += ["--endpoint", infra.endpoint] if infra.endpoint else []
    words += ["--emulated"] if infra.emulated else []
    return {"apiVersion": EXEC, "command": sys.executable, "args": words, "interactiveMode": "Never"}


def exec_credential(infra: Infra, cluster: str) -> str:
    """The ExecCredential (JSON) that kubectl reads. Raises Stop (4) for the wrong account or region."""
    session.identity(infra, f"log in to the cluster {cluster}")
    made = token(infra, cluster)
    status = {"token": made.value, "expirationTimestamp": made.expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return json.dumps({"apiVersion": EXEC, "kind": "ExecCredential", "status": status})
