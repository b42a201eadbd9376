"""The service on this machine's loopback, with as many workers as asked, and hey in front of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from invoke.context import Context

from tasks.lib import paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.lab.layout import LOOPBACK
from tasks.lib.runner import run

FOLDER = paths.ROOT / "service"
PATH = "/api/time?zone=Europe/Berlin"
CLIENTS = 8
START_SECONDS = 30
STOP_SECONDS = 30


@dataclass(frozen=True)
class Served:
    """A running instance. url: without a path. metrics: the folder of its workers' numbers. pid: its master's."""

    url: str
    metrics: Path
    pid: int


@contextmanager
def serve(config: Path | str = "gunicorn.conf.py", **variables: str) -> Iterator[Served]:
    """Runs the service of the working tree; Stop (4) when it does not start. variables: on top of PATH and HOME."""
    with tempfile.TemporaryDirectory(prefix="slipway-service-") as place:
        folder, port = Path(place), free_port()
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env |= {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"), "SLIPWAY_LAME_DUCK_SECONDS": "0", **variables}
        argv = [sys.executable, "-m", "gunicorn", "--config", str(config), "--bind", f"{LOOPBACK}:{port}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=FOLDER, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait(process, "the service", f"http://{LOOPBACK}:{port}/ready", folder / "log")
            yield Served(f"http://{LOOPBACK}:{port}", folder / "metrics", process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait(process: subprocess.Popen[bytes], name: str, ready: str, log: Path) -> None:
    """Waits until a server answers this address well. Raises Stop (4) when it ends before or does not in time."""
    import requests
    from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

    def ask() -> None:
        if process.poll() is not None:
            raise Stop(f"{name} did not start: {log.read_text()[-300:]}", Code.COULD_NOT_RUN)
        requests.get(ready, timeout=2).raise_for_status()

    waiting = Retrying(
        stop=stop_after_delay(START_SECONDS),
        wait=wait_fixed(0.1),
        retry=retry_if_exception_type(requests.RequestException),
    )
    try:
        waiting(ask)
    except RetryError as error:
        raise Stop(f"{name} did not answer in time", Code.COULD_NOT_RUN) from error


@dataclass(frozen=True)
class Speed:
    """What hey measured, and what the workers used. p99: seconds; cpu: seconds per request."""

    per_second: float
    p99: float
    cpu: float


def _workers(served: Served) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()]


@contextmanager
def resting(served: Served) -> Iterator[None]:
    """Its workers stand still while the block runs: what they have yet to send is paid in rounds of their own."""
    workers = _workers(served)
    try:
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        yield
    finally:
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


def cpu_seconds(served: Served) -> float:
    """What its workers have used until now. Raises Stop (4) when one of them ends meanwhile."""
    try:
        threads = [thread for worker in _workers(served) for thread in Path(f"/proc/{worker}/task").iterdir()]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except OSError as error:
        raise Stop(f"the processor time of the workers cannot be read: {error}", Code.COULD_NOT_RUN) from error


def load(c: Context, served: Served, seconds: int) -> Speed:
    """As many requests as CLIENTS kept connections can make. Raises Stop (4) when one fails or nothing was measured."""
    argv = [tools.path(c, "hey"), "-z", f"{seconds}s", "-c", str(CLIENTS), served.url + PATH]
    before = cpu_seconds(served)
    report = run(c, argv, step="hey", timeout=seconds + 60, quiet=True).stdout
    used = cpu_seconds(served) - before
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", report), re.search(r"99%+ in ([\d.]+) secs", report)
    other = [code for code in re.findall(r"^\s*\[(\d+)\]\t", report, flags=re.MULTILINE) if code != "200"]
    answered = re.search(r"^\s*\[200\]\t(\d+) responses", report, flags=re.MULTILINE)
    if not rate or not p99 or not answered or other:
        raise Stop(f"the load measured nothing usable: {' '.join(report.split())[-200:]}", Code.COULD_NOT_RUN)
    return Speed(float(rate[1]), float(p99[1]), used / int(answered[1]))


@contextmanager
def sink() -> Iterator[tuple[str, Callable[[], int]]]:
    """An OTLP endpoint that takes everything and keeps nothing, and how many bytes it took."""
    taken = [0]

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            taken[0] += len(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}", lambda: taken[0]
    finally:
        server.shutdown()
        server.server_close()
