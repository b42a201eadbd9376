"""What an environment means on this machine: cluster access, registry, Git remote and image engine, as plain values."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from tasks.lib import paths, registry
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import SERVICE, ContextCluster, EksCluster, Environment, LabCluster

if TYPE_CHECKING:
    from tasks.lib.lab import Lab

ASK_AGAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """After this there is one code path for the lab and for any other cluster."""

    env: Environment
    kubeconfig: Path
    context: str
    repository: str
    git_url: str
    branch: str
    publishes: bool
    """Whether deploy may push the release's commit to the remote itself (only the lab's own remote)."""


@dataclass(frozen=True)
class Engine:
    """The Docker engine that builds images, and the base images it offers; '' keeps the Dockerfile's own.

    source: where the repository lives, for the image's label.
    """

    docker_host: str = ""
    base_image: str = ""
    builder_image: str = ""
    source: str = ""


def of(c: Context, env: Environment, up: bool = True) -> Target:
    """The environment's target. Brings the lab up when the environment runs there. Raises Stop (4) when it cannot.

    up: false for those who only look, and then a lab that is down is not there (4).
    """
    cluster = env.cluster
    if not isinstance(cluster, LabCluster):
        assert env.registry and env.git  # noqa: S101 - settings.load demands both
        if env.registry.is_ecr:
            registry.made_by(env.registry.repository, partial(_ecr_login, env))
        return Target(
            env=env,
            kubeconfig=_kubeconfig(env.name, cluster),
            context=cluster.name if isinstance(cluster, EksCluster) else cluster.context,
            repository=env.registry.repository,
            git_url=env.git.url,
            branch=env.git.branch,
            publishes=False,
        )
    here = _lab(c) if up else _running_lab()
    return Target(
        env=env,
        kubeconfig=here.kubeconfig,
        context=here.context,
        repository=f"{here.registry}/{SERVICE}",
        git_url=here.git_url,
        branch="main",
        publishes=True,
    )


def begun(env: Environment) -> bool:
    """Whether there is a platform to look at, or to repair: a lab that was taken down has no release any more.

    For `of`, by those who need a release that is there: half an hour of building would only end in "nothing to do".
    """
    from tasks.lib.lab import layout, state

    return not isinstance(env.cluster, LabCluster) or bool(state.read(layout.home()))


def _kubeconfig(name: str, cluster: ContextCluster | EksCluster) -> Path:
    """The kubeconfig that a context is in; for EKS the one that kube.kubeconfig writes when kubectl needs it."""
    if isinstance(cluster, EksCluster):
        return paths.work() / "kube" / f"{name}.json"
    return (cluster.kubeconfig or Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")).expanduser()


def _ecr_login(env: Environment) -> registry.Login:
    from tasks.lib.aws import ecr

    assert env.registry  # noqa: S101 - it is what is logged in to
    return ecr.login(ecr.Place(env.infra, env.registry.repository))


def engine(c: Context, env: Environment, up: bool = True) -> Engine:
    """The engine for the environment's builds: the lab's, or the one that DOCKER_HOST or the default socket names.

    up: as for `of`.
    """
    if not isinstance(env.cluster, LabCluster):
        return Engine(docker_host=os.environ.get("DOCKER_HOST", ""), source=env.git.url if env.git else "")
    here = _lab(c) if up else _running_lab()
    return Engine(docker_host=here.docker_host, base_image=here.base_image, builder_image=here.builder_image)


@dataclass
class _Seen:
    lab: Lab | None = None
    at: float = 0.0


_seen = _Seen()


def _lab(c: Context) -> Lab:
    """The lab, brought up if need be. The tasks of one line ask one after the other: a moment ago is soon enough."""
    from tasks.lib import lab

    if _seen.lab is None or time.monotonic() - _seen.at > ASK_AGAIN_SECONDS or lab.find() != _seen.lab:
        _seen.lab, _seen.at = lab.up(c), time.monotonic()
    return _seen.lab


def _running_lab() -> Lab:
    from tasks.lib import lab

    here = lab.find()
    if here is None:
        raise Stop("the lab is down, and its registry and Git remote with it", Code.COULD_NOT_RUN, "./inv lab.up")
    return here
