"""The service as the benchmark runs it: it answers, it ends, and what did not run was not measured."""

from __future__ import annotations

import pytest
import requests
from invoke.context import Context

from tasks.lib.bench import service, signals
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
        service.load(c, served, 1)


@pytest.mark.slow
def test_a_request_is_charged_to_the_workers_that_answered_it(c: Context) -> None:
    with service.serve(SLIPWAY_WORKERS="2") as busy, service.serve(SLIPWAY_WORKERS="2") as idle:
        before = service.cpu_seconds(idle)
        speed = service.load(c, busy, 1)
        assert 0 < speed.cpu * speed.per_second < 3  # seconds in a second, of two cores
        assert service.cpu_seconds(idle) - before < speed.cpu * speed.per_second / 2
    with pytest.raises(Stop, match="cannot be read"):
        service.cpu_seconds(idle)


@pytest.mark.slow
def test_who_rests_answers_afterwards_and_ends() -> None:
    with service.serve(SLIPWAY_WORKERS="1") as served:
        with service.resting(served), pytest.raises(requests.Timeout):
            requests.get(served.url, timeout=0.5)
        assert requests.get(served.url, timeout=10).status_code == 200


def test_the_middle_pair_is_the_one_with_the_median_ratio() -> None:
    assert signals._middle([(9.0, 1.0), (1.1, 1.0), (20.0, 10.0), (1.0, 5.0), (2.6, 2.0)]) == (2.6, 2.0)


def test_rounds_make_a_middle_pair() -> None:
    assert signals.ROUNDS % 2 == 1
