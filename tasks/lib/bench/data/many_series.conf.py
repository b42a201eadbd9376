"""The service's own gunicorn settings, and as many routes in every worker as make a thousand series."""

from __future__ import annotations

import os
import runpy

globals().update(runpy.run_path("gunicorn.conf.py"))
_start = post_fork  # type: ignore[name-defined]  # noqa: F821


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """Each further route has 20 series: 15 buckets, count, sum and three counters."""
    from slipway_service import metrics

    _start(server, worker)
    for number in range(int(os.environ["SLIPWAY_BENCH_ROUTES"])):
        metrics.LATENCY.labels(f"/bench/{number}").observe(0.01 * number)
        for status in ("200", "400", "500"):
            metrics.REQUESTS.labels("GET", f"/bench/{number}", status).inc()
