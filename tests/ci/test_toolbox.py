"""The image that pipeline jobs run in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import build, image, registry, settings, target, toolbox_image, tools
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


def test_a_program_of_the_path_is_taken_along_and_not_built_again(
    c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "of-the-path"
    there.write_text("program")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tools, "paths", lambda _, names: dict.fromkeys(names, there))
    toolbox_image._copy_programs(c, ["shellcheck", "terraform"], tmp_path)
    assert (tmp_path / "bin/terraform").read_text() == "program"
    assert [path.name for folder in ("bin", "cache") for path in (tmp_path / folder).iterdir()] == ["terraform"]


@pytest.fixture
def built(c: Context) -> Iterator[tuple[Engine, str, str]]:
    sha = build.commit_of(c, LOCAL, dirty=True)
    engine = target.engine(c, LOCAL)
    name = toolbox_image.build(c, engine, sha)
    yield engine, sha, name
    with image.client(engine) as docker:
        docker.images.remove(name, force=True)


@pytest.mark.lab
@pytest.mark.beside
@pytest.mark.slow
@pytest.mark.timeout(2400)  # seconds; Terraform is built first where the machine has none
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
