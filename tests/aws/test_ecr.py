"""ECR's repositories against moto's server; the preview, which moto has not, against AWS's answers played back."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from tasks.lib.aws import ecr, lifecycle
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event
from tasks.lib.infra_settings import Infra
from tasks.lib.settings import Environment, LabCluster
from tasks.lib.target import Target
from tasks.lib.values import Release
from tests.aws.counterparts import ACCOUNT, OTHER, REGION, Aws

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}


@pytest.fixture
def place(infra: Infra) -> ecr.Place:
    return ecr.Place(infra, f"{HOST}/team/slipway-service")


def put(place: ecr.Place, tag: str, content: str, **more: object) -> str:
    """An image as moto knows it: a manifest, without data. Returns its digest."""
    tagged = {"imageTag": tag} if tag else {}
    layers = [{"digest": f"sha256:{content * 64}", "size": 1, "mediaType": "x"}]  # moto's digest is made of these
    manifest = {**MANIFEST, "config": layers[0], "layers": layers, **more}
    found = place.client().put_image(repositoryName=place.name, imageManifest=json.dumps(manifest), **tagged)
    return str(found["image"]["imageId"]["imageDigest"])


@pytest.mark.slow
def test_a_repository_is_made_once_with_its_rules(place: ecr.Place) -> None:
    assert ecr.describe(place) is None
    with pytest.raises(Stop, match="has no repository team/slipway-service") as caught:
        ecr.demand(place)
    assert caught.value.code == Code.COULD_NOT_RUN

    made, changed = ecr.ensure(place)
    assert changed
    assert made.keeps_tags
    assert made.scanning.scan_on_push
    assert made.uri == place.repository
    assert ecr.ensure(place) == (made, False)


@pytest.mark.slow
def test_a_commits_tag_stays_and_latest_moves(place: ecr.Place) -> None:
    ecr.ensure(place)
    first, sha = put(place, "a" * 40, "1"), "a" * 40
    put(place, ecr.MOVABLE, "1")
    with pytest.raises(Exception, match="AlreadyExists"):
        put(place, sha, "2")
    put(place, ecr.MOVABLE, "2")
    found = ecr.image(place, first)
    assert found
    assert found.tags == [sha]
    assert ecr.image(place, "sha256:" + "9" * 64) is None


@pytest.mark.slow
def test_a_repository_with_other_rules_is_corrected(place: ecr.Place) -> None:
    place.client().create_repository(repositoryName=place.name)
    before = ecr.describe(place)
    assert before
    assert not before.keeps_tags
    made, changed = ecr.ensure(place)
    assert changed
    assert made.keeps_tags
    assert made.scanning.scan_on_push


@pytest.mark.slow
def test_latest_can_move_where_terraform_made_every_tag_immutable(place: ecr.Place) -> None:
    with pytest.raises(Stop, match="has no repository"):
        ecr.let_latest_move(place)
    place.client().create_repository(repositoryName=place.name, imageTagMutability="IMMUTABLE")
    ecr.let_latest_move(place)
    found = ecr.describe(place)
    assert found
    assert found.keeps_tags


def test_a_repository_whose_tags_move_is_left_alone(place: ecr.Place) -> None:
    place.client().create_repository(repositoryName=place.name)
    ecr.let_latest_move(place)
    found = ecr.describe(place)
    assert found
    assert found.mutability == "MUTABLE"


@pytest.mark.slow
def test_what_is_attached_to_an_image_that_is_needed_is_needed(place: ecr.Place) -> None:
    place.client().create_repository(repositoryName=place.name)
    sha = "a" * 40
    subject = put(place, sha, "1")
    digests = [put(place, "", "2", subject={"digest": subject, "size": 1}), put(place, "", "3")]
    found = lifecycle.with_subjects(place, [lifecycle.Expiring(digest=digest) for digest in digests])
    assert [one.about for one in found] == [[sha], []]
    assert lifecycle.endangered(found, {"staging": [sha]}) == [(found[0], "staging")]


def test_nothing_is_made_in_another_account(place: ecr.Place) -> None:
    elsewhere = ecr.Place(place.infra.model_copy(update={"account": OTHER}), place.repository)
    with pytest.raises(Stop, match=f"names {OTHER}"):
        ecr.ensure(elsewhere)
    assert ecr.describe(place) is None
    with pytest.raises(Stop, match=f"names {OTHER}"):
        ecr.login(elsewhere)


def test_the_login_is_ecrs_and_is_never_shown(place: ecr.Place) -> None:
    made = ecr.login(place)
    assert (made.host, made.user, made.password) == (HOST, "AWS", f"{ACCOUNT}-auth-token")
    assert made.password not in repr(made)


@pytest.mark.parametrize(("left_hours", "asked"), [(12, 1), (0.25, 2)])
def test_a_login_is_asked_for_again_before_it_ends(
    place: ecr.Place, monkeypatch: pytest.MonkeyPatch, left_hours: float, asked: int
) -> None:
    """moto's logins ended in 2015, so what ECR would answer is played back."""
    client = place.client()
    ends = datetime.fromtimestamp(datetime.now(timezone.utc).timestamp() + left_hours * 3600, tz=timezone.utc)
    monkeypatch.setattr(ecr.Place, "client", lambda _: client)
    with Stubber(client) as stub:
        data = {"authorizationToken": "QVdTOnNlY3JldA==", "expiresAt": ends, "proxyEndpoint": f"https://{HOST}"}
        for _ in range(asked):
            stub.add_response("get_authorization_token", {"authorizationData": [data]}, {})
        assert ecr.login(place).password == ecr.login(place).password == "secret"
        stub.assert_no_pending_responses()


