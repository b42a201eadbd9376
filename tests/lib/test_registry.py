"""A real registry (crane's own, on a free port): digests, tags, and the record that goes with an image."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import paths, publish, registry, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.target import Engine, Target
from tests.lib.conftest import World
from tests.lib.test_record import made

SHA = "a" * 40
NO_ENGINE = Engine(docker_host="unix:///nowhere.sock")


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
    return f"{host}/team/{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}"


def push(c: Context, reference: str, folder: Path) -> str:
    """A tiny image under this reference; its digest."""
    layer = folder / "layer.tar"
    (folder / "file").write_text(reference)
    with tarfile.open(layer, "w") as tar:
        tar.add(folder / "file", "file")
    words = [tools.path(c, "crane"), "append", "--oci-empty-base", "--new_layer", layer, "--new_tag", reference]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    return registry.digest(c, reference)


def test_a_digest_is_there_or_not(c: Context, repository: str, tmp_path: Path) -> None:
    assert registry.digest(c, f"{repository}:{SHA}") == ""
    assert registry.commits(c, repository) == []
    digest = push(c, f"{repository}:{SHA}", tmp_path)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    registry.tag(c, f"{repository}:{SHA}", "latest")
    assert registry.digest(c, f"{repository}:latest") == digest
    assert registry.commits(c, repository) == [SHA]


def test_a_registry_that_does_not_answer_is_not_an_empty_one(c: Context) -> None:
    with pytest.raises(Stop, match=r"ask the registry 127\.0\.0\.1:9 ") as caught:
        registry.digest(c, f"127.0.0.1:9/team/service:{SHA}")
    assert caught.value.code == Code.COULD_NOT_RUN


def test_the_record_goes_with_the_digest(c: Context, repository: str, tmp_path: Path) -> None:
    digest = push(c, f"{repository}:{SHA}", tmp_path)
    assert registry.get_record(c, repository, digest, tmp_path) == ""
    registry.put_record(c, repository, digest, "the record: ü\n", tmp_path)
    assert registry.get_record(c, repository, digest, tmp_path) == "the record: ü\n"
    assert registry.commits(c, repository) == [SHA]
    assert not list(tmp_path.glob("record*.tar"))


def target(world: World, repository: str) -> Target:
    return Target(**{**world.target().__dict__, "repository": repository})


def test_what_may_be_deployed_has_image_and_record(c: Context, world: World, repository: str) -> None:
    here = target(world, repository)
    assert publish.find(c, here, SHA) is None
    digest = push(c, f"{repository}:{SHA}", world.checkout)
    with pytest.raises(Stop, match="has no release record") as caught:
        publish.ready(c, here, NO_ENGINE, SHA)
    assert caught.value.code == Code.REFUSED

    registry.put_record(c, repository, digest, made().about(repository, digest).text(), world.checkout)
    release = publish.ready(c, here, NO_ENGINE, SHA)
    assert (release.revision, release.digest, release.tag) == (SHA, digest, SHA)
    assert release.image == f"{repository}:{SHA}@{digest}"


def test_a_record_of_another_image_is_refused(c: Context, world: World, repository: str) -> None:
    digest = push(c, f"{repository}:{SHA}", world.checkout)
    registry.put_record(c, repository, digest, made().text(), world.checkout)
    with pytest.raises(Stop, match=r"subject\.digest") as caught:
        publish.ready(c, target(world, repository), NO_ENGINE, SHA)
    assert caught.value.code == Code.REFUSED


def test_nothing_is_pushed_without_a_record_that_holds(c: Context, world: World, repository: str) -> None:
    here = target(world, repository)
    with pytest.raises(Stop, match="nothing was built of aaaaaaaaaaaa whose gates passed") as caught:
        publish.push(c, here, NO_ENGINE, SHA)
    assert (caught.value.code, caught.value.fix) == (Code.REFUSED, "./inv scan build")

    folder = paths.release(SHA)
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(made(gates=[]).text())
    with pytest.raises(Stop, match=r"predicate\.gates\.secrets: the gate is missing"):
        publish.push(c, here, NO_ENGINE, SHA)
    assert registry.digest(c, f"{repository}:{SHA}") == ""
