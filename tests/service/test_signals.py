"""Traces, metrics and logs reach a collector with the right names, belong together, and cost nothing when off."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.service import collector as collectors
from tests.service.collector import Collector, plain
from tests.service.conftest import instances
from tests.service.harness import SERVICE, Server, ask

Start = Callable[..., Server]
SHA = "c" * 40
PER_SECOND = 20  # traces that a worker starts by itself
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=x"}
QUICK = {
    "SLIPWAY_REVISION": SHA,
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_BLRP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-token=abc",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    running, end = collectors.serve()
    yield running
    end()


@pytest.fixture
def sending(start: Start, collector: Collector) -> Server:
    """An instance that sends quickly to `collector`."""
    return start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **QUICK)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Collector]]:
    """Such an instance and its collector for all tests that ask with a trace of their own, and count nothing."""
    running, end = collectors.serve()
    with instances(tmp_path_factory.mktemp("signals")) as start:
        yield start(OTEL_EXPORTER_OTLP_ENDPOINT=running.endpoint, **QUICK), running
    end()


def sampled(request: str) -> tuple[str, dict[str, str]]:
    """A new trace, and the headers of a request with this id that belongs to it."""
    trace = uuid.uuid4().hex
    return trace, {"traceparent": f"00-{trace}-{PARENT}-01", "tracestate": "vendor=x", "X-Request-ID": request}


def processes(server: Server) -> list[int]:
    """Ids of the workers."""
    return [int(x["message"].rsplit(" ", 1)[1]) for x in server.lines() if "Booting worker" in x["message"]]


def spans_of(collector: Collector, trace: str) -> list[Any]:
    return [span for _, span in collector.spans if span.trace_id.hex() == trace]


def test_a_span_continues_the_callers_trace(shared: tuple[Server, Collector]) -> None:
    service, collector = shared
    trace, headers = sampled("r-1")
    service.get("/api/time?zone=UTC", headers)
    (span,) = collector.wait(lambda: spans_of(collector, trace))
    assert span.parent_span_id.hex() == PARENT
    assert span.trace_state == "vendor=x"
    assert (span.name, span.kind, span.status.code) == ("GET /api/time", 2, 0)
    assert span.end_time_unix_nano > span.start_time_unix_nano
    attributes = plain(span.attributes)
    assert attributes["http.request.method"] == "GET"
    assert attributes["http.route"] == attributes["url.path"] == "/api/time"
    assert attributes["http.response.status_code"] == 200
    assert attributes["slipway.request_id"] == "r-1"


def test_the_resource_names_service_release_and_worker(shared: tuple[Server, Collector]) -> None:
    service, collector = shared
    service.get("/api/time?zone=UTC")
    collector.wait(lambda: collector.spans and collector.metrics and collector.records)
    for resource, _ in (collector.spans[0], collector.metrics[0], collector.records[0]):
        assert resource["service.name"] == "slipway-service"
        assert resource["service.version"] == SHA
        assert resource["deployment.environment.name"] == "test"
        assert int(resource["service.instance.id"].rsplit(":")[1]) in processes(service)
    assert all(headers["x-token"] == "abc" for headers in collector.headers)
    assert all(headers["content-type"] == "application/x-protobuf" for headers in collector.headers)


def test_errors_are_errors_and_wrong_questions_are_not(start: Start, collector: Collector) -> None:
    server = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_BSP_SCHEDULE_DELAY="100", SLIPWAY_FAULT_ERRORS="1"
    )
    server.get("/nothing/at/all")
    server.get("/version", method="BREW")
    server.get("/api/time?zone=UTC")
    collector.wait(lambda: len(collector.spans) >= 3)
    seen = {span.name: (span.status.code, plain(span.attributes)) for _, span in collector.spans}
    assert set(seen) == {"GET", "HTTP", "GET /api/time"}
    assert (seen["GET"][0], seen["GET"][1]["http.response.status_code"]) == (0, 404)
    assert (seen["HTTP"][0], seen["HTTP"][1]["http.request.method"]) == (0, "_OTHER")
    assert (seen["GET /api/time"][0], seen["GET /api/time"][1]["error.type"]) == (2, "500")


def durations(collector: Collector) -> list[Any]:
    return [(resource, m) for resource, m in collector.metrics if m.name == "http.server.request.duration"]


def test_metrics_agree_with_prometheus(sending: Server, collector: Collector) -> None:
    for _ in range(20):
        sending.get("/api/time?zone=UTC", SAMPLED)

    def counted() -> dict[str, Any]:
        """The newest histogram of each worker."""
        points = {}
        for resource, metric in durations(collector):
            assert metric.unit == "s"
            for point in metric.histogram.data_points:
                if plain(point.attributes).get("http.route") == "/api/time":
                    points[resource["service.instance.id"]] = point
        return points

    points = collector.wait(lambda: counted() if sum(p.count for p in counted().values()) == 20 else None).values()
    for point in points:
        attributes = plain(point.attributes)
        assert (attributes["http.request.method"], attributes["http.response.status_code"]) == ("GET", 200)
        assert list(point.explicit_bounds)[:3] == [0.005, 0.01, 0.025]
    assert {exemplar.trace_id.hex() for point in points for exemplar in point.exemplars} == {TRACE}
    text = sending.get("/metrics").body.decode()
    assert 'app_requests_total{endpoint="/api/time",method="GET",status="200"} 20.0' in text


@pytest.mark.slow
def test_a_collector_may_ask_for_differences(start: Start, collector: Collector) -> None:
    server = start(
        SLIPWAY_WORKERS="1",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_METRIC_EXPORT_INTERVAL="100",
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
    )

    def told() -> list[tuple[int, int]]:
        """Temporality and count of every point about this route."""
        return [
            (m.histogram.aggregation_temporality, p.count)
            for _, m in durations(collector)
            for p in m.histogram.data_points
            if plain(p.attributes).get("http.route") == "/api/time"
        ]

    for number in range(1, 4):
        server.get("/api/time?zone=UTC")
        collector.wait(partial(lambda n: len(told()) >= n, number))
    assert told() == [(1, 1)] * 3


def test_the_processor_time_of_each_worker_is_sent_beside_the_durations(shared: tuple[Server, Collector]) -> None:
    service, collector = shared

    def used() -> dict[str, float]:
        sums = [m.sum for _, m in collector.metrics if m.name == "process.cpu.time"]
        return {plain(p.attributes)["cpu.mode"]: p.as_double for s in sums for p in s.data_points}

    # The kernel counts in hundredths of a second: one request may be too few to see.
    collector.wait(lambda: service.get("/api/time?zone=UTC") and used().get("user"))
    assert set(used()) == {"user", "system"}


def test_log_records_belong_to_their_span(shared: tuple[Server, Collector]) -> None:
    service, collector = shared
    trace, headers = sampled("r-2")
    service.get("/api/time?zone=UTC", headers)
    (span,) = collector.wait(lambda: spans_of(collector, trace))
    (record,) = collector.wait(lambda: [r for _, r in collector.records if r.trace_id.hex() == trace])
    assert record.span_id == span.span_id
    assert (record.body.string_value, record.severity_text, record.severity_number) == ("request", "INFO", 9)
    attributes = plain(record.attributes)
    assert (attributes["request_id"], attributes["endpoint"], attributes["status"]) == ("r-2", "/api/time", 200)


def test_every_line_names_release_request_and_trace(shared: tuple[Server, Collector]) -> None:
    service, _ = shared
    trace, headers = sampled("r-3")
    service.get("/api/time?zone=UTC", headers)
    line = service.wait_for_line('"request_id": "r-3"')
    assert (line["trace_id"], line["release"]) == (trace, SHA)
    own = service.wait_for_line('"path": "/nothing"') if service.get("/nothing").status == 404 else {}
    assert len(own["trace_id"]) == 32
    assert own["trace_id"] != trace
    assert len(own["request_id"]) == 32
    lines = service.lines()
    assert {line["release"] for line in lines} == {SHA}
    assert all({"request_id", "trace_id"} <= set(line) for line in lines)
    assert all(x["request_id"] is None for x in lines if x["logger"] == "gunicorn.error")


@pytest.mark.parametrize(
    "header",
    ["", "00", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", "x" * 4000],
)
def test_a_broken_traceparent_starts_a_trace_of_its_own(shared: tuple[Server, Collector], header: str) -> None:
    service, _ = shared
    request = uuid.uuid4().hex
    assert service.get("/api/time?zone=UTC", {"traceparent": header, "X-Request-ID": request}).status == 200
    assert service.wait_for_line(f'"request_id": "{request}"')["trace_id"] not in (None, TRACE, "0" * 32)


def test_what_the_caller_does_not_sample_is_logged_under_its_trace_and_not_sent(
    shared: tuple[Server, Collector],
) -> None:
    service, collector = shared
    trace, later = uuid.uuid4().hex, sampled("r-6")
    service.get("/api/time?zone=UTC", {"traceparent": f"00-{trace}-{PARENT}-00", "X-Request-ID": "r-5"})
    assert service.wait_for_line('"request_id": "r-5"')["trace_id"] == trace
    service.get("/", later[1])
    collector.wait(lambda: spans_of(collector, later[0]))
    assert not spans_of(collector, trace)
    assert f'trace_id="{trace}"' not in exposed(service)


def exposed(server: Server) -> str:
    return server.get("/metrics", {"Accept": "application/openmetrics-text"}).body.decode()


@pytest.mark.slow
def test_load_is_counted_whole_and_traced_in_part(sending: Server, collector: Collector) -> None:
    connection, began, asked = sending.connect(), time.monotonic(), 0
    while time.monotonic() - began < 2 and asked < 1500:
        ask(connection, "/api/time?zone=UTC")
        asked += 1
    seconds = time.monotonic() - began + 2
    sending.terminate()
    assert sending.process.wait(15) == 0
    assert 1 <= len(collector.spans) <= 2 * PER_SECOND * seconds
    records = [r for _, r in collector.records if r.body.string_value == "request"]
    assert len(records) == len(collector.spans)
    newest = {r["service.instance.id"]: m for r, m in durations(collector)}.values()
    assert sum(p.count for m in newest for p in m.histogram.data_points) == asked
    assert len([line for line in sending.lines() if line["message"] == "request"]) == asked


@pytest.mark.slow
def test_a_failed_request_is_sent_even_when_it_is_not_traced(start: Start, collector: Collector) -> None:
    server = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_TRACES_SAMPLER="always_off", SLIPWAY_FAULT_ERRORS="1"
    )
    server.get("/nothing")
    server.get("/api/time?zone=UTC")
    server.terminate()
    assert server.process.wait(15) == 0
    statuses = [plain(r.attributes)["status"] for _, r in collector.records if r.body.string_value == "request"]
    assert (statuses, collector.spans) == ([500], [])


def test_probes_are_not_traced(sending: Server, collector: Collector) -> None:
    for path in ("/health", "/ready", "/metrics"):
        sending.get(path, SAMPLED)
    sending.get("/")
    collector.wait(lambda: collector.spans)
    assert {span.name for _, span in collector.spans} == {"GET /"}


@pytest.mark.slow
def test_the_last_requests_before_a_stop_are_sent(start: Start, collector: Collector) -> None:
    server = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, SLIPWAY_LAME_DUCK_SECONDS="0")
    server.get("/api/time?zone=UTC", SAMPLED)
    server.terminate()
    assert server.process.wait(10) == 0
    assert len(spans_of(collector, TRACE)) == 1
    assert [r for _, r in collector.records if r.trace_id.hex() == TRACE]
    assert collector.metrics


LOADED = """
import os, sys, threading
import slipway_service.boot as boot
boot.metrics_folder()
from slipway_service import signals, wsgi
signals.start(wsgi.config.collector, "")
wsgi.app.test_client().get("/api/time?zone=UTC")
loaded = [name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "google", "requests")]
print(len(loaded), threading.active_count())
"""


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
    ],
)
def test_off_means_not_even_imported(tmp_path: Path, variables: dict[str, str], on: bool) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVICE), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    argv = [sys.executable, "-c", LOADED]
    done = subprocess.run(argv, env={**env, **variables}, capture_output=True, text=True, timeout=60, check=True)
    modules, threads = map(int, done.stdout.split()[-2:])
    assert (modules > 0, threads > 1) == (on, on)


OUTGOING = """
import slipway_service.boot as boot
boot.metrics_folder()
from opentelemetry.propagate import inject
from slipway_service import signals, wsgi
signals.start(wsgi.config.collector, "")