def test_the_region_is_the_hosts_and_a_registry_may_be_another_accounts(infra: Infra) -> None:
    there = ecr.Place(infra, f"{OTHER}.dkr.ecr.us-west-2.amazonaws.com/team/service")
    assert there.client().meta.region_name == "us-west-2"
    assert there.registry == {"registryId": OTHER}
    assert ecr.Place(infra, "127.0.0.1:5000/team/service").registry == {}


@pytest.mark.slow
def test_the_lifecycle_policy(place: ecr.Place) -> None:
    ecr.ensure(place)
    assert lifecycle.policy(place) is None
    policy: dict[str, Any] = {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    }
    place.client().put_lifecycle_policy(repositoryName=place.name, lifecyclePolicyText=json.dumps(policy))
    assert lifecycle.policy(place) == policy


def test_what_a_policy_would_delete_and_an_environment_needs(place: ecr.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client = place.client()
    monkeypatch.setattr(ecr.Place, "client", lambda _: client)
    monkeypatch.setattr(lifecycle, "PREVIEW_SECONDS", (0, 3))
    named = {"repositoryName": place.name, "registryId": ACCOUNT}
    old, needed = ({"imageTags": [tag * 40], "imageDigest": f"sha256:{tag * 64}"} for tag in "ab")
    policy = json.dumps({"rules": ["x" * 100]})  # ECR takes none that is shorter
    rule = {"imagePushedAt": datetime(2026, 1, 1, tzinfo=timezone.utc), "appliedRulePriority": 1}
    done = {**named, "lifecyclePolicyText": policy, "status": "COMPLETE"}
    with Stubber(client) as stub:
        running = {**named, "lifecyclePolicyText": policy, "status": "IN_PROGRESS"}
        stub.add_response("start_lifecycle_policy_preview", running, {**named, "lifecyclePolicyText": policy})
        stub.add_response("get_lifecycle_policy_preview", running, named)
        stub.add_response("get_lifecycle_policy_preview", done, named)
        stub.add_response(
            "get_lifecycle_policy_preview", {**done, "previewResults": [{**old, **rule}], "nextToken": "n"}, named
        )
        stub.add_response(
            "get_lifecycle_policy_preview",
            {**done, "previewResults": [{**needed, **rule}]},
            {**named, "nextToken": "n"},
        )
        expiring = lifecycle.preview(place, json.loads(policy))
    assert [one.tags for one in expiring] == [["a" * 40], ["b" * 40]]
    ((found, name),) = lifecycle.endangered(expiring, {"staging": ["c" * 40], "production": ["d" * 40, "b" * 40]})
    assert (found.digest, name) == (f"sha256:{'b' * 64}", "production")


def test_an_environment_needs_what_runs_and_what_it_may_go_back_to() -> None:
    env = Environment(name="staging", cluster=LabCluster(kind="lab"))
    target = Target(env, Path("x"), "x", "x", "x", "main", publishes=False)
    arrived = [Event(environment="staging", action=Action.ARRIVED, release=letter * 40) for letter in "cbc"]
    never = Event(environment="staging", action=Action.DEPLOY, release="d" * 40)
    state = State(target, Path("x"), "head", Release(revision="a" * 40), [*arrived, never])
    assert lifecycle.held([state]) == {"staging": ["a" * 40, "c" * 40, "b" * 40]}


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (
            "AccessDeniedException",
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ann is not authorized to perform: "
            "ecr:GetAuthorizationToken on resource: * because no identity-based policy allows it",
            r"no permission for ecr:GetAuthorizationToken by arn:aws:sts::\d+:assumed-role/deploy/ann",
        ),
        ("ExpiredTokenException", "The security token included in the request is expired", "credentials are expired"),
        ("ThrottlingException", "Rate exceeded", "asked too often"),
        ("ServerException", f"broken, {'A' * 200}", r"AWS says ServerException: broken, \*\*\*'"),
    ],
)
@pytest.mark.slow
def test_what_ecr_refuses_is_one_sentence(somebody: None, code: str, message: str, told: str) -> None:
    with Aws(code, message) as aws:
        here = ecr.Place(Infra(account=ACCOUNT, region=REGION, endpoint=aws.url), f"{HOST}/team/service")
        with pytest.raises(Stop, match=told) as caught:
            ecr.login(here)
    assert caught.value.code == Code.COULD_NOT_RUN
    assert caught.value.sentence.startswith("log in to ECR: ")
    assert "\n" not in caught.value.sentence


@pytest.mark.slow
def test_a_user_without_rights_is_told_which_one_is_missing(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's own judgement of IAM policies."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        iam = boto3.client("iam", region_name=REGION)
        iam.create_user(UserName="ann")
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])

        @set_initial_no_auth_action_count(0)  # type: ignore[untyped-decorator]
        def ask() -> None:
            here = ecr.Place(Infra(account=ACCOUNT, region=REGION), f"{HOST}/team/service")
            with pytest.raises(Stop, match=r"no permission for ecr:DescribeRepositories by arn:\S+user/ann'"):
                ecr.describe(here)

        ask()
