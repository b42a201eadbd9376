"""The two metrics hold across workers, restarts of workers and hostile requests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Histogram, Metric, openmetrics
from prometheus_client import parser as classic
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tests.service.harness import Server, ask

Start = Callable[..., Server]
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def samples(server: Server) -> list[Sample]:
    text = server.get("/metrics").body.decode()
    return [sample for family in classic.text_string_to_metric_families(text) for sample in family.samples]


def total(server: Server, **labels: str) -> float:
    return sum(
        s.value for s in samples(server) if s.name == "app_requests_total" and labels.items() <= s.labels.items()
    )


def busy_workers(server: Server) -> int:
    # The file of the master has the zeros; a worker's file grows its own copy once it counted something.
    return len(list(server.metrics_folder.glob("counter_*.db"))) - 1


@pytest.mark.slow
def test_sums_are_right_whichever_worker_answers(start: Start) -> None:
    server = start(SLIPWAY_WORKERS="3")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: server.get("/api/time?zone=UTC").status, range(240)))
    assert answers == [200] * 240
    assert busy_workers(server) >= 2, "only one worker answered: the test shows nothing"
    for _ in range(12):
        assert total(server, endpoint="/api/time", method="GET", status="200") == 240
    counted = [s for s in samples(server) if s.name == "app_request_latency_seconds_count"]
    assert {s.value for s in counted if s.labels == {"endpoint": "/api/time"}} == {240}


def test_a_dead_worker_takes_no_count_with_it(start: Start) -> None:
    server = start(SLIPWAY_WORKERS="2")
    for _ in range(40):
        server.get("/api/time?zone=UTC")
    booted = [int(x["message"].rsplit(" ", 1)[1]) for x in server.lines() if "Booting worker" in x["message"]]
    os.kill(booted[0], signal.SIGKILL)
    end = time.monotonic() + 10
    while len([x for x in server.lines() if "Booting worker" in x["message"]]) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    server.get("/api/time?zone=UTC")
    assert total(server, endpoint="/api/time") == 41


@pytest.mark.slow
def test_reload_keeps_the_counts_and_a_new_start_does_not(start: Start) -> None:
    server = start()
    for _ in range(5):
        server.get("/api/time?zone=UTC")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("Hang up")
    end = time.monotonic() + 10
    while len([x for x in server.lines() if "Booting worker" in x["message"]]) < 4:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert total(server, endpoint="/api/time") == 5

    stale = server.metrics_folder
    server.terminate()
    server.process.wait(10)
    assert list(stale.glob("counter_*.db"))
    again = start(PROMETHEUS_MULTIPROC_DIR=str(stale))
    assert total(again, endpoint="/api/time") == 0


@pytest.mark.slow
def test_hostile_requests_do_not_grow_the_label_set(start: Start) -> None:
    server = start()
    before = {tuple(sorted(s.labels.items())) for s in samples(server)}
    connection = server.connect()
    for number in range(300):
        ask(connection, f"/random/{number}?x={number}")
        ask(connection, f"/{number}", method=f"VERB{number}")
    ask(connection, "/health", method="DELETE")
    after = {tuple(sorted(s.labels.items())) for s in samples(server)}
    new = [dict(labels) for labels in after - before]
    assert {labels["endpoint"] for labels in new} <= {"unmatched", "/metrics"}
    assert {labels["method"] for labels in new if "method" in labels} <= {"GET", "other", "DELETE"}
    assert total(server, endpoint="unmatched", method="other") == 300
    # one histogram (15 bucket bounds, sum and count share one label set without le) and three counters
    assert len(new) < 30


def test_openmetrics_when_asked_for(service: Server) -> None:
    service.get("/api/time?zone=UTC")
    prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5"
    for accept in (OPENMETRICS, prometheus, "application/openmetrics-text"):
        answer = service.get("/metrics", {"Accept": accept})
        assert answer.headers["content-type"] == openmetrics.exposition.CONTENT_TYPE_LATEST
        families = {f.name: f for f in openmetrics_parser.text_string_to_metric_families(answer.body.decode())}
        assert set(families) == {"app_requests", "app_request_latency_seconds"}
        assert families["app_requests"].type == "counter"
        assert families["app_request_latency_seconds"].type == "histogram"


def test_openmetrics_is_what_the_client_library_writes_by_default(service: Server) -> None:
    for path in ("/api/time?zone=UTC", "/nothing", "/api/time"):
        service.get(path)
    body = service.get("/metrics", {"Accept": OPENMETRICS}).body
    families = list(openmetrics_parser.text_string_to_metric_families(body.decode()))

    class Again(Collector):
        def collect(self) -> Iterable[Metric]:
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Again())
    assert openmetrics.exposition.generate_latest(registry) == body


def test_classic_text_otherwise(service: Server) -> None:
    for accept in ("", "*/*", "text/plain", "text/html", "application/json"):
        answer = service.get("/metrics", {"Accept": accept})
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {f.name: f.type for f in classic.text_string_to_metric_families(answer.body.decode())}
        assert families == {"app_requests": "counter", "app_request_latency_seconds": "histogram"}
    assert service.get("/metrics", {"Accept": "application/openmetrics-text; version=x"}).status == 200


def test_the_numbers_are_those_of_the_client_library(start: Start) -> None:
    server = start(SLIPWAY_WORKERS="3")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: server.get("/nothing" if n % 3 else "/api/time?zone=UTC"), range(90)))
    ours = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples(server)}
    collected = MultiProcessCollector(None, str(server.metrics_folder)).collect()
    theirs = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in collected for s in family.samples}
    asked = [key for key in theirs if ("endpoint", "/metrics") not in key[1]]  # the scrape itself came after
    assert len(asked) > 100
    assert set(ours) == set(theirs)
    assert {key: ours[key] for key in asked} == pytest.approx({key: theirs[key] for key in asked})


def test_names_and_labels_are_the_promised_ones(service: Server) -> None:
    seen = samples(service)
    assert {tuple(sorted(s.labels)) for s in seen if s.name == "app_requests_total"} == {
        ("endpoint", "method", "status")
    }
    assert {tuple(sorted(s.labels)) for s in seen if s.name == "app_request_latency_seconds_sum"} == {("endpoint",)}


def test_the_objectives_300_ms_is_a_bucket_and_costs_no_series(service: Server) -> None:
    of_one_route = {s.labels["le"] for s in samples(service) if s.labels.get("endpoint") == "/" and "le" in s.labels}
    assert "0.3" in of_one_route
    assert len(of_one_route) == len(Histogram.DEFAULT_BUCKETS)


def test_series_exist_before_the_first_error(service: Server) -> None:
    seen = samples(service)
    zeros = {s.labels["endpoint"]: s.value for s in seen if s.labels.get("status") == "500"}
    assert zeros == dict.fromkeys(["/", "/api/time", "/health", "/ready", "/version", "/metrics"], 0.0)
