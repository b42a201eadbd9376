"""Sessions and clients for an environment's account and region, with deadlines; and whose credentials they use."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.lib import ci
from tasks.lib.aws import errors
from tasks.lib.errors import Code, Stop

if TYPE_CHECKING:
    import boto3
    from botocore.session import Session as Core

    from tasks.lib.infra_settings import Infra

CONNECT_SECONDS, READ_SECONDS = 5, 30
ATTEMPTS = 5  # per call, with botocore's "standard" waiting in between
ROLE, ID_TOKEN = "AWS_ROLE_ARN", "AWS_ID_TOKEN"
PIPELINE = "assume-role-with-pipeline-token"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
# An emulator takes any; a person's own must not be sent to it.
EMULATED = {"aws_access_key_id": "emulated", "aws_secret_access_key": "emulated"}


@dataclass(frozen=True)
class Identity:
    """Whose credentials are in use."""

    account: str
    arn: str


def session(infra: Infra) -> boto3.Session:
    """A session in the environment's region whose clients all have deadlines and retries.

    Clients for an environment with an endpoint of its own are made by `client`. Nothing is asked of AWS here.
    Raises Stop (4) for an emulated environment whose server is not known: it must never reach AWS.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    if infra.emulated and not infra.endpoint:
        raise Stop(
            "this environment's AWS is emulated, but no server is running", Code.COULD_NOT_RUN, "./inv infra.plan"
        )
    with errors.told("read the AWS configuration"):
        core = botocore.session.Session()
        core.set_default_client_config(
            Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            )
        )
        core.set_config_variable("region", infra.region)
        if infra.emulated:
            core.set_credentials(EMULATED["aws_access_key_id"], EMULATED["aws_secret_access_key"])
        elif os.environ.get(ROLE) and os.environ.get(ID_TOKEN):
            _pipeline(core, infra)
        return boto3.Session(botocore_session=core, region_name=infra.region)


def _pipeline(core: Core, infra: Infra) -> None:
    """Lets the chain of credentials end with a GitLab job's token, which is in a variable where botocore wants a file.

    It comes after everything that botocore itself would find in the process's environment.
    """
    from botocore.credentials import (
        AssumeRoleWithWebIdentityCredentialFetcher,
        CredentialProvider,
        DeferredRefreshableCredentials,
    )

    class PipelineToken(CredentialProvider):  # type: ignore[misc]
        METHOD = PIPELINE
        CANONICAL_NAME = "customPipelineToken"

        def load(self) -> Any:
            fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
                client_creator=partial(core.create_client, endpoint_url=infra.endpoint or None),
                web_identity_token_loader=lambda: os.environ[ID_TOKEN],
                role_arn=os.environ[ROLE],
                extra_args={"RoleSessionName": role_session()},
            )
            return DeferredRefreshableCredentials(method=self.METHOD, refresh_using=fetcher.fetch_credentials)

    core.get_component("credential_provider").insert_after("assume-role-with-web-identity", PipelineToken())


def role_session() -> str:
    """The name under which CloudTrail shows what a pipeline did: AWS_ROLE_SESSION_NAME, else pipeline and job."""
    given = os.environ.get("AWS_ROLE_SESSION_NAME")
    here = ci.pipeline()
    name = given or "-".join(["slipway", *(here[key] for key in ("pipeline", "job") if key in here)])
    return re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII)[:64]


def client(infra: Infra, service: str, **options: Any) -> Any:
    """A client of this service ("s3", "ecr", ...) in the environment's region and at its endpoint. Raises Stop (4)."""
    made = session(infra)
    with errors.told(f"use AWS ({service})"):
        return made.client(service, endpoint_url=infra.endpoint or None, **options)


def identity(infra: Infra, step: str = "check the AWS account") -> Identity:
    """Whose credentials are in use, once they are found to be of the account and region that the environment names.

    To be called before anything is changed. step: what the operator would call it.
    Raises Stop 2 when the environment names no account, 4 when account or region are others or AWS does not answer.
    """
    if not infra.account_id:
        raise Stop(f"{step}: infra.account is not set in environment.yaml", Code.USAGE, "docs/aws.md")
    _demand_region(infra, step)
    with errors.told(step):
        found = client(infra, "sts").get_caller_identity()
    if found["Account"] != infra.account_id:
        raise Stop(
            f"{step}: these credentials are of account {found['Account']} ({found['Arn']}), but environment.yaml names "
            f"{infra.account_id}",
            Code.COULD_NOT_RUN,
            f"set AWS_PROFILE, or in a job {ROLE}, to a role of {infra.account_id}",
        )
    return Identity(found["Account"], found["Arn"])


def _demand_region(infra: Infra, step: str) -> None:
    """Refuses where the process was told another region: some programs that it starts would follow that."""
    for name in REGION_VARIABLES:
        told = os.environ.get(name, "")
        if told and told != infra.region and not infra.emulated:
            raise Stop(
                f"{step}: {name} is {told}, but environment.yaml names the region {infra.region}",
                Code.COULD_NOT_RUN,
                f"unset {name}, or set it to {infra.region}",
            )


def variables(infra: Infra) -> dict[str, str]:
    """What another program (Terraform, kubectl) needs in its environment to act as we do. Raises Stop (4).

    Credentials appear in it only where the program could not find them by itself: a pipeline's token, an emulator.
    """
    found = dict.fromkeys(REGION_VARIABLES, infra.region)
    if infra.endpoint:
        found["AWS_ENDPOINT_URL"] = infra.endpoint
    made = session(infra)
    with errors.told("get AWS credentials"):
        credentials = made.get_credentials()
        if credentials is None or not (infra.emulated or credentials.method == PIPELINE):
            return found
        keys = credentials.get_frozen_credentials()
    found |= {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
    return found | ({"AWS_SESSION_TOKEN": keys.token} if keys.token else {})
