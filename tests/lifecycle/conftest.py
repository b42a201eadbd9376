"""The lab, and one user on it for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from invoke.context import Context

from tasks.lib import lab
from tasks.lib.bench.scratch import ENVIRONMENT, SMALL, environment, scratch
from tests.lifecycle.world import World

# As `local` has it: without lab.up --observe nothing is sent.
COLLECTOR = {"endpoint": "http://otel-collector.monitoring:4318", "onlyWith": "monitoring.coreos.com/v1"}


@pytest.fixture(scope="session")
def outside_ci() -> Iterator[None]:
    """The user of these tests sits at a desk, also where the tests run in a pipeline."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name == "CI" or name.startswith(("CI_", "GITLAB_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def world(outside_ci: None) -> Iterator[World]:
    """A checkout whose first commit was delivered by the one line that people type."""
    c = Context()
    c.config.run.in_stream = False
    here = lab.up(c)
    with scratch(c, "test", here, {"otlp": COLLECTOR}, rollout={"timeout_seconds": 40}) as user:
        foreign = {
            **ENVIRONMENT,
            "cluster": {"kind": "context", "context": here.context, "kubeconfig": str(here.kubeconfig)},
            "registry": {"repository": user.repository},
            "git": {"url": here.git_url},
            "signing": {"kind": "key", "public_key": str(here.home / "signing" / "cosign.pub")},
            "ask": True,
            "allow_dirty": False,
        }
        first = {**environment(f"{user.env}-first"), **environment(f"{user.env}-foreign", foreign, SMALL)}
        made = World(user, {"a": user.commit(first, "add two more environments")})
        words = [word for task in ("scan", "build", "deploy") for word in (task, "--env", user.env)]
        user.inv(*words)
        yield made
