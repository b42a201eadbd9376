"""A real gunicorn with the real service, on a free port, for one test."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVICE = Path(__file__).resolve().parents[2] / "service"


@dataclass
class Answer:
    """One response. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running instance. folder: holds its log and its metrics."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int = 0
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    @property
    def metrics_folder(self) -> Path:
        return self.folder / "metrics"

    def connect(self, timeout: float = 15) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        self.connections.append(connection)
        return connection

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, path, headers, method)
        finally:
            connection.close()

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; raises when a line is not JSON."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def wait_for_line(self, text: str, seconds: float = 15) -> dict[str, Any]:
        """The first log line whose message matches `text`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in (self.folder / "log").read_text().splitlines():
                if re.search(text, line):
                    return json.loads(line)  # type: ignore[no-any-return]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no line {text!r} in:\n" + (self.folder / "log").read_text())

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Ends the instance and its workers at once; how it stops by itself is what tests look at."""
        for connection in self.connections:
            connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)


def ask(
    connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """One request on `connection`, which stays open if the server lets it."""
    connection.request(method, path, headers=dict(headers or {}))
    response = connection.getresponse()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def spawn(folder: Path, **variables: str) -> Server:
    """Starts an instance without waiting for it. variables: its SLIPWAY_* and other environment."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env |= {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", "127.0.0.1:0"],
            cwd=SERVICE,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(folder, process)


def wait_until_up(server: Server, workers: int) -> None:
    """Returns once all workers are there and an answer came."""
    line = server.wait_for_line("Listening at: ", 60)
    server.port = int(str(line["message"]).rsplit(":", 1)[1].split()[0])
    end = time.monotonic() + 60
    while (server.folder / "log").read_text().count("Booting worker") < workers:
        assert time.monotonic() < end, "workers did not boot"
        time.sleep(0.02)
    server.get("/health")
