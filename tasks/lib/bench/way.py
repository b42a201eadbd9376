"""Rows about the way of a release: bump to arrived, the whole warm way, and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tasks.lib import image, settings, tools
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import APP, TEXT, Stage, median, spread, swap
from tasks.lib.gates import databases, trivy_database

ROUNDS = 3


def arrive(stage: Stage) -> Row:
    """A pushed release, from the bump to arrived: `./inv gitops.bump gitops.wait` against the shell loop."""
    a, b = stage.release("a"), stage.b()
    env = stage.user.env
    ours, raw = [], []
    for _ in range(ROUNDS):
        words = ["gitops.bump", "--env", env, "--release", b, "gitops.wait", "--env", env]
        ours.append(stage.timed(lambda: stage.user.inv(*words)))  # noqa: B023 - called at once
        raw.append(stage.raw_deploy(a))
    return Row(
        name="arrive",
        what="bump to arrived: gitops.bump gitops.wait",
        unit="s",
        ours=median(ours),
        raw=median(raw),
        raw_what="sh: git push, refresh, kubectl in a loop",
        limit=10,
        limit_ratio=1.3,
        notes=[f"medians of {ROUNDS} in turn; ours {spread(ours)}; raw {spread(raw)}"],
    )


def rollback(stage: Stage) -> Row:
    """Back to a release whose image the node still has, the whole command, against the shell loop."""
    a, b = stage.release("a"), stage.b()
    ours, raw = [], []
    for _ in range(ROUNDS):
        stage.deploy(b)
        ours.append(stage.rollback(a))
        stage.deploy(b)
        raw.append(stage.raw_deploy(a))
    return Row(
        name="rollback",
        what="rollback to a cached image, with verification",
        unit="s",
        ours=median(ours),
        raw=median(raw),
        raw_what="sh: git push, refresh, kubectl in a loop",
        limit=15,
        notes=[f"medians of {ROUNDS} in turn; ours {spread(ours)}; raw {spread(raw)}"],
    )


def warm(stage: Stage) -> Row:
    """`./inv scan build deploy` of a one-line change, everything warm, against the same tools by hand."""
    stage.return_to_a()
    raw_sha = stage.user.commit(
        {APP: swap(TEXT, "Names the time in any zone")}, "one line, by hand", stage.release("a")
    )
    try:
        raw = stage.timed(lambda: _raw_release(stage, raw_sha))
        stage.user.commit({APP: swap(TEXT, "Shows the time in any zone")}, "one line", stage.release("a"))
        words = [word for task in ("scan", "build", "deploy") for word in (task, "--env", stage.user.env)]
        ours = stage.timed(lambda: stage.user.inv(*words, "--lift-hold", "benchmark"))
    finally:
        stage.user.git("push", "--quiet", stage.user.lab.git_url, f":refs/heads/{stage.user.env}", ok=(0, 1))
    return Row(
        name="warm",
        what="scan build deploy after a one-line change",
        unit="s",
        ours=ours,
        raw=raw,
        raw_what="the same scanners, buildx, docker push and the shell loop, one after the other",
        limit=60,
        notes=["raw plants no positive in any scan and keeps no record"],
    )


def _raw_release(stage: Stage, sha: str) -> None:
    user, c = stage.user, stage.c
    names = ("trufflehog", "safety", "trivy", "helm", "docker-buildx")
    programs = {name: str(path) for name, path in tools.paths(c, list(names)).items()}
    env = settings.load("local")
    with tempfile.TemporaryDirectory(prefix="slipway-raw-") as out:
        docker = {"DOCKER_HOST": user.lab.docker_host}
        build = [f"--build-arg=BASE_IMAGE={user.lab.base_image}", f"--build-arg=BUILDER_IMAGE={user.lab.builder_image}"]
        build += [f"--secret=id={name},src={path}" for name, path in image.package_index().items()]
        stage.script(
            "raw_release.sh",
            {
                **docker,
                **{name.replace("docker-", "").upper(): path for name, path in programs.items()},
                "TREE": str(user.folder),
                "SINCE": stage.release("a"),
                "REVISION": sha,
                "OUT": out,
                "NAME": f"{user.repository}:{sha}",
                "REMOTE": user.lab.git_url,
                "BRANCH": user.env,
                "SAFETY_DB": str(databases.safety(env).folder),
                "TRIVY_CACHE": str(trivy_database.find(c, env, Path(programs["trivy"])).folder),
                "BUILD": " ".join(build),
            },
        )
    stage.raw_deploy(sha)


MEASURES: dict[str, Callable[[Stage], Row]] = {"arrive": arrive, "rollback": rollback, "warm": warm}
