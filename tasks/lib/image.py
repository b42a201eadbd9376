"""The image of a commit: built from the commit alone, saved as an archive that scanners and other jobs read, pushed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from invoke.context import Context

from tasks.lib import base_image, git, paths, registry, terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.runner import run
from tasks.lib.settings import SERVICE
from tasks.lib.target import Engine

if TYPE_CHECKING:
    from docker import DockerClient

BUILD_SECONDS = 900.0
API_SECONDS = 300
CONTEXT = "service"
LOCAL_NAME = f"slipway.local/{SERVICE}"
PIP_FILES = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")
CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclass(frozen=True)
class Built:
    """An image in the engine: its name there, its configuration digest, the base it stands on."""

    reference: str
    image_id: str
    base: str
    base_id: str
    requirements_sha256: str


@contextmanager
def client(engine: Engine) -> Iterator[DockerClient]:
    """The Docker SDK on the engine. Raises Stop (4) when no engine answers."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError  # what a stream raises that ends too early

    opened: DockerClient | None = None
    try:
        host = engine.docker_host
        opened = docker.DockerClient(host, timeout=API_SECONDS) if host else docker.from_env(timeout=API_SECONDS)
        opened.ping()
        opened.api.reload_config(str(registry.docker_config() / "config.json"))
    except (DockerException, RequestException) as error:
        raise Stop(
            f"reach the Docker engine at {engine.docker_host or 'its default socket'}: {str(error)[:200]}",
            Code.COULD_NOT_RUN,
            "./inv lab.up, or set DOCKER_HOST",
        ) from error
    try:
        yield opened
    except (DockerException, RequestException, HTTPError) as error:
        raise Stop(
            f"the Docker engine at {engine.docker_host or 'its default socket'} broke off: {str(error)[:200]}",
            Code.COULD_NOT_RUN,
            "./inv doctor",
        ) from error
    finally:
        opened.close()


def reference(sha: str) -> str:
    """The image's name inside the engine before it belongs to any registry."""
    return f"{LOCAL_NAME}:{sha}"


def archive(sha: str) -> Path:
    """The `docker save` archive of a commit's image."""
    return paths.release(sha) / "image.tar"


def _first(candidates: tuple[str, ...]) -> Path | None:
    return next((path for path in (Path(name).expanduser() for name in candidates) if path.is_file()), None)


def package_index() -> dict[str, Path]:
    """How this machine reaches its package index, for the build only: no layer and no history keeps it."""
    named = {"pip_conf": _first(PIP_FILES), "ca_bundle": _first(CA_FILES)}
    return {name: path for name, path in named.items() if path}


