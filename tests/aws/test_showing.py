"""`image.repository`: what it shows, what it makes, and that it makes nothing unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.context import Context

from tasks import image as task
from tasks.lib import desired, settings
from tasks.lib.aws import ecr, lifecycle, showing
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra
from tasks.lib.settings import EksCluster, Environment, GitRemote, Registry
from tasks.lib.target import Target
from tasks.lib.values import Release
from tests.aws.counterparts import ACCOUNT, OTHER, REGION

SHA = "a" * 40
NAME = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/service"
POLICY = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
            "action": {"type": "expire"},
        }
    ]
}


@pytest.fixture
def env(infra: Infra, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The only environment that there is."""
    made = Environment(
        name="staging",
        cluster=EksCluster(kind="eks", name="main"),
        registry=Registry(repository=NAME),
        git=GitRemote(url="https://git.example.com/s.git"),
        infra=infra,
    )
    monkeypatch.setattr(settings, "load", lambda *_: made)
    monkeypatch.setattr(settings, "known", lambda: ["staging"])
    return made


@pytest.mark.slow
def test_nothing_is_made_where_nobody_can_be_asked(c: Context, env: Environment) -> None:
    with pytest.raises(Stop, match="add --yes") as caught:
        task.repository(c, env="staging", create=True)
    assert caught.value.code == Code.USAGE
    assert ecr.describe(showing.place(env)) is None


@pytest.mark.slow
def test_made_shown_and_made_only_once(c: Context, env: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    task.repository(c, env="staging", create=True, yes=True)
    assert "IMMUTABLE_WITH_EXCLUSION, except latest" in capsys.readouterr().out
    task.repository(c, env="staging", create=True)
    assert "has these rules already" in capsys.readouterr().out
    task.repository(c, env="staging")
    said = capsys.readouterr().out
    assert "lifecycle     none" in said
    assert "no image that an environment needs would be deleted" in said


@pytest.mark.slow
def test_a_policy_that_would_delete_what_runs_fails(
    c: Context, env: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """moto has no preview: what ECR would delete is given."""
    ecr.ensure(showing.place(env))
    client = showing.place(env).client()
    client.put_lifecycle_policy(repositoryName="team/service", lifecyclePolicyText=json.dumps(POLICY))

    def fetch(_: Context, target: Target) -> State:
        return State(target, Path("x"), "head", Release(revision=SHA))

    monkeypatch.setattr(desired, "fetch", fetch)
    expiring = [lifecycle.Expiring(digest=f"sha256:{tag * 64}", tags=[tag * 40], rule=1) for tag in "bc"]
    monkeypatch.setattr(lifecycle, "preview", lambda _: expiring)
    task.repository(c, env="staging")
    expiring.append(lifecycle.Expiring(digest=f"sha256:{'a' * 64}", tags=[SHA], rule=1))
    with pytest.raises(Stop, match="would delete 1 images that staging needs") as caught:
        task.repository(c, env="staging")
    assert caught.value.code == Code.FINDINGS
    assert "staging" in capsys.readouterr().out


def test_nothing_is_planned_in_another_account(c: Context, env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = env.model_copy(update={"infra": env.infra.model_copy(update={"account": OTHER})})
    monkeypatch.setattr(settings, "load", lambda *_: wrong)
    with pytest.raises(Stop, match=f"names {OTHER}"):
        task.repository(c, env="staging", create=True, yes=True)
    assert ecr.describe(showing.place(env)) is None


def test_another_registry_is_no_repository_in_ecr(c: Context) -> None:
    with pytest.raises(Stop, match="the registry of local is not ECR") as caught:
        task.repository(c, env="local")
    assert caught.value.code == Code.USAGE
