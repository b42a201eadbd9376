"""What the real Terraform prints when its state cannot be reached becomes the same sentences.

Its S3 backend needs no provider, so a root without resources is enough.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from invoke.context import Context

from tasks.lib import tools
from tasks.lib.aws import errors
from tasks.lib.errors import Code
from tests.aws.conftest import KEY, SECRET
from tests.aws.counterparts import REGION, Aws

BUCKET, STATE = "slipway-state", "staging/terraform.tfstate"
ROOT = 'terraform {\n  backend "s3" {}\n}\noutput "x" {\n  value = 1\n}\n'
LOCK = {
    "ID": "0a1b2c3d-1111-2222-3333-444455556666",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ann@laptop",
    "Version": "1.11.4",
    "Created": "2026-11-23T11:00:00.123456789Z",
    "Path": f"{BUCKET}/{STATE}",
}

Terraform = Callable[..., str]


@pytest.fixture
def terraform(c: Context, tmp_path: Path) -> Terraform:
    """Runs Terraform in a root whose state is at an endpoint; what it printed on stderr."""
    program = tools.path(c, "terraform")
    (tmp_path / "main.tf").write_text(ROOT)

    def run(endpoint: str, *words: str) -> str:
        settings = {"bucket": BUCKET, "key": STATE, "region": REGION, "use_path_style": "true", "use_lockfile": "true"}
        settings |= {"max_retries": "1", "skip_region_validation": "true"}
        options = [f"-backend-config={key}={value}" for key, value in settings.items()] if words[0] == "init" else []
        env = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        argv = [program, f"-chdir={tmp_path}", *words, "-input=false", *options]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=env, stdin=subprocess.DEVNULL)
        return done.stderr if done.returncode else ""

    return run


def told(said: str) -> str:
    assert said
    stop = errors.from_text("plan", said)
    assert stop, said
    assert stop.code == Code.COULD_NOT_RUN
    assert stop.fix
    assert "\n" not in stop.sentence
    for secret in (KEY, SECRET):
        assert secret not in stop.sentence
    return f"{stop.sentence} -> {stop.fix}"


def test_a_locked_state(terraform: Terraform, moto: str) -> None:
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=moto)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    assert terraform(moto, "init") == ""
    s3.put_object(Bucket=BUCKET, Key=f"{STATE}.tflock", Body=json.dumps(LOCK).encode())
    said = told(terraform(moto, "plan", "-lock-timeout=0s"))
    assert f"the state is locked: lock {LOCK['ID']} of ann@laptop" in said
    assert "./inv infra.unlock" in said


def test_a_bucket_that_is_not_there(terraform: Terraform, moto: str) -> None:
    assert "./inv infra.bootstrap" in told(terraform(moto, "init"))


def test_no_credentials(terraform: Terraform, moto_process: str) -> None:
    assert "there are no AWS credentials" in told(terraform(moto_process, "init"))


def test_nobody_answers(terraform: Terraform, somebody: None) -> None:
    assert "does not answer" in told(terraform("http://127.0.0.1:9", "init"))


@pytest.mark.parametrize(
    ("code", "message", "status", "sentence"),
    [
        ("ExpiredToken", "The provided token has expired.", 400, "credentials are expired"),
        ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist", 403, "does not know these"),
        ("AccessDenied", "Access Denied", 403, "no permission for s3:"),
        ("SlowDown", "Please reduce your request rate.", 503, "asked too often"),
        (
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'x' is wrong; expecting 'us-west-2'",
            400,
            "not the region where it is, or the account may not use that region; it is in us-west-2",
        ),
    ],
)
def test_what_s3_refuses(
    terraform: Terraform, somebody: None, code: str, message: str, status: int, sentence: str
) -> None:
    with Aws(code, message, status) as aws:
        assert sentence in told(terraform(aws.url, "init"))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "│ Error: AWS account ID not allowed: 111111111111\n│ \n│   with provider",
            "of account 111111111111, which is",
        ),
        (
            "Error: creating EC2 VPC: operation error EC2: CreateVpc, https response error StatusCode: 403, api error "
            "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::1:user/ann is "
            "not authorized to perform: ec2:CreateVpc because no identity-based policy allows it",
            "no permission for ec2:CreateVpc by arn:aws:iam::1:user/ann",
        ),
        ("Error: reading ECR: ThrottlingException: Rate exceeded", "asked too often"),
    ],
)
def test_what_its_provider_says(said: str, sentence: str) -> None:
    """Terraform's AWS provider is not run here: these are its words."""
    assert sentence in told(said)


def test_what_is_not_about_aws_is_left_to_others() -> None:
    assert errors.from_text("plan", "Error: Unsupported argument on main.tf line 3") is None
