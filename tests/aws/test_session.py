"""Whose credentials are used, where, and with which deadlines; what is refused before anything is changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

import pytest

from tasks.lib.aws import errors, session
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra
from tests.aws.conftest import KEY, SECRET
from tests.aws.counterparts import ACCOUNT, OTHER, REGION, Aws


def refused(infra: Infra, told: str) -> Stop:
    with pytest.raises(Stop, match=told) as caught:
        session.identity(infra, "deploy")
    assert caught.value.code == Code.COULD_NOT_RUN
    assert caught.value.sentence.startswith("deploy: ")
    assert caught.value.fix
    assert "\n" not in caught.value.sentence
    return caught.value


@pytest.mark.slow
def test_the_right_account_and_region(infra: Infra) -> None:
    found = session.identity(infra)
    assert found.account == ACCOUNT
    assert found.arn.startswith(f"arn:aws:sts::{ACCOUNT}:")


def test_another_account_is_refused(infra: Infra) -> None:
    stop = refused(infra.model_copy(update={"account": OTHER}), f"are of account {ACCOUNT} .* names {OTHER}")
    assert OTHER in stop.fix


@pytest.mark.parametrize("name", session.REGION_VARIABLES)
@pytest.mark.slow
def test_a_process_that_was_told_another_region_is_refused(
    infra: Infra, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, REGION)
    assert session.identity(infra)
    monkeypatch.setenv(name, "us-east-1")
    assert refused(infra, f"{name} is us-east-1, but .* {REGION}").fix.startswith(f"unset {name}")


def test_an_environment_without_account_is_a_setting_to_make(infra: Infra) -> None:
    with pytest.raises(Stop, match=r"infra\.account is not set") as caught:
        session.identity(infra.model_copy(update={"account": ""}))
    assert caught.value.code == Code.USAGE


def test_no_credentials(moto_process: str) -> None:
    refused(Infra(account=ACCOUNT, region=REGION, endpoint=moto_process), "there are no AWS credentials")


def test_a_profile_that_does_not_exist(infra: Infra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Stop, match="there are no AWS credentials") as caught:
        session.identity(infra)
    assert caught.value.code == Code.COULD_NOT_RUN


@pytest.mark.parametrize(
    ("code", "message", "status", "told"),
    [
        ("ExpiredToken", "The security token included in the request is expired", 403, "credentials are expired"),
        ("InvalidClientTokenId", "The security token included in the request is invalid.", 403, "does not know these"),
        ("AccessDenied", "Access denied", 403, "no permission for GetCallerIdentity"),
        (
            "SignatureDoesNotMatch",
            "Credential should be scoped to a valid region.",
            403,
            "not the region where it is",
        ),
    ],
)
@pytest.mark.slow
def test_what_sts_refuses(somebody: None, code: str, message: str, status: int, told: str) -> None:
    with Aws(code, message, status, identity=True) as aws:
        refused(Infra(account=ACCOUNT, region=REGION, endpoint=aws.url), told)
        assert aws.asked == ["GetCallerIdentity"]


@pytest.mark.slow
def test_throttling_is_tried_again_and_then_told(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ATTEMPTS", 3)
    with Aws("Throttling", "Rate exceeded", identity=True) as aws:
        refused(Infra(account=ACCOUNT, region=REGION, endpoint=aws.url), "asked too often")
        assert aws.asked == ["GetCallerIdentity"] * 3


def test_nobody_answers(somebody: None) -> None:
    refused(Infra(account=ACCOUNT, region=REGION, endpoint="http://127.0.0.1:9"), r"does not answer at 127\.0\.0\.1:9")


@pytest.mark.slow
def test_an_answer_that_never_comes_has_a_deadline(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(session, "READ_SECONDS", 1)
    monkeypatch.setattr(session, "ATTEMPTS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        refused(
            Infra(account=ACCOUNT, region=REGION, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"),
            "does not answer",
        )
    assert time.monotonic() - began < 10


def test_an_emulated_environment_never_reaches_aws_and_gets_no_real_key(moto: str) -> None:
    with pytest.raises(Stop, match="emulated, but no server"):
        session.client(Infra(emulated=True), "sts")
    emulated = Infra(emulated=True, endpoint=moto)
    assert session.session(emulated).get_credentials().access_key == "emulated"
    assert session.identity(emulated).account == ACCOUNT
    assert session.variables(emulated)["AWS_SECRET_ACCESS_KEY"] == "emulated"


def test_keys_are_handed_to_other_programs_only_where_they_cannot_find_them(infra: Infra) -> None:
    assert session.variables(infra) == {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": infra.endpoint,
    }


def test_a_pipelines_token_becomes_credentials_in_memory(
    moto: str, gitlab: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    here = Infra(account=ACCOUNT, region=REGION, endpoint=moto)
    refused(here, "there are no AWS credentials")
    monkeypatch.setenv(session.ROLE, f"arn:aws:iam::{ACCOUNT}:role/deploy-staging")
    monkeypatch.setenv(session.ID_TOKEN, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm9qZWN0In0.c2lnbmF0dXJl")
    found = session.identity(here)
    assert found.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy-staging/slipway-42-build"
    handed = session.variables(here)
    assert handed["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert handed["AWS_SESSION_TOKEN"]


def test_a_token_that_aws_does_not_take(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv(session.ROLE, f"arn:aws:iam::{ACCOUNT}:role/deploy-staging")
    monkeypatch.setenv(session.ID_TOKEN, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm9qZWN0In0.c2lnbmF0dXJl")
    with Aws("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403) as aws:
        refused(
            Infra(account=ACCOUNT, region=REGION, endpoint=aws.url),
            "no permission for sts:AssumeRoleWithWebIdentity",
        )
        assert aws.asked == ["AssumeRoleWithWebIdentity"]


def test_no_sentence_has_a_credential(somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzEXAMPLE" * 10)
    message = f"The key {KEY} with {SECRET} X-Amz-Security-Token={os.environ['AWS_SESSION_TOKEN']} is unknown to me"
    with Aws("SomethingNew", message, 400, identity=True) as aws:
        stop = refused(Infra(account=ACCOUNT, region=REGION, endpoint=aws.url), "AWS says SomethingNew")
    for secret in (KEY, SECRET, os.environ["AWS_SESSION_TOKEN"]):
        assert secret not in json.dumps(stop.args)


def test_what_a_person_may_read_stays() -> None:
    kept = "commit 5cd0cf6d2f9c4bbaa6b41b10ed9a6d9ad1d1d1d1, arn:aws:iam::123456789012:role/deploy, sha256:" + "d" * 64
    assert errors.redact(kept) == kept
    for secret in (KEY, SECRET, "k8s-aws-v1.aHR0cHM6Ly9zdHM", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "A" * 100):
        assert errors.redact(f"here {secret} there") == "here *** there"
    assert errors.redact('"authorizationToken": "QVdTOng=", x') == '"authorizationToken": "***", x'