@wsgi.app.get("/call")
def call():
    headers = {}
    inject(headers)
    return headers

import sys
print(wsgi.app.test_client().get("/call", headers={"traceparent": sys.argv[1]}).json["traceparent"])
"""


def test_a_call_made_inside_of_a_request_would_carry_its_trace(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVICE), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    argv = [sys.executable, "-c", OUTGOING, SAMPLED["traceparent"]]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=True)
    version, trace, span, flags = done.stdout.split()[-1].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span not in (PARENT, "0" * 16)


LEFT_OUT = """
import sys
import slipway_service.boot as boot
boot.metrics_folder()
from opentelemetry import trace
from slipway_service import signals, wsgi
signals.start(wsgi.config.collector, "")

@wsgi.app.get("/span")
def span():
    ids = trace.get_current_span().get_span_context()
    return [ids.trace_id, ids.span_id, ids.trace_flags, dict(ids.trace_state), ids.is_valid, ids.is_remote]

asked = [wsgi.app.test_client().get("/span").json for _ in range(int(sys.argv[1]))]
print(len({one[0] for one in asked}), len({one[1] for one in asked}), sorted({str(one[2:]) for one in asked}))
"""


@pytest.mark.slow
def test_a_request_beyond_the_limit_has_the_span_that_the_sdk_would_have_made(tmp_path: Path) -> None:
    def spans(asked: int, **variables: str) -> str:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVICE), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **variables}
        argv = [sys.executable, "-c", LEFT_OUT, str(asked)]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.splitlines()[-1]

    asked = 300  # far more than the first of one second
    sampled = spans(asked, OTEL_TRACES_SAMPLER="always_on").split("[", 1)[1].rstrip("]")
    dropped = spans(asked, OTEL_TRACES_SAMPLER="always_off").split("[", 1)[1].rstrip("]")
    assert sampled != dropped
    assert spans(asked) == f"{asked} {asked} [{', '.join(sorted([sampled, dropped]))}]"
