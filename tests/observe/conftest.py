"""A real Prometheus that scrapes the real service under traffic, and the cluster's series from a text of ours."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from invoke.context import Context

from tasks.lib.bench import alert_world
from tasks.lib.bench import service as starting
from tasks.lib.history import Action, Event
from tasks.lib.observe import delivery_text
from tasks.lib.observe.delivery import Known
from tasks.lib.record import REQUIRED_GATES, Record
from tasks.lib.settings import Environment, LabCluster
from tests.lib.signed import entry, made
from tests.service.harness import Server, ask, spawn, wait_until_up

SCRAPE_SECONDS = 1
PATIENCE_SECONDS = 90  # on a machine that is busy with other tests
SCRAPES = 6  # enough for a rate, and for a curve
OLD, NEW = "1" * 40, "4f2c9e1a" * 5
# What kube-state-metrics says of two pods; this file stands in for a cluster and never changes.
CLUSTER = """\
# TYPE kube_pod_container_status_restarts_total counter
kube_pod_container_status_restarts_total{namespace="slipway-local",pod="slipway-service-a",container="service"} 0
kube_pod_container_status_restarts_total{namespace="slipway-local",pod="slipway-service-b",container="service"} 2
"""


def environment() -> Environment:
    return Environment(name="local", cluster=LabCluster(kind="lab"))


def events(now: datetime) -> list[Event]:
    """Two days of delivery, newest first: one release that arrived, one that was taken back, one half a minute ago."""

    def event(seconds: float, action: Action, sha: str) -> Event:
        moment = now - timedelta(seconds=seconds)
        return Event(commit=f"{seconds}", time=moment, environment="local", action=action, release=sha, by="Ann")

    day = 86400.0
    oldest_first = [
        event(2 * day, Action.DEPLOY, OLD),
        event(2 * day - 60, Action.ARRIVED, OLD),
        event(day, Action.DEPLOY, "2" * 40),
        event(day - 100, Action.ROLLBACK, OLD),
        event(day - 130, Action.ARRIVED, OLD),
        event(4, Action.DEPLOY, NEW),
        event(3, Action.ARRIVED, NEW),
    ]
    return oldest_first[::-1]


def record() -> Record:
    """What the gates said of NEW: two findings of one gate."""
    counts = {"config": {"MEDIUM": 2}}
    return made(sha=NEW, gates=[entry(name, counts=counts.get(name, {})) for name in REQUIRED_GATES])


def known(now: datetime) -> Known:
    commits = {OLD: now - timedelta(days=2, hours=3), NEW: now - timedelta(hours=1)}
    return Known(environment(), events(now), commits, record(), now)


class _Exposition(BaseHTTPRequestHandler):
    def __init__(self, text: str, *words: object) -> None:
        self.text = text
        super().__init__(*words)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def exposed(text: str) -> Iterator[int]:
    """The port at which this text can be scraped."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Exposition, text))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextmanager
def prometheus(folder: Path, service: int, others: int) -> Iterator[str]:
    """The address of a Prometheus that scrapes these ports every second."""
    context = Context()
    context.config.run.in_stream = False
    (folder / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s}}
scrape_configs:
  - job_name: slipway-service
    static_configs: [{{targets: ["127.0.0.1:{service}"], labels: {{namespace: slipway-local}}}}]
  - job_name: still
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{others}"]}}]
"""
    )
    address = f"http://127.0.0.1:{starting.free_port()}"
    with alert_world.program(context, "prometheus", address, folder / "prometheus.yml"):
        yield address


@dataclass(frozen=True)
class Watched:
    """A Prometheus at this address that has seen the service under traffic."""

    address: str
    service: Server


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "service").mkdir()
    service = spawn(folder / "service", SLIPWAY_WORKERS="2", SLIPWAY_FAULT_ERRORS="0.05")
    try:
        service.wait_for_line("Booting worker", PATIENCE_SECONDS)
        wait_until_up(service, 2)
        now = datetime.now(timezone.utc)
        text = CLUSTER + delivery_text.text(known(now))
        with exposed(text) as others, prometheus(folder, service.port, others) as address:
            _traffic(service, address)
            yield Watched(address, service)
    finally:
        service.close()


def _traffic(service: Server, address: str) -> None:
    """Requests until Prometheus has seen enough of them."""
    connection = service.connect()
    query = {"query": f'count_over_time(up{{job="slipway-service"}}[5m]) >= {SCRAPES}'}
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        for _ in range(10):
            ask(connection, "/api/time?zone=UTC")
            ask(connection, "/version")
        if requests.get(f"{address}/api/v1/query", params=query, timeout=10).json()["data"]["result"]:
            return
        time.sleep(0.2)
    raise AssertionError("Prometheus scraped too little")
