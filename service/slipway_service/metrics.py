"""The two metrics of the service, right across all workers of an instance.

PROMETHEUS_MULTIPROC_DIR must be set before this module is imported: prometheus_client chooses its storage then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from .exemplars import Exemplars

#: Upper bounds of the latency buckets in seconds, the last one infinite.
BUCKETS: tuple[float, ...] = Histogram.DEFAULT_BUCKETS

REQUESTS = Counter(
    "app_requests_total", "Requests answered, by method, route and status.", ["method", "endpoint", "status"]
)
LATENCY = Histogram(
    "app_request_latency_seconds", "Seconds from request to answer, by route.", ["endpoint"], buckets=BUCKETS
)

#: The label of whatever matches no route: a scan of random paths must not grow the label set.
UNMATCHED = "unmatched"

_OPENMETRICS = "application/openmetrics-text"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_exemplars = Exemplars([], BUCKETS)


def start_at_zero(routes: Iterable[str]) -> None:
    """Makes the usual series exist from the start, so that the first error is an increase and not an appearance.

    Called before workers are forked: they share the memory of the exemplars that is made here.
    """
    global _exemplars
    routes = sorted(set(routes))
    _exemplars = Exemplars([*routes, UNMATCHED], BUCKETS)
    for route in routes:
        LATENCY.labels(route)
        for status in ("200", "500"):
            REQUESTS.labels("GET", route, status)


def method_label(method: str) -> str:
    """The method if it is one of HTTP's, else "other"."""
    return method if method in _METHODS else "other"


def observe(method: str, endpoint: str, status: int, seconds: float, trace: tuple[int, int] | None) -> None:
    """Counts one answered request. endpoint: the URL rule or UNMATCHED. trace: ids of trace and span, when sampled."""
    REQUESTS.labels(method_label(method), endpoint, str(status)).inc()
    LATENCY.labels(endpoint).observe(seconds)
    if trace:
        _exemplars.put(endpoint, seconds, *trace)


class _WithExemplars:
    """What all workers counted; the latency buckets carry their exemplars."""

    def collect(self) -> Iterator[Metric]:
        for metric in MultiProcessCollector(None).collect():
            if metric.name == "app_request_latency_seconds":
                metric.samples = [
                    sample._replace(exemplar=_exemplars.get(sample.labels["endpoint"], float(sample.labels["le"])))
                    if "le" in sample.labels
                    else sample
                    for sample in metric.samples
                ]
            yield metric


def render(accept: str | None) -> tuple[bytes, str]:
    """Body and content type for an Accept header: OpenMetrics when asked for, else the classic text format."""
    # Only the media type is passed on: a strange version or escaping in the header makes the encoder raise.
    asked = [part.split(";")[0].strip().lower() for part in (accept or "").split(",")]
    encoder, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in asked else "")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_WithExemplars())
    return encoder(registry), content_type
