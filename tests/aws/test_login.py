"""A login of ECR on its way to a registry: moto gives it, a real registry on loopback demands it, no file holds it.

moto has no data plane: it answers ECR's API and takes no image. So the image goes to Debian's registry, which is told
the password that moto gives and refuses everybody else.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from invoke.context import Context

from tasks.lib import image, paths, publish, registry, tools
from tasks.lib import target as targets
from tasks.lib.aws import ecr
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra
from tasks.lib.settings import EksCluster, Environment, GitRemote, Registry
from tasks.lib.target import Engine, Target
from tests.aws.counterparts import ACCOUNT, OTHER
from tests.lib.signed import SHA

PASSWORD = f"{ACCOUNT}-auth-token"  # what moto gives
HASHED = "$2a$05$abcdefghijklmnopqrstuu/4ofrUS75HrKu6f.iuRo0I/XlrmpqlC"  # the same, as the registry wants it (bcrypt)
CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}
auth: {{htpasswd: {{realm: ecr, path: {folder}/users}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def host(c: Context, tmp_path: Path) -> Iterator[str]:
    """A registry that takes ECR's user and moto's password, and nobody without."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "users").write_text(f"AWS:{HASHED}\n")
    (tmp_path / "registry.yml").write_text(CONFIG.format(folder=tmp_path, port=port))
    words = [tools.path(c, "docker-registry"), "serve", tmp_path / "registry.yml"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log) as it:
        try:
            _wait(f"http://127.0.0.1:{port}/v2/")
            yield f"127.0.0.1:{port}"
        finally:
            it.terminate()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert requests.get(url, timeout=5).status_code == 401
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(url)


@pytest.fixture
def here(c: Context, infra: Infra, host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Target:
    """A target whose registry is logged in to through AWS; its repository is there as far as moto is concerned."""
    monkeypatch.setattr(paths, "ROOT", tmp_path / "checkout")
    env = Environment(
        name="staging",
        cluster=EksCluster(kind="eks", name="main"),
        registry=Registry(kind="ecr", repository=f"{host}/team/service"),
        git=GitRemote(url="https://git.example.com/s.git"),
        infra=infra,
    )
    return targets.of(c, env)


def push(c: Context, reference: str, folder: Path) -> None:
    """A tiny image, pushed by crane with the login that tasks give it."""
    (folder / "file").write_text("x")
    subprocess.run(["tar", "-C", folder, "-cf", folder / "layer.tar", "file"], check=True)
    words = [tools.path(c, "crane"), "append", "--oci-empty-base", "--new_layer", folder / "layer.tar"]
    env = {**os.environ, **registry.login(reference)}
    subprocess.run([*words, "--new_tag", reference], check=True, capture_output=True, timeout=60, env=env)


@pytest.mark.slow
def test_made_logged_in_pushed_and_described(c: Context, here: Target, tmp_path: Path) -> None:
    where = ecr.Place(here.env.infra, here.repository)
    with pytest.raises(Stop, match="has no repository team/service"):
        publish._is_there(c, here, SHA, "sha256:x")
    ecr.ensure(where)
    name = f"{here.repository}:{SHA}"
    assert not publish._is_there(c, here, SHA, "sha256:x")
    push(c, name, tmp_path)
    digest = registry.digest(c, name)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    assert registry.commits(c, here.repository) == [SHA]
    assert publish.named(c, here, SHA).digest == digest


def test_without_the_login_the_registry_refuses(
    c: Context, here: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(registry, "_makers", {})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    with pytest.raises(Stop, match=r"UNAUTHORIZED|401"):
        registry.digest(c, f"{here.repository}:{SHA}")


@pytest.mark.slow
def test_a_commits_tag_is_pushed_once(c: Context, here: Target, tmp_path: Path) -> None:
    ecr.ensure(ecr.Place(here.env.infra, here.repository))
    name = f"{here.repository}:{SHA}"
    push(c, name, tmp_path)
    crane = [tools.path(c, "crane"), "manifest", name]
    env = {**os.environ, **registry.login(name)}
    manifest = json.loads(subprocess.run(crane, check=True, capture_output=True, env=env, timeout=60).stdout)
    assert publish._is_there(c, here, SHA, manifest["config"]["digest"])
    with pytest.raises(Stop, match="another image of a") as caught:
        publish._is_there(c, here, SHA, "sha256:" + "9" * 64)
    assert caught.value.code == Code.REFUSED


def test_another_account_pushes_and_asks_nothing(c: Context, here: Target) -> None:
    wrong = here.env.infra.model_copy(update={"account": OTHER})
    targets.of(c, here.env.model_copy(update={"infra": wrong}))
    with pytest.raises(Stop, match=f"names {OTHER}"):
        registry.digest(c, f"{here.repository}:{SHA}")


@pytest.mark.slow
def test_no_file_and_no_argument_has_the_password(c: Context, here: Target, tmp_path: Path) -> None:
    ecr.ensure(ecr.Place(here.env.infra, here.repository))
    push(c, f"{here.repository}:{SHA}", tmp_path)
    files = [file for folder in (tmp_path, registry.HELPER) for file in folder.rglob("*") if file.is_file()]
    encoded = base64.b64encode(f"AWS:{PASSWORD}".encode())
    assert not [file for file in files if PASSWORD.encode() in file.read_bytes() or encoded in file.read_bytes()]
    assert PASSWORD not in str(registry.own_login(here.repository))


@pytest.mark.parametrize(
    ("words", "asked", "found"),
    [
        (["get"], "one.example.com", True),
        (["get"], "https://one.example.com", True),
        (["get"], "one.example.com.evil.test", False),
        (["get"], "two.example.com", False),
        (["list"], "one.example.com", False),
        ([], "one.example.com", False),
    ],
)
def test_the_helper_answers_for_its_host_alone(words: list[str], asked: str, found: bool) -> None:
    own = registry.Login("one.example.com", "AWS", "secret")
    env = {
        "PATH": os.environ["PATH"],
        "SLIPWAY_LOGIN_HOST": own.host,
        "SLIPWAY_LOGIN_USER": own.user,
        "SLIPWAY_LOGIN_PASSWORD": own.password,
    }
    program = registry.HELPER / "docker-credential-slipway"
    said = subprocess.run([program, *words], input=asked + "\n", capture_output=True, text=True, env=env, timeout=10)
    assert (said.returncode == 0) == found
    assert ("secret" in said.stdout + said.stderr) == found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "denied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ecr:InitiateLayerUpload "
            "on resource: arn:aws:ecr:eu-central-1:123456789012:repository/team/service",
            "no permission for ecr:InitiateLayerUpload by arn:aws:iam::123456789012:user/ann",
        ),
        ("denied: Your authorization token has expired. Reauthenticate and try again.", "credentials are expired"),
        (
            "tag invalid: The image tag 'a' already exists in the 'team/service' repository and cannot be overwritten "
            "because the tag is immutable.",
            "tags do not change there",
        ),
        (
            "name unknown: The repository with name 'team/service' does not exist in the registry with id '1'",
            "AWS does not have it: team/service",
        ),
    ],
)
def test_what_ecr_says_to_a_push_is_told_in_words(here: Target, said: str, told: str) -> None:
    stop = registry.refusal("push", here.repository, said)
    assert stop
    assert told in stop.sentence
    assert registry.refusal("push", "other.example.com/team/service", said) is None


