"""A real registry (crane's own, on a free port): digests and tags."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import registry, tools
from tasks.lib.errors import Code, Stop
from tests.lib.signed import SHA, name_of, push_image


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = Context()
    context.config.run.in_stream = False
    crane = tools.path(context, "crane")
    log = tmp_path_factory.mktemp("registry") / "log"
    with (
        log.open("w") as out,
        subprocess.Popen([crane, "registry", "serve", "--address=127.0.0.1:0"], stderr=out) as it,
    ):
        try:
            yield f"127.0.0.1:{_port(log)}"
        finally:
            it.terminate()


def _port(log: Path) -> str:
    import time

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := re.search(r"serving on port (\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
def repository(host: str, request: pytest.FixtureRequest) -> str:
    return f"{host}/team/{name_of(request.node.name)}"


def test_a_digest_is_there_or_not(c: Context, repository: str, tmp_path: Path) -> None:
    assert registry.digest(c, f"{repository}:{SHA}") == ""
    assert registry.commits(c, repository) == []
    digest = push_image(c, f"{repository}:{SHA}", tmp_path)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    registry.tag(c, f"{repository}:{SHA}", "latest")
    assert registry.digest(c, f"{repository}:latest") == digest
    assert registry.commits(c, repository) == [SHA]


def test_a_registry_that_does_not_answer_is_not_an_empty_one(c: Context) -> None:
    with pytest.raises(Stop, match=r"ask the registry 127\.0\.0\.1:9 ") as caught:
        registry.digest(c, f"127.0.0.1:9/team/service:{SHA}")
    assert caught.value.code == Code.COULD_NOT_RUN
