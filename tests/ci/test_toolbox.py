"""The image that pipeline jobs run in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from invoke.context import Context

from tasks.lib import build, image, registry, settings, target, toolbox_image
from tasks.lib.target import Engine
from tasks.lib.tools import pins

LOCAL = settings.load("local")
# No network: what is not in the image cannot be had.
PROVE = "cd /opt/slipway/checkout && ./inv tools.install --only {names} && find / -xdev -name pip.conf -o -name 'apt_*'"


def test_it_holds_what_the_pipeline_installs(c: Context) -> None:
    names = toolbox_image.programs(c, build.commit_of(c, LOCAL, dirty=True))
    assert {"trivy", "trufflehog", "safety", "helm", "crane", "docker-buildx"} <= set(names) <= set(pins.known())
    assert toolbox_image.repository("registry.example.com/team/slipway-service") == (
        "registry.example.com/team/slipway-toolbox"
    )


@pytest.fixture
def built(c: Context) -> Iterator[tuple[Engine, str, str]]:
    sha = build.commit_of(c, LOCAL, dirty=True)
    engine = target.engine(c, LOCAL)
    name = toolbox_image.build(c, engine, sha)
    yield engine, sha, name
    with image.client(engine) as docker:
        docker.images.remove(name, force=True)


@pytest.mark.lab
@pytest.mark.slow
def test_jobs_in_it_install_nothing_and_it_is_named_by_digest(c: Context, built: tuple[Engine, str, str]) -> None:
    engine, sha, name = built
    names = toolbox_image.programs(c, sha)
    with image.client(engine) as docker:
        words = ["sh", "-c", PROVE.format(names=",".join(names))]
        said = docker.containers.run(name, words, network_mode="none", remove=True).decode()
        assert said == f"{len(names)} programs are there, 0 of them installed now\n"
        history = str(docker.images.get(name).history())
    assert "pip.conf" not in history.replace("target=/etc/pip.conf", "")
    pushed = toolbox_image.push(engine, sha, target.of(c, LOCAL).repository)
    assert re.fullmatch(r"127\.0\.0\.1:5000/slipway-toolbox@sha256:[0-9a-f]{64}", pushed)
    assert pushed.endswith(registry.digest(c, f"{pushed.partition('@')[0]}:{sha}"))
