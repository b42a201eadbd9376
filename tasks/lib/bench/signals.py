"""Rows about the service's signals: what they cost a request, and what a scrape costs."""

from __future__ import annotations

import time
from collections.abc import Callable

from tasks.lib.bench import service
from tasks.lib.bench.rows import Row
from tasks.lib.bench.service import Served, Speed
from tasks.lib.bench.stage import DATA, Stage, median, spread
from tasks.lib.errors import Code, Stop

#: Pairs of rounds, an odd number. The machine's other work comes and goes: only neighbours are compared.
ROUNDS = 21
ROUND_SECONDS = 2
WARM_SECONDS = 2
#: A kept connection stays with the worker that accepted it. How eight of them fall to two workers is another thing in
#: each round, from 4:4 to 8:0, and that decides the round; with one worker each there is nothing to fall. It also pays
#: more: the threads that send take their time from the same interpreter, not from one that has less to do.
WORKERS = {"SLIPWAY_WORKERS": "1"}
RAW_WHAT = "the same service with all of it off; one worker each"
SHARE = 0.9  # of the requests per second that must be left
SCRAPES = 60
SERIES = 1000
ROUTES = 45


def throughput(stage: Stage) -> Row:
    """The service under full load with traces, metrics and logs sent to a collector, against all of it off."""
    pairs, sent = _compare(stage)
    on, off = _middle([(1000 / on.per_second, 1000 / off.per_second) for on, off in pairs])
    return Row(
        name="signals",
        what="a request with all signals on, under full load",
        unit="ms",
        ours=on,
        raw=off,
        raw_what=RAW_WHAT,
        limit_ratio=round(1 / SHARE, 3),
        notes=[
            f"{off / on:.2f} of the requests per second, the middle of {ROUNDS} pairs of rounds: "
            f"{_ratios([on.per_second / off.per_second for on, off in pairs])}; "
            f"CPU of a request {_processor(pairs)}; {sent / 1e6:.1f} MB sent to a collector",
        ],
    )


def slowest(stage: Stage) -> Row:
    """The slowest hundredth of the requests under full load, all signals on against all of it off."""
    pairs, _ = _compare(stage)
    on, off = _middle([(on.p99 * 1000, off.p99 * 1000) for on, off in pairs])
    return Row(
        name="signals-p99",
        what="p99 of a request with all signals on, under full load",
        unit="ms",
        ours=on,
        raw=off,
        raw_what=RAW_WHAT,
        limit_ratio=1.15,
        notes=[f"the middle of {ROUNDS} pairs of rounds: {_ratios([on.p99 / off.p99 for on, off in pairs])}"],
    )


def _middle(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The pair whose ratio is the median of all ratios; a hiccup of the machine spoils one pair, not the row."""
    return sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]


def _ratios(values: list[float]) -> str:
    return spread(sorted(values))


def _processor(pairs: list[tuple[Speed, Speed]]) -> str:
    """What the workers used, which other work on the machine changes less than the time that passes."""
    on, off = _middle([(on.cpu * 1000, off.cpu * 1000) for on, off in pairs])
    return f"{on:.3f} ms against {off:.3f} ms"


def _compare(stage: Stage) -> tuple[list[tuple[Speed, Speed]], int]:
    """Pairs of rounds, with signals and without, each kind first in every other pair; and bytes that were sent."""
    pairs = []
    with service.sink() as (endpoint, taken):
        with (
            service.serve(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **WORKERS) as sending,
            service.serve(**WORKERS) as silent,
        ):
            for one in (sending, silent):
                service.load(stage.c, one, WARM_SECONDS)
            for number in range(ROUNDS):
                both = [(sending, silent), (silent, sending)]
                measured = {}
                for one, other in both if number % 2 == 0 else reversed(both):
                    with service.resting(other):
                        measured[one.url] = service.load(stage.c, one, ROUND_SECONDS)
                pairs.append((measured[sending.url], measured[silent.url]))
        if not taken():
            raise Stop("nothing was sent to the collector", Code.COULD_NOT_RUN)
        return pairs, taken()


def _all_there(served: Served, files: int) -> None:
    """Waits until the master and each worker have written both of their files."""
    end = time.monotonic() + service.START_SECONDS
    while len(list(served.metrics.glob("*.db"))) < files:
        if time.monotonic() > end:
            raise Stop("not all workers started", Code.COULD_NOT_RUN)
        time.sleep(0.05)
    time.sleep(1)  # the last one is still filling its file


def scrape(stage: Stage) -> Row:
    """What /metrics takes with four workers and a thousand series, against the client library on the same files."""
    import requests
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.openmetrics.exposition import generate_latest

    def times(work: Callable[[], object]) -> list[float]:
        taken = []
        for _ in range(SCRAPES):
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) * 1000)
        return sorted(taken)

    variables = {"SLIPWAY_WORKERS": "4", "SLIPWAY_BENCH_ROUTES": str(ROUTES)}
    with service.serve(DATA / "many_series.conf.py", **variables) as served, requests.Session() as session:
        session.headers["Accept"] = "application/openmetrics-text"

        def raw() -> None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(served.metrics))
            generate_latest(registry)

        _all_there(served, 2 * (1 + 4))
        text = session.get(f"{served.url}/metrics", timeout=10).text
        series = sum(not line.startswith("#") for line in text.splitlines())
        if series < SERIES:
            raise Stop(f"{series} series are fewer than {SERIES}", Code.COULD_NOT_RUN)
        ours = times(lambda: session.get(f"{served.url}/metrics", timeout=10))
        alone = times(raw)
    return Row(
        name="metrics",
        what=f"/metrics with 4 workers and {series} series",
        unit="ms",
        ours=median(ours),
        raw=median(alone),
        raw_what="prometheus_client in one process on the same files, without HTTP",
        limit=20,
        notes=[f"median of {SCRAPES}; slowest {ours[-1]:.1f} ms"],
    )
