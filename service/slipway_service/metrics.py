"""The two metrics of the service, right across all workers of an instance.

PROMETHEUS_MULTIPROC_DIR must be set before this module is imported: prometheus_client chooses its storage then.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter(
    "app_requests_total", "Requests answered, by method, route and status.", ["method", "endpoint", "status"]
)
LATENCY = Histogram("app_request_latency_seconds", "Seconds from request to answer, by route.", ["endpoint"])

#: The label of whatever matches no route: a scan of random paths must not grow the label set.
UNMATCHED = "unmatched"

_OPENMETRICS = "application/openmetrics-text"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def start_at_zero(routes: Iterable[str]) -> None:
    """Makes the usual series exist from the start, so that the first error is an increase and not an appearance."""
    for route in routes:
        LATENCY.labels(route)
        for status in ("200", "500"):
            REQUESTS.labels("GET", route, status)


def observe(method: str, route: str | None, status: int, seconds: float) -> None:
    """Counts one answered request. route: the URL rule, None when nothing matched."""
    endpoint = route or UNMATCHED
    REQUESTS.labels(method if method in _METHODS else "other", endpoint, str(status)).inc()
    LATENCY.labels(endpoint).observe(seconds)


def render(accept: str | None) -> tuple[bytes, str]:
    """Body and content type for an Accept header: OpenMetrics when asked for, else the classic text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    # Only the media type is passed on: a strange version or escaping in the header makes the encoder raise.
    asked = [part.split(";")[0].strip().lower() for part in (accept or "").split(",")]
    encoder, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in asked else "")
    return encoder(registry), content_type
