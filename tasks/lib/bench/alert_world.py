"""What an alert goes through: callers, Prometheus, Alertmanager, and a channel shaped like Slack's."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
def channel(address: str = LOOPBACK) -> Iterator[tuple[str, Messages]]:
    """An incoming webhook shaped like Slack's at this address of the machine, and what came when."""
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

    server = ThreadingHTTPServer((address, 0), Receiver)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://{address}:{server.server_address[1]}/hook", came
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
    """People who use the service. url: where they go from now on; failed: the moment of their first error, once."""

    url: str
    failed: queue.Queue[float] = field(default_factory=lambda: queue.Queue(maxsize=1))


@contextmanager
def calling(url: str) -> Iterator[Callers]:
    """People who use the service until the block ends, at the address that they have at that moment."""
    import requests

    there, ended = Callers(url), threading.Event()

    def call() -> None:
        while not ended.wait(1 / CALLS_PER_SECOND):
            with suppress(requests.RequestException, queue.Full):
                if requests.get(there.url + service.PATH, timeout=10).status_code >= 500:
                    there.failed.put_nowait(time.monotonic())

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        ended.set()
        thread.join(15)


def scraped(prometheus: str, seconds: float, labels: str = "") -> None:
    """Waits until two pods with these labels were scraped twice: before, there is no rate. Raises Stop (4)."""
    import requests
    from tenacity import RetryError, Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

    query = f'count(count_over_time(up{{job="slipway-service"{labels}}}[10m]) >= 2) >= 2'

    def unknown() -> bool:
        answer = requests.get(f"{prometheus}/api/v1/query", params={"query": query}, timeout=10)
        return not answer.json()["data"]["result"]

    again = retry_if_result(bool) | retry_if_exception_type(requests.RequestException)
    try:
        Retrying(retry=again, stop=stop_after_delay(seconds), wait=wait_fixed(0.5))(unknown)
    except RetryError:
        raise Stop("Prometheus did not scrape the service", Code.COULD_NOT_RUN) from None
