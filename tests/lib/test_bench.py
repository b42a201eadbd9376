"""What the benchmark concludes from what it measured, without measuring."""

from __future__ import annotations

import pytest
from invoke.context import Context

from tasks.lib.bench import load, measuring
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage
from tasks.lib.errors import Code, Stop

REPORT = """
Summary:
  Total:\t3.0017 secs
  Slowest:\t0.0213 secs
  Fastest:\t0.0009 secs

Status code distribution:
  [200]\t120 responses
  [503]\t3 responses

Error distribution:
  [2]\tGet "http://127.0.0.1:30007/": dial tcp 127.0.0.1:30007: connect: connection refused
  [1]\tGet "http://127.0.0.1:30007/": read tcp 127.0.0.1:51234->127.0.0.1:30007: read: connection reset by peer
"""


def row(**more: object) -> Row:
    return Row(name="x", what="x", unit="s", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("measured", "holds"),
    [
        (row(ours=10, limit=10), True),
        (row(ours=10.1, limit=10), False),
        (row(ours=3, raw=2, limit_ratio=1.5), True),
        (row(ours=3.1, raw=2, limit_ratio=1.5), False),
        (row(ours=3, limit_ratio=1.5), False),
        (row(ours=0, raw=4, limit=0, raw_more_than=0), True),
        (row(ours=0, raw=0, limit=0, raw_more_than=0), False),
        (row(ours=1, raw=4, limit=0, raw_more_than=0), False),
        (row(ours=1.9, raw=1, limit_more=1), True),
        (row(ours=2.1, raw=1, limit_more=1), False),
        (row(ours=0.5, limit_more=1), False),
        (row(limit=10), False),
        (row(ours=1, error="the lab is down"), False),
    ],
)
def test_a_row_holds_only_when_every_bound_was_measured_and_kept(measured: Row, holds: bool) -> None:
    assert measured.holds is holds
    assert measured.data()["holds"] is holds


def test_everything_but_200_is_a_failed_request() -> None:
    found = load.parse(REPORT, "kind")
    assert (found.answered, found.failed, found.sent, found.slowest) == (120, 6, 126, 0.0213)
    assert found.errors["kind: status 503"] == 3
    assert sum(count for text, count in found.errors.items() if "refused" in text) == 2
    assert sum(count for text, count in found.errors.items() if "reset" in text) == 1


def test_a_load_that_reported_nothing_is_not_a_pass() -> None:
    with pytest.raises(Stop, match="reported nothing"):
        load.parse("panic: no such host", "kind")


@pytest.mark.parametrize(
    "url", ["http://example.com/", "http://127.0.0.1.example.com/", "http://127.0.0.1:80@example.com/"]
)
def test_load_is_sent_to_this_machine_only(c: Context, url: str) -> None:
    with pytest.raises(Stop, match="only sent to this machine"), load.under_load(c, url):
        pass


def test_rows_are_chosen_by_name_and_kept_in_order() -> None:
    assert measuring.choose(["lab-up", "list"]) == ["list", "lab-up"]
    assert measuring.choose([])[-1] == "lab-up"
    with pytest.raises(Stop, match="unknown rows nope; there are: list,") as caught:
        measuring.choose(["nope"])
    assert caught.value.code == Code.USAGE


def test_a_row_that_invoke_takes_for_a_task_stops_before_it_runs() -> None:
    with pytest.raises(Stop, match="rows are named after two dashes") as caught:
        measuring.refuse_strays(["inv", "bench", "rollback"], [])
    assert caught.value.fix == "./inv bench -- rollback"
    measuring.refuse_strays(["inv", "bench", "--row", "rollback", "--", "list"], ["rollback", "list"])


def test_a_row_that_cannot_be_measured_does_not_hold_and_does_not_stop_the_others(
    c: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Stage) -> Row:
        """Something, somehow."""
        raise Stop("the lab is down")

    monkeypatch.setattr(measuring, "MEASURES", {"one": broken, "two": lambda _: row(ours=1, limit=2)})
    one, two = measuring.measure(c, [])
    assert (one.error, one.holds) == ("the lab is down", False)
    assert two.holds
