"""The benchmark's row about alerts: with real programs and short times, and what it waits for by the shipped files."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib.bench import alert_lab, alerting, measuring
from tasks.lib.bench.alerting import Times, Waits
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage
from tasks.lib.errors import Code, Stop
from tasks.lib.observe.files import FOLDER, load

SHORT = Times(
    scrape=1,
    rules={"interval: 15s": "interval: 1s", "for: 2m": "for: 2s", "[5m]": "[10s]"},
    routes={"group_wait: 10s": "group_wait: 1s"},
)


@pytest.mark.slow
def test_a_fault_is_timed_until_the_channel_has_it(c: Context) -> None:
    row = alerting.alert(Stage(c), SHORT)
    assert row.raw == 1 + 1 + 2 + 1
    assert row.ours is not None and row.ours >= 2  # nothing is told before it has held
    assert row.ratio is not None
    assert row.holds is (row.ratio <= 1.2)
    assert row.bound == "ratio <= 1.2"
    assert "shortened" in row.notes[0]


@pytest.mark.slow
def test_without_a_fault_nothing_is_measured(c: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting, "FAULT", {})
    monkeypatch.setattr(measuring, "MEASURES", {"alert": lambda stage: alerting.alert(stage, SHORT)})
    (row,) = measuring.measure(c, ["alert"])
    assert row.error == "no message after 12 s"
    assert not row.holds


def test_what_is_shipped_makes_an_alert_wait_160_s_at_most() -> None:
    assert alerting.waited_for(FOLDER, 15) == Waits(scrape=15, interval=15, hold=120, group=10)
    assert alerting.waited_for(FOLDER, 15).total == 160


def test_outside_production_messages_are_collected_longer() -> None:
    assert alerting.waited_for(FOLDER, 15, 'severity="critical"') == Waits(scrape=15, interval=15, hold=120, group=30)
    with pytest.raises(Stop, match="no HighErrorRate with a route for severity"):
        alerting.waited_for(FOLDER, 15, 'severity="none"')


def test_in_the_lab_other_messages_do_not_count() -> None:
    came: alerting.Messages = queue.Queue()
    names = ("DeployFailed in bench-1", "HighErrorRate in other", "HighErrorRate in bench-1")
    for moment, name in enumerate(names, start=1):
        came.put((float(moment), {"attachments": [{"title": f"{name} (critical)"}]}))
    assert alert_lab._told(came, "HighErrorRate in bench-1", 1) == 3.0
    with pytest.raises(Stop, match="no message 'HighErrorRate in bench-1' after 0 s"):
        alert_lab._told(came, "HighErrorRate in bench-1", 0.01)


def test_a_drill_leaves_the_release_and_other_values_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text('{"release": {"tag": "a"}, "values": {"service": {"type": "NodePort"}}}')
    alert_lab._edit(file, {"errors": 1})
    assert load(file) == {"release": {"tag": "a"}, "values": {"service": {"type": "NodePort"}, "faults": {"errors": 1}}}
    assert '"tag": "a"' in file.read_text(), "the raw script of another row finds its line by these quotes"


def test_another_message_is_not_taken_for_it() -> None:
    came: alerting.Messages = queue.Queue()
    came.put((1.0, {"attachments": [{"title": "ServiceDown in production (critical)"}]}))
    with pytest.raises(Stop, match="another message came first: ServiceDown") as stopped:
        alerting._message(came, 1)
    assert stopped.value.code == Code.COULD_NOT_RUN


def test_texts_that_are_no_longer_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("for: 2m")
    with pytest.raises(Stop, match=r"service\.yaml: 'for: 9m' is not there any more"):
        alerting._replace(tmp_path / "service.yaml", {"for: 9m": "for: 1s"})


def test_slower_than_the_bound_does_not_hold() -> None:
    made = Row(name="alert", what="x", unit="s", ours=193, raw=160, limit_ratio=alerting.LIMIT)
    assert not made.holds
    assert made.model_copy(update={"ours": 191}).holds
