"""A collector that is down, silent or misnamed never slows or breaks a request, and never holds up a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service import collector as collectors
from tests.service.harness import Server, ask

Start = Callable[..., Server]
# Small and quick: queues overflow and every attempt runs into its deadline while requests are answered.
HASTE = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BSP_MAX_QUEUE_SIZE": "64",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "64",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "16",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
    "OTEL_TRACES_SAMPLER": "parentbased_always_on",
    "SLIPWAY_LAME_DUCK_SECONDS": "0",
}


@pytest.fixture(params=["refused", "blackhole", "unknown host"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "blackhole":
        address, end = collectors.blackhole()
        yield address
        end()
    else:
        yield collectors.refusing() if request.param == "refused" else "http://collector.invalid:4318"


def p99(server: Server) -> float:
    """Seconds, of 4 clients over kept connections."""

    def client(_: int) -> list[float]:
        connection, taken = server.connect(), []
        for _ in range(150):
            began = time.perf_counter()
            assert ask(connection, "/api/time?zone=UTC").status == 200
            taken.append(time.perf_counter() - began)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = sorted(seconds for one in pool.map(client, range(4)) for seconds in one)
    return taken[int(len(taken) * 0.99)]


@pytest.mark.slow
def test_requests_and_the_stop_do_not_notice(start: Start, endpoint: str) -> None:
    without, dead = start(**HASTE), start(**HASTE, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, SLIPWAY_GRACEFUL_SECONDS="10")
    # `./inv bench` compares closely, on a machine at rest. Here: whoever waits for a collector waits for 2 s.
    assert p99(dead) < p99(without) * 3 + 1
    dead.terminate()
    began = time.monotonic()
    assert dead.process.wait(15) == 0
    assert time.monotonic() - began < 8  # 2 s and a busy machine; killed it would be after 10
    assert "Traceback" not in (dead.folder / "log").read_text()


@pytest.mark.slow
def test_a_short_graceful_timeout_outranks_the_last_sending(start: Start) -> None:
    address, end = collectors.blackhole()
    try:
        server = start(**HASTE, OTEL_EXPORTER_OTLP_ENDPOINT=address, SLIPWAY_GRACEFUL_SECONDS="1")
        server.get("/")
        server.terminate()
        began = time.monotonic()
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < 2.5
    finally:
        end()


@pytest.mark.slow
def test_a_dead_collector_does_not_fill_the_log(start: Start) -> None:
    server = start(**HASTE, OTEL_EXPORTER_OTLP_ENDPOINT=collectors.refusing(), OTEL_EXPORTER_OTLP_TIMEOUT="0.3")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        server.get("/")
        time.sleep(0.05)
    told = [line for line in server.lines() if line["logger"].startswith("opentelemetry")]
    assert 1 <= len(told) <= 2 * 8  # per worker, each of their sentences once a minute


def test_what_the_sdk_cannot_read_is_told_and_requests_are_answered(start: Start) -> None:
    server = start(OTEL_EXPORTER_OTLP_ENDPOINT=collectors.refusing(), OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="some")
    assert server.get("/api/time?zone=UTC").status == 200
    assert server.wait_for_line("are not sent")["level"] == "ERROR"
