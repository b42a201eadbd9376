"""A Docker engine that is not there, or goes away in the middle, is a sentence and never a traceback."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.lib import image
from tasks.lib.errors import Code, Stop
from tasks.lib.target import Engine

BODY = b'{"ApiVersion": "1.41"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
HALF = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n{"status":"Waiting"}\n\r\n'  # its end never comes


def answer(connection: socket.socket) -> None:
    with connection:
        while asked := connection.recv(65536):
            if re.match(rb"GET \S*/(version|_ping) ", asked):
                connection.sendall(ANSWER)
            elif b"/push?" in asked:
                connection.sendall(HALF)
                return
            else:
                return


@pytest.fixture
def dying_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Answers the questions of a greeting, hangs up in the middle of a push, and on anything else at once."""
    monkeypatch.setattr(image, "API_SECONDS", 5)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield Engine(docker_host=f"unix://{path}")
        server.shutdown(socket.SHUT_RDWR)


def test_no_engine(tmp_path: Path) -> None:
    with (
        pytest.raises(Stop, match="reach the Docker engine at unix://") as caught,
        image.client(Engine(docker_host=f"unix://{tmp_path}/none.sock")),
    ):
        pass
    assert caught.value.code == Code.COULD_NOT_RUN


def test_an_engine_that_hangs_up(dying_engine: Engine) -> None:
    with pytest.raises(Stop, match="broke off") as caught, image.client(dying_engine) as docker:
        docker.images.get("anything")
    assert caught.value.code == Code.COULD_NOT_RUN


def test_an_engine_that_dies_while_it_tells_of_a_push(dying_engine: Engine) -> None:
    with pytest.raises(Stop, match="broke off") as caught, image.client(dying_engine) as docker:
        list(docker.images.push("registry.test/slipway", tag="latest", stream=True, decode=True))
    assert caught.value.code == Code.COULD_NOT_RUN
