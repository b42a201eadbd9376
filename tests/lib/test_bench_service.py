"""The service as the benchmark runs it: it answers, it ends, and what did not run was not measured."""

from __future__ import annotations

import pytest
import requests
from invoke.context import Context

from tasks.lib.bench import service
from tasks.lib.bench.stage import DATA
from tasks.lib.errors import Code, Stop


@pytest.mark.slow
def test_it_answers_with_many_series_and_ends() -> None:
    with service.serve(DATA / "many_series.conf.py", SLIPWAY_WORKERS="1", SLIPWAY_BENCH_ROUTES="3") as served:
        text = requests.get(f"{served.url}/metrics", timeout=10).text
        assert 'app_requests_total{endpoint="/bench/2",method="GET",status="500"} 1.0' in text
    with pytest.raises(requests.ConnectionError):
        requests.get(served.url, timeout=5)


def test_one_that_does_not_start_is_a_sentence() -> None:
    with pytest.raises(Stop, match="SLIPWAY_WORKERS") as caught, service.serve(SLIPWAY_WORKERS="0"):
        pass
    assert caught.value.code == Code.COULD_NOT_RUN


@pytest.mark.slow
def test_the_sink_counts_what_it_takes() -> None:
    with service.sink() as (endpoint, taken):
        assert requests.post(f"{endpoint}/v1/traces", data=b"12345", timeout=5).status_code == 200
        assert taken() == 5


@pytest.mark.slow
def test_answers_that_are_errors_are_no_measurement(c: Context) -> None:
    with (
        service.serve(SLIPWAY_WORKERS="1", SLIPWAY_FAULT_ERRORS="1") as served,
        pytest.raises(Stop, match="nothing usable"),
    ):
        service.load(c, served.url, 1)
