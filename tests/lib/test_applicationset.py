"""The ApplicationSet that deploy installs: what it keeps of the one that is there, and whose it never takes over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from tasks.lib import applicationset
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment, LabCluster
from tasks.lib.target import Target

URL = "git://127.0.0.1/ours.git"


class Api:
    """A cluster with one ApplicationSet; nothing else may be asked of it."""

    def __init__(self, url: str, listed: list[str]) -> None:
        self.url, self.listed = url, listed

    def argo(self, plural: str, name: str) -> dict[str, Any]:
        assert (plural, name) == ("applicationsets", applicationset.NAME)
        matching = {"matchExpressions": [{}, {"values": self.listed}]}
        return {"metadata": {}, "spec": {"generators": [{"git": {"repoURL": self.url}, "selector": matching}]}}


@pytest.fixture
def here() -> Target:
    env = Environment(name="shop", cluster=LabCluster(kind="lab"))
    return Target(env, Path("kubeconfig"), "somewhere", "127.0.0.1:1/app", URL, "main", publishes=True)


def test_a_cluster_that_another_repository_delivers_to_is_not_taken_over(c: Context, here: Target) -> None:
    theirs = "git://127.0.0.1/theirs.git"
    with pytest.raises(Stop) as stop:
        applicationset.install(c, here, Api(theirs, ["shop"]))  # type: ignore[arg-type]
    assert stop.value.code == Code.REFUSED
    assert theirs in stop.value.sentence
    assert "--cascade=orphan" in stop.value.fix


def test_environments_that_only_the_cluster_knows_stay(here: Target) -> None:
    there = Api(URL, ["of-another-branch"]).argo("applicationsets", applicationset.NAME)
    listed = applicationset._listed(here, there)
    (_, made) = applicationset.manifests(here, listed)
    names = made["spec"]["generators"][0]["selector"]["matchExpressions"][1]["values"]
    assert {"of-another-branch", "shop"} <= set(names)
