"""`cluster: {kind: eks}` and `registry: {kind: ecr}` in environment.yaml, wherever other kinds may stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import applicationset, paths, registry, settings, target
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import EksCluster, Environment
from tests.aws.counterparts import ACCOUNT, OTHER

ECR = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/team/service"
EKS = """cluster: {{kind: eks, name: main}}
registry: {{repository: {registry}}}
git: {{url: https://git.example.com/team/slipway.git}}
infra: {{account: "{account}", region: eu-central-1}}
"""


def load(folder: Path, text: str, name: str = "mine") -> Environment:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "environment.yaml").write_text(text)
    return settings.load(name, folder)


@pytest.mark.parametrize(
    ("lines", "ecr"),
    [
        (f"repository: {ECR}", True),
        (f"kind: ecr, repository: {ECR}", True),
        (f"kind: docker, repository: {ECR}", False),
        ("kind: ecr, repository: 127.0.0.1:5000/team/service", True),
        ("repository: registry.example.com/team/service", False),
        (f"repository: {ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com/s", True),
        (f"repository: {ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/s", True),
        (f"repository: evil.test/{ECR}", False),
        (f"repository: {ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com.evil.test/s", False),
    ],
)
def test_which_registry_is_ecr(tmp_path: Path, lines: str, ecr: bool) -> None:
    text = EKS.format(registry="x", account=ACCOUNT).replace("repository: x", lines)
    found = load(tmp_path, text).registry
    assert found
    assert found.is_ecr == ecr


@pytest.mark.parametrize(
    "text",
    [
        EKS.format(registry="registry.example.com/s", account=""),
        EKS.format(registry=ECR, account="").replace("kind: eks, name: main", "kind: context, context: there"),
    ],
)
def test_an_account_must_be_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(Stop, match=r"infra\.account: required with an EKS cluster or an ECR registry") as caught:
        load(tmp_path, text)
    assert caught.value.code == Code.USAGE


def test_unknown_keys_of_the_cluster_are_refused(tmp_path: Path) -> None:
    text = EKS.format(registry=ECR, account=ACCOUNT).replace("name: main", "name: main, region: x")
    with pytest.raises(Stop, match=r"cluster\.eks\.region: unknown key; allowed here: kind, name, install_argocd"):
        load(tmp_path, text)


def test_a_target_asks_nothing_of_aws(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials: what needs none of the cluster must not want them."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    env = load(tmp_path, EKS.format(registry=ECR, account=ACCOUNT))
    made = target.of(c, env)
    assert (made.context, made.repository, made.publishes) == ("main", ECR, False)
    assert made.kubeconfig == tmp_path / ".slipway/kube/mine.json"
    assert not made.kubeconfig.exists()
    with pytest.raises(Stop, match="log in to ECR: there are no AWS credentials"):
        registry.digest(c, f"{ECR}:latest")
    assert target.engine(c, env).source == "https://git.example.com/team/slipway.git"


def test_a_registry_with_dockers_logins_keeps_them(c: Context, tmp_path: Path) -> None:
    target.of(c, load(tmp_path, EKS.format(registry="registry.example.com/s", account=ACCOUNT)))
    assert registry.own_login("registry.example.com/s:latest") is None
    assert list(registry.login("registry.example.com/s:latest")) == ["DOCKER_CONFIG"]


def test_clusters_of_one_name_in_two_accounts_are_two(tmp_path: Path) -> None:
    one = load(tmp_path, EKS.format(registry=ECR, account=ACCOUNT), "one")
    two = load(tmp_path, EKS.format(registry=ECR, account=OTHER), "two")
    same = load(tmp_path, EKS.format(registry=ECR, account=ACCOUNT), "same")
    assert isinstance(one.cluster, EksCluster)
    assert one.cluster == two.cluster
    assert applicationset._place(one) == applicationset._place(same)
    assert applicationset._place(one) != applicationset._place(two)
