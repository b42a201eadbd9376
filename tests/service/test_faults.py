"""Fault switches: each does what it says, and a drill can always be watched and ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.service.harness import Server

Start = Callable[..., Server]
WATCHED = ("/health", "/ready", "/version", "/metrics")


def test_all_are_off_by_default(service: Server) -> None:
    began = time.monotonic()
    assert {service.get(path).status for path in (*WATCHED, "/", "/api/time?zone=UTC") for _ in range(5)} == {200}
    assert time.monotonic() - began < 5
    assert not [line for line in service.lines() if "fault" in line["message"]]


def test_unready(start: Start) -> None:
    server = start(SLIPWAY_FAULT_UNREADY="true")
    assert [server.get(path).status for path in (*WATCHED, "/")] == [200, 503, 200, 200, 200]
    assert server.wait_for_line("fault switches")["faults"] == ["unready"]


@pytest.mark.slow
def test_unhealthy(start: Start) -> None:
    server = start(SLIPWAY_FAULT_UNHEALTHY="1")
    assert [server.get(path).status for path in (*WATCHED, "/")] == [503, 200, 200, 200, 200]


@pytest.mark.slow
def test_errors_hit_only_what_users_ask_for(start: Start) -> None:
    server = start(SLIPWAY_FAULT_ERRORS="1")
    assert [server.get(path).status for path in WATCHED] == [200] * 4
    for path in ("/", "/api/time?zone=UTC"):
        answer = server.get(path)
        assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert 'endpoint="/api/time",method="GET",status="500"} 1.0' in server.get("/metrics").body.decode()


@pytest.mark.slow
def test_errors_are_a_share(start: Start) -> None:
    server = start(SLIPWAY_FAULT_ERRORS="0.5")
    failed = sum(server.get("/").status == 500 for _ in range(200))
    # 200 fair coins outside 60..140 happen once in ten million runs.
    assert 60 <= failed <= 140


@pytest.mark.slow
def test_latency(start: Start) -> None:
    server = start(SLIPWAY_FAULT_LATENCY_MS="300")
    began = time.monotonic()
    assert server.get("/api/time?zone=UTC").status == 200
    assert time.monotonic() - began >= 0.3
    for path in WATCHED:
        began = time.monotonic()
        server.get(path)
        assert time.monotonic() - began < 0.3
    text = server.get("/metrics").body.decode()
    assert 'app_request_latency_seconds_bucket{endpoint="/api/time",le="0.25"} 0.0' in text