def _engine(server: socket.socket, logins: list[dict[str, str]]) -> None:
    """As much of a Docker engine as a push asks for; notes the login that comes with it."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, logins), daemon=True).start()


def _answer(connection: socket.socket, logins: list[dict[str, str]]) -> None:
    with connection, connection.makefile("rb") as asked:
        while line := asked.readline():
            rows = (row.decode().strip().split(": ", 1) for row in iter(asked.readline, b"\r\n"))
            headers = {key.lower(): value for key, value in rows}
            asked.read(int(headers.get("content-length", 0)))
            body = b'{"ApiVersion": "1.43", "Id": "sha256:1"}'
            if b"/push?" in line:
                logins.append(json.loads(base64.urlsafe_b64decode(headers["x-registry-auth"])))
                digest = b"of-another-push" if b"tag=latest" in line else b"sha256:2"
                body = b'{"aux": {"Tag": "x", "Digest": "%s"}}' % digest
            status = 201 if b"/tag?" in line else 200
            head = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % (status, len(body)) + body)


@pytest.mark.slow
def test_the_docker_sdk_is_given_the_login_with_each_push(
    here: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "API_SECONDS", 20)
    seen: list[dict[str, str]] = []
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_engine, args=(server, seen), daemon=True).start()
        engine = Engine(docker_host=f"unix://{path}")
        assert image.push(engine, SHA, here.repository) == "sha256:2"
        assert len(seen) == 2
        assert image.push(engine, SHA, here.repository, there=True) == ""
        server.shutdown(socket.SHUT_RDWR)
    assert [(one["username"], one["password"]) for one in seen] == [("AWS", PASSWORD)] * 3


@pytest.mark.lab
@pytest.mark.slow
def test_a_real_engine_pushes_with_it(c: Context, here: Target) -> None:
    from tasks.lib import lab

    up = lab.up(c)
    engine = Engine(docker_host=up.docker_host)
    with image.client(engine) as docker:
        docker.images.get(up.base_image).tag(image.LOCAL_NAME, tag=SHA)
    try:
        digest = image.push(engine, SHA, here.repository)
        assert registry.digest(c, f"{here.repository}:{SHA}") == digest
        registry.made_by(here.repository, lambda: replace(ecr.login(_place(here)), password="wrong"))
        with pytest.raises(Stop, match="push"):
            image.push(engine, SHA, here.repository)
    finally:
        with image.client(engine) as docker:
            for name in (image.reference(SHA), f"{here.repository}:{SHA}", f"{here.repository}:latest"):
                docker.images.remove(name, force=True)


def _place(here: Target) -> ecr.Place:
    return ecr.Place(here.env.infra, here.repository)
