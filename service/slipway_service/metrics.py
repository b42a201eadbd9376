"""The two metrics of the service, right across all workers of an instance.

PROMETHEUS_MULTIPROC_DIR must be set before this module is imported: prometheus_client chooses its storage then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

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


def observe(method: str, endpoint: str, status: int, seconds: float, trace: tuple[int, int] | None) -> None:
    """Counts one answered request. endpoint: the URL rule or UNMATCHED. trace: ids of trace and span, when sampled."""
    REQUESTS.labels(method_label(method), endpoint, str(status)).inc()
    LATENCY.labels(endpoint).observe(seconds)
    if trace:
        _exemplars.put(endpoint, seconds, *trace)


@cache  # as bounded as the label set
def _series(key: str) -> tuple[str, str, _Labels, str, str]:
    """Family, sample, labels without the bucket's bound, that bound ("" outside of buckets) and help text of a key."""
    family, name, labels, text = json.loads(key)
    bound = labels.pop("le", "")
    return family, name, tuple(labels.items()), bound, text


class _AllWorkers:
    """What all workers counted, exemplars included.

    prometheus_client's own MultiProcessCollector makes a sample of every number of every worker before it adds them up,
    which takes most of the time of a scrape. Here the numbers are added first, and keys are read once, not every time.
    """

    def collect(self) -> Iterator[Metric]:
        totals: dict[str, float] = {}
        kinds: dict[str, str] = {}
        for file in sorted(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db")):
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                totals[key] = totals.get(key, 0.0) + value
                if key not in kinds:
                    kinds[key] = file.name.partition("_")[0]
        families: dict[str, Metric] = {}
        histograms: dict[tuple[str, _Labels], list[tuple[float, float]]] = {}
        sums: dict[tuple[str, _Labels], float] = {}
        for key, value in totals.items():
            family, name, labels, bound, text = _series(key)
            if family not in families:
                families[family] = Metric(family, text, kinds[key])
            if bound:
                histograms.setdefault((family, labels), []).append((float(bound), value))
            elif kinds[key] == "histogram":
                sums[family, labels] = value
            else:
                families[family].samples.append(Sample(name, dict(labels), value))
        for (family, labels), counts in histograms.items():
            families[family].samples += _histogram(
                family, dict(labels), sorted(counts), sums.get((family, labels), 0.0)
            )
        yield from families.values()


def _histogram(
    family: str, labels: dict[str, str], counts: list[tuple[float, float]], total: float
) -> Iterator[Sample]:
    """Buckets that count what is below their bound, then count and sum of all: OpenMetrics wants them together."""
    below = 0.0
    for bound, count in counts:
        below += count
        exemplar = _exemplars.get(labels.get("endpoint", ""), bound) if family == _LATENCY else None
        yield Sample(f"{family}_bucket", {**labels, "le": floatToGoString(bound)}, below, None, exemplar)
    yield Sample(f"{family}_count", labels, below)
    yield Sample(f"{family}_sum", labels, total)


def render(accept: str | None) -> tuple[bytes, str]:
    """Body and content type for an Accept header: OpenMetrics when asked for, else the classic text format."""
    # Only the media type is passed on: a strange version or escaping in the header makes the encoder raise.
    asked = [part.split(";")[0].strip().lower() for part in (accept or "").split(",")]
    encoder, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in asked else "")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_AllWorkers())
    return encoder(registry), content_type
