"""What an alert goes through: callers, Prometheus, Alertmanager, and a channel shaped like Slack's."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from invoke.context import Context

from tasks.lib import tools
from tasks.lib.bench import service
from tasks.lib.errors import Code, Stop
from tasks.lib.lab.layout import LOOPBACK

CALLS_PER_SECOND = 10
Messages = queue.Queue[tuple[float, dict[str, Any]]]
"""Messages with the moment that they came at, of time.monotonic."""


@contextmanager
def channel() -> Iterator[tuple[str, Messages]]:
    """An incoming webhook shaped like Slack's, and what came when."""
    came: Messages = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.put((time.monotonic(), json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}/hook", came
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def program(c: Context, name: str, url: str, config: Path) -> Iterator[None]:
    """Runs Prometheus or Alertmanager at this address until the block ends; its data and log are beside its file."""
    words = [f"--config.file={config}", f"--web.listen-address={urlsplit(url).netloc}"]
    own = {
        "alertmanager": ["--cluster.listen-address=", f"--storage.path={config.parent}/data"],
        "prometheus": [f"--storage.tsdb.path={config.parent}/data"],
    }
    log = config.parent / f"{name}.log"
    with log.open("wb") as out:
        argv = [str(tools.path(c, name)), *words, *own[name]]
        process = subprocess.Popen(argv, cwd=config.parent, stdout=out, stderr=subprocess.STDOUT)
    try:
        service.wait(process, name, f"{url}/-/ready", log)
        yield
    finally:
        process.kill()
        process.wait()


@dataclass
class Callers:
    """People who use the service. url: where they go from now on."""

    url: str


@contextmanager
def calling(url: str) -> Iterator[Callers]:
    """People who use the service until the block ends, at the address that they have at that moment."""
    import requests

    there, ended = Callers(url), threading.Event()

    def call() -> None:
        while not ended.wait(1 / CALLS_PER_SECOND):
            with suppress(requests.RequestException):
                requests.get(there.url + service.PATH, timeout=10)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        ended.set()
        thread.join(15)


def scraped(prometheus: str, seconds: float) -> None:
    """Waits until both pods were scraped twice: before that there is no rate."""
    import requests

    query = {"query": 'count(count_over_time(up{job="slipway-service"}[10m]) >= 2) == 2'}
    end = time.monotonic() + seconds
    while not requests.get(f"{prometheus}/api/v1/query", params=query, timeout=10).json()["data"]["result"]:
        if time.monotonic() > end:
            raise Stop("Prometheus did not scrape the service", Code.COULD_NOT_RUN)
        time.sleep(0.5)
