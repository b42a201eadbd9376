"""Exemplars: the trace of the last request in a latency bucket, whichever of the workers answered it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import parser as classic
from prometheus_client.openmetrics import parser
from prometheus_client.samples import Sample

from service.slipway_service.exemplars import Exemplars
from tests.service import collector as collectors
from tests.service.collector import Collector
from tests.service.harness import Server

Start = Callable[..., Server]
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
BOUNDS = (0.1, 1.0, float("inf"))


@pytest.fixture
def collector() -> Iterator[Collector]:
    running, end = collectors.serve()
    yield running
    end()


def buckets(server: Server) -> list[Sample]:
    families = parser.text_string_to_metric_families(server.get("/metrics", OPENMETRICS).body.decode())
    (latency,) = (family for family in families if family.name == "app_request_latency_seconds")
    return [s for s in latency.samples if s.name.endswith("_bucket") and s.labels["endpoint"] == "/api/time"]


@pytest.mark.slow
def test_with_four_workers_every_exemplar_is_a_trace_that_was_sent(start: Start, collector: Collector) -> None:
    server = start(
        SLIPWAY_WORKERS="4",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_TRACES_SAMPLER="parentbased_always_on",
    )
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: server.get("/api/time?zone=UTC"), range(200)))
    sent = collector.wait(
        lambda: collector.spans if len([s for _, s in collector.spans if s.name == "GET /api/time"]) == 200 else None
    )
    assert len({resource["service.instance.id"] for resource, _ in sent}) > 1, "one worker alone shows nothing"
    known = {span.trace_id.hex(): (span.span_id.hex(), span) for _, span in sent}
    below = 0.0
    held = 0
    for sample in buckets(server):
        bound = float(sample.labels["le"])
        if sample.exemplar:
            held += 1
            span_id, span = known[sample.exemplar.labels["trace_id"]]
            assert sample.exemplar.labels["span_id"] == span_id
            assert below < sample.exemplar.value <= bound
            assert abs(float(sample.exemplar.timestamp) - span.end_time_unix_nano / 1e9) < 1
        below = bound
    assert held
    # Whichever worker answers a scrape, it tells the same.
    assert len({str([s.exemplar for s in buckets(server)]) for _ in range(12)}) == 1


@pytest.mark.slow
def test_a_bucket_has_one_exactly_when_a_traced_request_fell_into_it(start: Start, collector: Collector) -> None:
    server = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, SLIPWAY_FAULT_LATENCY_MS="300")
    assert not [s for s in buckets(server) if s.exemplar]
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    server.get("/api/time?zone=UTC", {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    (sample,) = [s for s in buckets(server) if s.exemplar]
    assert (sample.labels["le"], sample.exemplar.labels["trace_id"]) == ("0.5", trace)
    assert 0.3 <= sample.exemplar.value <= 0.5


def test_the_classic_text_has_none_and_still_parses(start: Start, collector: Collector) -> None:
    server = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    server.get("/api/time?zone=UTC")
    text = server.get("/metrics").body.decode()
    assert "trace_id" not in text
    assert list(classic.text_string_to_metric_families(text))


def test_without_a_collector_there_are_no_traces_to_point_to(service: Server) -> None:
    service.get("/api/time?zone=UTC", {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    assert not [s for s in buckets(service) if s.exemplar]


def test_values_fall_into_their_buckets() -> None:
    held = Exemplars(["/", "/b"], BOUNDS)
    for number, value in enumerate((0.1, 0.100001, 99.0), start=1):
        held.put("/b", value, number, number)
    assert [held.get("/", bound) for bound in BOUNDS] == [None] * 3
    found = [held.get("/b", bound) for bound in BOUNDS]
    assert [e.value for e in found if e] == [0.1, 0.100001, 99.0]
    assert [int(e.labels["trace_id"], 16) for e in found if e] == [1, 2, 3]
    held.put("unknown", 1, 1, 1)
    assert held.get("unknown", 1.0) is None


def _write(held: Exemplars, number: int) -> None:
    for _ in range(20_000):
        held.put("/", float(number), number, number)


def test_what_two_workers_wrote_at_once_is_never_shown_mixed() -> None:
    held = Exemplars(["/"], BOUNDS)
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write, args=(held, 2**number)) for number in range(1, 5)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        one = held.get("/", float("inf"))
        if one:
            seen += 1
            assert int(one.labels["trace_id"], 16) == int(one.labels["span_id"], 16) == one.value
    assert seen


def test_a_place_with_a_wrong_checksum_is_left_out() -> None:
    held = Exemplars(["/"], BOUNDS)
    held.put("/", 0.5, 7, 7)
    assert held.get("/", 1.0)
    held._memory[50] ^= 1
    assert held.get("/", 1.0) is None
