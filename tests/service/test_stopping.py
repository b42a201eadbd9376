"""SIGTERM: readiness goes first, then new connections, and nothing that was asked is lost."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service.harness import SERVICE, Server, ask

Start = Callable[..., Server]


def refused(server: Server) -> bool:
    try:
        server.get("/health")
    except OSError:
        return True
    return False


@pytest.mark.slow
def test_readiness_is_false_while_requests_are_still_answered(start: Start) -> None:
    server = start(SLIPWAY_LAME_DUCK_SECONDS="2")
    assert server.get("/ready").status == 200
    server.terminate()
    began = time.monotonic()
    while server.get("/ready").status == 200:
        assert time.monotonic() - began < 1
    seen = [server.get("/ready").status for _ in range(8)]  # in every worker
    assert seen == [503] * 8
    assert server.get("/health").status == 200
    assert server.get("/api/time?zone=UTC").status == 200
    while not refused(server):
        assert time.monotonic() - began < 8
        time.sleep(0.05)
    assert time.monotonic() - began >= 1.5
    assert server.process.wait(10) == 0


@pytest.mark.slow
def test_without_a_lame_duck_time_new_connections_end_at_once(start: Start) -> None:
    server = start(SLIPWAY_LAME_DUCK_SECONDS="0")
    server.terminate()
    began = time.monotonic()
    while not refused(server):
        assert time.monotonic() - began < 1
    assert server.process.wait(10) == 0


@pytest.mark.slow
def test_a_second_signal_ends_the_lame_duck_time(start: Start) -> None:
    server = start(SLIPWAY_LAME_DUCK_SECONDS="60")
    server.terminate()
    time.sleep(0.3)
    assert server.process.poll() is None
    server.terminate()
    assert server.process.wait(10) == 0


@pytest.mark.slow
def test_what_is_in_flight_is_finished(start: Start) -> None:
    server = start(SLIPWAY_FAULT_LATENCY_MS="1500", SLIPWAY_LAME_DUCK_SECONDS="0", SLIPWAY_THREADS="8")
    with ThreadPoolExecutor(12) as pool:
        flying = [pool.submit(server.get, "/api/time?zone=UTC") for _ in range(12)]
        time.sleep(0.6)
        assert not any(answer.done() for answer in flying)
        server.terminate()
        assert [answer.result().status for answer in flying] == [200] * 12
    assert server.process.wait(10) == 0


@pytest.mark.slow
def test_what_takes_longer_than_the_grace_is_cut(start: Start) -> None:
    server = start(SLIPWAY_FAULT_LATENCY_MS="20000", SLIPWAY_LAME_DUCK_SECONDS="0", SLIPWAY_GRACEFUL_SECONDS="1")
    with ThreadPoolExecutor(1) as pool:
        flying = pool.submit(server.get, "/")
        time.sleep(0.5)
        server.terminate()
        assert server.process.wait(10) == 0
        with pytest.raises((OSError, http.client.HTTPException)):
            flying.result()


def keep_asking(server: Server) -> int:
    """Requests over one kept connection until the server says it closes; fails on any that is lost."""
    connection = server.connect()
    answered = 0
    while True:
        answer = ask(connection, "/api/time?zone=UTC")
        assert answer.status == 200
        answered += 1
        if answer.headers.get("connection") == "close":
            return answered
        time.sleep(0.05)


@pytest.mark.slow
def test_kept_connections_are_told_to_leave_and_lose_nothing(start: Start) -> None:
    server = start(SLIPWAY_LAME_DUCK_SECONDS="0.5")
    with ThreadPoolExecutor(10) as pool:
        clients = [pool.submit(keep_asking, server) for _ in range(10)]
        time.sleep(1)
        server.terminate()
        assert all(client.result(timeout=15) > 5 for client in clients)
    assert server.process.wait(10) == 0
    assert "Traceback" not in (server.folder / "log").read_text()


@pytest.mark.slow
def test_interrupt_stops_without_waiting(start: Start) -> None:
    server = start(SLIPWAY_LAME_DUCK_SECONDS="60")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0


IN_SUBMIT = """
import os, runpy, signal
from concurrent.futures import ThreadPoolExecutor
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

worker = ThreadWorker.__new__(ThreadWorker)
worker.cfg, worker.tpool = Config(), ThreadPoolExecutor(1)
signal.signal(signal.SIGQUIT, worker.handle_quit)
runpy.run_path("gunicorn.conf.py")["post_worker_init"](worker)
with worker.tpool._shutdown_lock:  # held while submit() starts a thread
    os.kill(os.getpid(), signal.SIGQUIT)
"""


def test_an_interrupt_does_not_wait_for_what_the_interrupted_code_holds(tmp_path: Path) -> None:
    line = [sys.executable, "-c", IN_SUBMIT]
    settings = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    assert subprocess.run(line, cwd=SERVICE, timeout=20, env=settings).returncode == 0


IN_BOOT = """
import os, runpy, signal, sys
asked = signal.Signals(int(sys.argv[1]))
signal.signal(asked, lambda *_: None)  # as the parent's, which only notes it for itself
runpy.run_path("gunicorn.conf.py")["post_fork"](None, None)
os.kill(os.getpid(), asked)
sys.exit("it boots on")
"""


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_worker_told_to_stop_while_it_boots_is_not_waited_for(tmp_path: Path, asked: signal.Signals) -> None:
    line = [sys.executable, "-c", IN_BOOT, str(int(asked))]
    settings = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    assert subprocess.run(line, cwd=SERVICE, timeout=20, env=settings).returncode == 0