def buildx(
    c: Context,
    engine: Engine,
    tree: Path,
    name: str,
    arguments: Mapping[str, str],
    epoch: int,
    secrets: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Builds the folder's Dockerfile into the engine under a name; build arguments without a value are left out.

    epoch: seconds since 1970, the time of the image's files. secrets: files that only the build sees, by id.
    Raises Stop (4).
    """
    argv: list[str | Path] = [tools.path(c, "docker-buildx"), "build", "--progress=plain", "--network=host"]
    argv += ["--provenance=false", "--load", f"--tag={name}"]
    argv += [f"--secret=id={id_},src={path}" for id_, path in {**package_index(), **secrets}.items()]
    argv += [f"--build-arg={key}={value}" for key, value in arguments.items() if value]
    # A machine's settings for another engine must not apply to this one.
    host = {"DOCKER_HOST": engine.docker_host, "DOCKER_TLS_VERIFY": ""} if engine.docker_host else {}
    env = {**host, "DOCKER_CONFIG": str(registry.docker_config()), "SOURCE_DATE_EPOCH": str(epoch)}
    run(c, [*argv, tree], step="build the image", timeout=BUILD_SECONDS, env=env, fix="./inv doctor")


def build(c: Context, engine: Engine, sha: str) -> Built:
    """Builds the image of a commit and saves its archive. Raises Stop (4) when it cannot be built."""
    commit = git.commit(c, sha)
    created = commit.time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    arguments = {"REVISION": sha, "CREATED": created, "SOURCE_DATE_EPOCH": str(commit.epoch)}
    arguments |= {"BUILDER_IMAGE": engine.builder_image, "SOURCE": engine.source}
    with tempfile.TemporaryDirectory(prefix="slipway-build-") as folder, terminal.step(f"Build image {sha[:12]}"):
        tree = git.unpack(c, sha, Path(folder) / "context", subfolder=CONTEXT)
        base = base_image.pinned(c, engine.base_image, tree / "Dockerfile")
        buildx(c, engine, tree, reference(sha), {**arguments, "BASE_IMAGE": base}, commit.epoch)
        lock = hashlib.sha256((tree / "requirements.txt").read_bytes()).hexdigest()
    with client(engine) as docker, terminal.step("Save image archive"):
        image = docker.images.get(reference(sha))
        _save(image, archive(sha))
        base_id = str(docker.images.get(engine.base_image).id) if engine.base_image else ""
    return Built(reference(sha), str(image.id), base or "the Dockerfile's default", base_id, lock)


def _save(image: object, dest: Path) -> None:
    """Writes the archive under its final name only when it is whole."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    half = dest.with_suffix(".tar.part")
    with half.open("wb") as handle:
        for chunk in image.save(named=True):  # type: ignore[attr-defined]
            handle.write(chunk)
    half.replace(dest)


def ensure_loaded(engine: Engine, sha: str, image_id: str) -> None:
    """Loads the saved archive into the engine when it does not have the image (another job built it).

    Raises Stop (5) when the archive's image is not the one that the gates saw.
    """
    from docker.errors import ImageNotFound

    with client(engine) as docker:
        try:
            found = str(docker.images.get(reference(sha)).id)
        except ImageNotFound:
            if not archive(sha).exists():
                raise Stop(f"there is no built image of {sha[:12]}", Code.REFUSED, "./inv scan build") from None
            with archive(sha).open("rb") as handle:
                docker.images.load(handle)
            found = str(docker.images.get(reference(sha)).id)
    if found != image_id:
        raise Stop(
            f"the image of {sha[:12]} ({found[7:19]}) is not the one that was scanned ({image_id[7:19]})",
            Code.REFUSED,
            "./inv scan build",
        )


def push(engine: Engine, sha: str, repository: str, there: bool = False) -> str:
    """Pushes `<sha>` and `latest`; returns the digest that `<sha>` got. Raises Stop (4) when that fails.

    there: the registry has this image under `<sha>` already, and only `latest` is moved; then ''.
    """
    digest = push_as(engine, reference(sha), repository, ("latest",) if there else (sha, "latest"))
    return "" if there else digest


def push_as(engine: Engine, name: str, repository: str, tags: Sequence[str]) -> str:
    """Pushes an image of the engine under tags; returns the digest that the first of them got. Raises Stop (4)."""
    from docker.errors import APIError

    own = registry.own_login(repository)
    login = {"auth_config": {"username": own.user, "password": own.password}} if own else {}
    with client(engine) as docker:
        image = docker.images.get(name)
        digest = ""
        for tag in tags:
            with terminal.step(f"Push {repository}:{tag[:12]}"):
                image.tag(repository, tag=tag)
                try:
                    lines = list(docker.images.push(repository, tag=tag, stream=True, decode=True, **login))
                except APIError as error:
                    raise Stop(f"push {repository}: {error.explanation}", Code.COULD_NOT_RUN, "./inv doctor") from error
            wrong = next((line["error"] for line in lines if "error" in line), "")
            if wrong:
                step = f"push {repository}:{tag[:12]}"
                raise registry.refusal(step, repository, wrong) or Stop(
                    f"{step}: {wrong}", Code.COULD_NOT_RUN, "docker login, or ./inv doctor"
                )
            # The first tag's: another release that is pushed now may have the engine's `latest`.
            digest = digest or next((line["aux"]["Digest"] for line in lines if "aux" in line), "")
    return digest
