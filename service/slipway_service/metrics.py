"""The two metrics of the service, right across all workers of an instance.

PROMETHEUS_MULTIPROC_DIR must be set before this module is imported: prometheus_client chooses its storage then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from . import workers
from .exemplars import Exemplars

#: Upper bounds of the latency buckets in seconds, the last one infinite. 0.3 is what the objective in alerts/slo.yaml
#: counts by; it stands for 0.075, so that there are as many series as the client library has by default.
BUCKETS: tuple[float, ...] = tuple(sorted({*Histogram.DEFAULT_BUCKETS, 0.3} - {0.075}))

REQUESTS = Counter(
    "app_requests_total", "Requests answered, by method, route and status.", ["method", "endpoint", "status"]
)
_LATENCY = "app_request_latency_seconds"
LATENCY = Histogram(_LATENCY, "Seconds from request to answer, by route.", ["endpoint"], buckets=BUCKETS)

#: The label of whatever matches no route: a scan of random paths must not grow the label set.
UNMATCHED = "unmatched"

_OPENMETRICS = "application/openmetrics-text"
# All names are plain, so that there is nothing to escape; the default of OpenMetrics looks at each of their letters.
_FORMS: dict[bool, tuple[Callable[[Collector], bytes], str]] = {
    True: (partial(openmetrics.generate_latest, escaping=openmetrics.ALLOWUTF8), openmetrics.CONTENT_TYPE_LATEST),
    False: (exposition.generate_latest, exposition.CONTENT_TYPE_PLAIN_0_0_4),
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_exemplars = Exemplars([], BUCKETS)
_Labels: TypeAlias = "tuple[tuple[str, str], ...]"


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


@cache  # as bounded as the label set
def _children(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, endpoint, str(status)), LATENCY.labels(endpoint)


def observe(method: str, endpoint: str, status: int, seconds: float, trace: tuple[int, int] | None) -> None:
    """Counts one answered request. endpoint: the URL rule or UNMATCHED. trace: ids of trace and span, when sampled."""
    requests, latency = _children(method_label(method), endpoint, status)
    requests.inc()
    latency.observe(seconds)
    if trace:
        _exemplars.put(endpoint, seconds, *trace)


class _Series(NamedTuple):
    """What a key says. labels: as they are shown; group: those without the bucket's bound."""

    family: str
    name: str
    labels: dict[str, str]
    group: _Labels
    bound: float | None
    text: str


@cache  # as bounded as the label set
def _series(key: str) -> _Series:
    family, name, labels, text = json.loads(key)
    bound = float(labels["le"]) if "le" in labels else None
    group = tuple((label, value) for label, value in labels.items() if label != "le")
    if bound is not None:
        labels = {**dict(group), "le": floatToGoString(bound)}
    return _Series(family, name, labels, group, bound, text)


class _AllWorkers(Collector):
    """What all workers counted, exemplars included.

    prometheus_client's own MultiProcessCollector makes a sample of every number of every worker before it adds them up,
    which takes most of the time of a scrape. Here the numbers are added first, and keys are read once, not every time.
    """

    def collect(self) -> Iterator[Metric]:
        for kind, totals in workers.totals(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])).items():
            families: dict[str, Metric] = {}
            histograms: dict[tuple[str, _Labels], _Counted] = {}
            for key, value in totals.items():
                one = _series(key)
                family = families.get(one.family)
                if family is None:
                    family = families[one.family] = Metric(one.family, one.text, kind)
                if kind == "histogram":
                    counted = histograms.get((one.family, one.group))
                    if counted is None:
                        counted = histograms[one.family, one.group] = _Counted()
                    if one.bound is None:
                        counted.total = value
                    else:
                        counted.buckets.append((one.bound, value, one.labels))
                else:
                    family.samples.append(Sample(one.name, one.labels, value))
            for (name, group), counted in histograms.items():
                families[name].samples += _histogram(name, dict(group), counted)
            yield from families.values()


class _Counted:
    """One histogram: bound, count and labels of its buckets, and the sum of what was observed."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets: list[tuple[float, float, dict[str, str]]] = []
        self.total = 0.0


def _histogram(family: str, labels: dict[str, str], counted: _Counted) -> Iterator[Sample]:
    """Buckets that count what is below their bound, then count and sum of all: OpenMetrics wants them together."""
    below = 0.0
    for bound, count, shown in sorted(counted.buckets, key=itemgetter(0)):
        below += count
        exemplar = _exemplars.get(labels.get("endpoint", ""), bound) if family == _LATENCY else None
        yield Sample(f"{family}_bucket", shown, below, None, exemplar)
    yield Sample(f"{family}_count", labels, below)
    yield Sample(f"{family}_sum", labels, counted.total)


def render(accept: str | None) -> tuple[bytes, str]:
    """Body and content type for an Accept header: OpenMetrics when asked for, else the classic text format."""
    # Only the media type is looked at: a strange version or escaping in the header makes the library's choice raise.
    asked = [part.split(";")[0].strip().lower() for part in (accept or "").split(",")]
    form, content_type = _FORMS[_OPENMETRICS in asked]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_AllWorkers())
    return form(registry), content_type
