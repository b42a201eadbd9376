"""What the service adds up is what the SDK's own histogram would have said."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from service.slipway_service.durations import NAME, Durations, Kind

BOUNDS = (0.1, 0.3, 1.0)
CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
TIME = Kind("GET /time", {"http.request.method": "GET", "url.scheme": "http", "http.route": "/time"})
OTHER = Kind("GET", {"http.request.method": "GET", "url.scheme": "http"})


def points(metric: Any) -> list[tuple[Any, ...]]:
    """All that a histogram says but its times and exemplars."""
    assert (metric.name, metric.unit) == (NAME, "s")
    return sorted(
        (
            sorted(p.attributes.items()),
            p.count,
            pytest.approx(p.sum),
            list(p.bucket_counts),
            list(p.explicit_bounds),
            p.min,
            p.max,
        )
        for p in metric.data.data_points
    )


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_it_is_what_the_sdk_would_have_said(temporality: AggregationTemporality) -> None:
    reader = InMemoryMetricReader({Histogram: temporality})
    sdk = MeterProvider([reader], shutdown_on_exit=False)
    histogram = sdk.get_meter("m").create_histogram(NAME, "s", explicit_bucket_boundaries_advisory=list(BOUNDS))
    ours, chance = Durations(BOUNDS), random.Random(1)
    for _ in range(3):  # told three times, with more in between
        for _ in range(200):
            seconds = chance.choice([0.0, 0.1, 0.3, 1.0, 7.0, chance.random() * 2])
            kind, status = chance.choice([TIME, OTHER]), chance.choice([200, 404, 500])
            ours.add(kind, status, seconds, None)
            error = {"error.type": "500"} if status == 500 else {}
            histogram.record(seconds, {**kind.attributes, "http.response.status_code": status, **error})
        data = reader.get_metrics_data()
        assert data
        assert points(ours.told(temporality)) == points(data.resource_metrics[0].scope_metrics[0].metrics[0])
    sdk.shutdown()


def test_differences_begin_where_the_last_ones_ended() -> None:
    ours = Durations(BOUNDS)
    ours.add(TIME, 200, 0.2, None)
    first = ours.told(DELTA).data.data_points[0]
    ours.add(TIME, 200, 0.2, None)
    second = ours.told(DELTA).data.data_points[0]
    assert (second.start_time_unix_nano, second.count) == (first.time_unix_nano, 1)
    assert not ours.told(DELTA).data.data_points


def test_the_sum_since_the_start_keeps_its_beginning() -> None:
    ours = Durations(BOUNDS)
    begins = set()
    for number in range(1, 4):
        ours.add(TIME, 200, 0.2, None)
        (point,) = ours.told(CUMULATIVE).data.data_points
        assert point.count == number
        begins.add(point.start_time_unix_nano)
    assert len(begins) == 1


def test_a_bucket_names_its_last_traced_request_once() -> None:
    ours = Durations(BOUNDS)
    ours.add(TIME, 200, 0.2, (1, 2))
    ours.add(TIME, 200, 0.25, (3, 4))
    ours.add(TIME, 200, 0.26, None)
    ours.add(TIME, 200, 5.0, (5, 6))
    (point,) = ours.told(CUMULATIVE).data.data_points
    assert [(e.value, e.trace_id, e.span_id) for e in point.exemplars] == [(0.25, 3, 4), (5.0, 5, 6)]
    (point,) = ours.told(CUMULATIVE).data.data_points
    assert not point.exemplars


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as the interpreter lets them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty")
def test_threads_lose_nothing_while_it_is_told() -> None:
    ours, told = Durations(BOUNDS), 0

    def work(_: int) -> None:
        for _ in range(20_000):
            ours.add(TIME, 200, 0.2, None)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(work, number) for number in range(4)]
        while not all(future.done() for future in waiting):
            told += sum(p.count for p in ours.told(DELTA).data.data_points)
    assert told + sum(p.count for p in ours.told(DELTA).data.data_points) == 80_000
