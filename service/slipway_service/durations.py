"""How long requests took, added up here and told in OpenTelemetry's terms whenever its reader asks.

The SDK's own histogram finds its point by hashing all attributes at each measurement, which took as much of a request
as its span and its log record together. Here a request costs one look-up and one search among the bounds.
"""

from __future__ import annotations

import resource
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics import Histogram as Instrument
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

NAME = "http.server.request.duration"


@dataclass(frozen=True, eq=False)  # one object per kind: it is looked up by what it is
class Kind:
    """What requests have in common before they are answered. span: its name; attributes: those of its point too."""

    span: str
    attributes: Mapping[str, str | int]


@dataclass
class _Point:
    """Requests of one kind and status. exemplars: the last traced one of each bucket since it was told."""

    counts: list[int]
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    total: float = 0.0
    lowest: float = float("inf")
    highest: float = 0.0


class Durations:
    """The requests of one worker. bounds: upper bounds of the buckets in seconds, ascending, without the infinite."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._points: dict[tuple[Kind, int], _Point] = {}
        self._since = time.time_ns()
        self._lock = threading.Lock()

    def add(self, kind: Kind, status: int, seconds: float, trace: tuple[int, int] | None) -> None:
        """Counts one answered request. trace: ids of trace and span, when sampled."""
        bucket = bisect_left(self._bounds, seconds)
        with self._lock:
            point = self._points.get((kind, status))
            if point is None:
                point = self._points[kind, status] = _Point([0] * (len(self._bounds) + 1))
            point.counts[bucket] += 1
            point.total += seconds
            if seconds < point.lowest:
                point.lowest = seconds
            if seconds > point.highest:
                point.highest = seconds
            if trace:
                point.exemplars[bucket] = Exemplar({}, seconds, time.time_ns(), trace[1], trace[0])

    def told(self, temporality: AggregationTemporality) -> Metric:
        """All that was counted: since the start, or since the last call where differences are asked for."""
        now = time.time_ns()
        with self._lock:
            points = [self._told(kind, status, point, now) for (kind, status), point in self._points.items()]
            if temporality is AggregationTemporality.DELTA:
                self._points, self._since = {}, now
        return Metric(NAME, "Duration of HTTP server requests.", "s", Histogram(points, temporality))

    def _told(self, kind: Kind, status: int, point: _Point, now: int) -> HistogramDataPoint:
        attributes = {**kind.attributes, "http.response.status_code": status}
        if status >= 500:
            attributes["error.type"] = str(status)
        exemplars, point.exemplars = list(point.exemplars.values()), {}
        return HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=self._since,
            time_unix_nano=now,
            count=sum(point.counts),
            sum=point.total,
            bucket_counts=list(point.counts),
            explicit_bounds=self._bounds,
            min=point.lowest,
            max=point.highest,
            exemplars=exemplars,
        )


class Exporter(OTLPMetricExporter):
    """Sends the durations of requests with whatever the SDK measured itself; its readers know no other producers."""

    def __init__(self, durations: Durations, scope: InstrumentationScope) -> None:
        super().__init__()
        self._durations, self._scope = durations, scope

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """One message: what the reader collected, and the durations."""
        temporality = (self._preferred_temporality or {}).get(Instrument, AggregationTemporality.CUMULATIVE)
        told = self._durations.told(temporality)
        if told.data.data_points:
            (measured,) = metrics_data.resource_metrics
            # Of two entries for one scope the SDK's encoder sends only the last.
            scopes = {one.scope: one for one in measured.scope_metrics}
            own = scopes[self._scope].metrics if self._scope in scopes else []
            scopes[self._scope] = ScopeMetrics(self._scope, [*own, told], "")
            metrics_data = MetricsData([ResourceMetrics(measured.resource, [*scopes.values()], measured.schema_url)])
        return super().export(metrics_data, timeout_millis, **kwargs)


def processor(_options: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
    """Seconds of processor time that this worker has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield metrics.Observation(used.ru_utime, {"cpu.mode": "user"})
    yield metrics.Observation(used.ru_stime, {"cpu.mode": "system"})
