"""What Git's log of an environment comes to, as a log and as metrics."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from invoke.context import Context
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tasks.lib import desired, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event
from tasks.lib.observe import delivery, delivery_text, panels
from tasks.lib.observe.delivery import Known, Outcome, Restore
from tests.lib.conftest import git, world
from tests.lib.stages import NOON, Stages, stages
from tests.observe.conftest import NEW, environment, known, record

__all__ = ["stages", "world"]
A, B, C = "a" * 40, "b" * 40, "c" * 40


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def events(*told: tuple[float, Action, str]) -> list[Event]:
    """Newest first; told oldest first: minutes after noon, action, release."""
    return [
        Event(commit=f"{place}", time=at(minutes), environment="local", action=action, release=sha)
        for place, (minutes, action, sha) in enumerate(told)
    ][::-1]


def outcomes(found: delivery.Log) -> list[Outcome | None]:
    return [deploy.outcome for deploy in found.deploys]


def test_a_release_that_arrived() -> None:
    found = delivery.log(events((0, Action.DEPLOY, A), (2, Action.ARRIVED, A)))
    assert (outcomes(found), found.rollbacks, found.restores) == ([Outcome.ARRIVED], [], [])
    assert found.deploys[0].arrived == at(2)


def test_what_is_under_way_has_no_outcome_yet_and_then_the_one_that_it_comes_to() -> None:
    assert outcomes(delivery.log(events((0, Action.DEPLOY, A)))) == [None]
    assert outcomes(delivery.log(events((0, Action.DEPLOY, A), (1, Action.DEPLOY, B)))) == [Outcome.SUPERSEDED, None]


def test_a_failed_deploy_hurts_from_its_own_commit_until_the_old_release_arrived_again() -> None:
    found = delivery.log(
        events(
            (0, Action.DEPLOY, A),
            (1, Action.ARRIVED, A),
            (60, Action.DEPLOY, B),
            (63, Action.ROLLBACK, A),
            (64, Action.ARRIVED, A),
        )
    )
    assert outcomes(found) == [Outcome.ARRIVED, Outcome.FAILED]
    assert len(found.rollbacks) == 1
    assert found.restores == [Restore(at(64), 240.0)]


def test_a_release_that_arrived_and_was_taken_back_by_hand_stays_arrived_and_counts_as_a_rollback() -> None:
    """A counter that goes back would look like a restart of who counts."""
    found = delivery.log(
        events(
            (0, Action.DEPLOY, A),
            (1, Action.ARRIVED, A),
            (60, Action.PROMOTE, B),
            (61, Action.ARRIVED, B),
            (90, Action.ROLLBACK, A),
            (91, Action.ARRIVED, A),
        )
    )
    assert outcomes(found) == [Outcome.ARRIVED, Outcome.ARRIVED]
    assert (len(found.rollbacks), found.restores) == (1, [Restore(at(91), 31 * 60.0)])


def test_two_rollbacks_in_a_row_are_one_trouble_and_a_fix_ends_it_too() -> None:
    found = delivery.log(
        events(
            (0, Action.DEPLOY, A),
            (1, Action.ROLLBACK, B),
            (2, Action.ROLLBACK, C),
            (5, Action.DEPLOY, A),
            (6, Action.ARRIVED, A),
        )
    )
    assert (len(found.rollbacks), found.restores) == (2, [Restore(at(6), 360.0)])


def test_a_rollback_to_nothing_restores_nothing() -> None:
    assert delivery.log(events((0, Action.DEPLOY, A), (1, Action.ROLLBACK, ""))).restores == []


def test_freezes_approvals_and_arrivals_of_others_move_nothing() -> None:
    found = delivery.log(
        events(
            (0, Action.DEPLOY, A),
            (1, Action.FREEZE, ""),
            (2, Action.APPROVE, B),
            (3, Action.ARRIVED, B),
            (4, Action.ARRIVED, A),
            (5, Action.ARRIVED, A),
        )
    )
    assert outcomes(found) == [Outcome.ARRIVED]
    assert found.deploys[0].arrived == at(4)


def test_lead_time_is_of_first_arrivals_within_the_window_whose_commit_is_there() -> None:
    found = delivery.log(
        events(
            (0, Action.DEPLOY, A),
            (10, Action.ARRIVED, A),
            (20, Action.DEPLOY, B),
            (30, Action.ARRIVED, B),
            (40, Action.DEPLOY, A),
            (50, Action.ARRIVED, A),
            (60, Action.DEPLOY, C),
            (70, Action.ARRIVED, C),
        )
    )
    commits = {A: at(0), B: at(0)}
    assert found.lead_time(at(0), commits) == 20 * 60  # the median of 10 and 30 minutes
    assert found.lead_time(at(11), commits) == 30 * 60
    assert found.lead_time(at(31), commits) is None


def samples(text: str) -> dict[tuple[str, ...], float]:
    """The value of each series by name and label values, in the order of the labels' names; without local."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            assert one.labels.pop("environment") == "local"
            found[(one.name, *(one.labels[label] for label in sorted(one.labels)))] = one.value
    return found


def test_the_metrics_of_two_days() -> None:
    now = datetime(2026, 3, 1, tzinfo=timezone.utc)
    found = samples(delivery_text.text(known(now)))
    assert found["slipway_release_info", "true", NEW] == 1
    assert found["slipway_release_timestamp_seconds", "deploy", NEW] == now.timestamp() - 4
    assert {key[1]: value for key, value in found.items() if key[0] == "slipway_deploys_total"} == {
        "arrived": 2,
        "failed": 1,
        "superseded": 0,
    }
    assert found["slipway_rollbacks_total",] == 1
    assert found["slipway_restore_time_seconds",] == 86400 - (86400 - 130)
    # 3 h less the minute until the first release arrived, and an hour less three seconds: the middle of both
    assert found["slipway_lead_time_seconds",] == ((3 * 3600 + 60) + (3600 - 3)) / 2
    assert found["slipway_last_event_timestamp_seconds", "rollback"] == now.timestamp() - 86300
    assert found["slipway_events_total", "freeze"] == 0
    assert found["slipway_gate_outcome", "config", "pass", NEW, "t 1"] == 1
    assert found["slipway_gate_findings", "config", "MEDIUM"] == 2
    assert found["slipway_record_verified",] == 1
    assert found["slipway_gate_database_max_age_seconds",] == 7 * 86400
    assert not [key for key in found if key[0] == "slipway_drift_places"]


def test_drift_is_told_where_somebody_asked() -> None:
    for places in (0, 2):
        told = Known(environment(), [], {}, None, NOON, drift=places)
        assert samples(delivery_text.text(told))["slipway_drift_places", "cluster"] == places


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    found = samples(delivery_text.text(Known(environment(), [], {}, None, NOON)))
    names = {key[0] for key in found}
    assert not names & {"slipway_release_info", "slipway_lead_time_seconds", "slipway_restore_time_seconds"}
    assert not names & {"slipway_gate_outcome", "slipway_gate_database_timestamp_seconds"}
    assert found["slipway_deploys_total", "arrived"] == found["slipway_record_verified",] == 0


def test_an_arrival_before_the_last_move_does_not_count_as_this_ones() -> None:
    told = events((0, Action.DEPLOY, A), (1, Action.ARRIVED, A), (2, Action.DEPLOY, B), (3, Action.ROLLBACK, A))
    found = samples(delivery_text.text(Known(environment(), told, {}, None, at(4))))
    assert found["slipway_release_info", "false", A] == 1


def test_only_the_last_30_days_are_recent() -> None:
    told = events((0, Action.DEPLOY, A), (1, Action.ARRIVED, A))
    found = samples(delivery_text.text(Known(environment(), told, {}, None, at(60 * 24 * 31))))
    assert found["slipway_deploys_total", "arrived"] == 1
    assert found["slipway_recent_deploys", "arrived"] == 0


@pytest.mark.slow
def test_from_the_log_of_a_real_remote(stages: Stages, monkeypatch: pytest.MonkeyPatch, c: Context) -> None:
    stages.at(-30)
    sha = stages.world.commit("service/app.py")
    stages.arrive(stages.a, 0, sha)
    monkeypatch.setattr(delivery.target, "of", lambda c, env, up: stages.a.target)

    def no_record(*words: object) -> object:
        raise Stop("signature: no signed release record", Code.REFUSED)

    monkeypatch.setattr(delivery.publish, "fetch_record", no_record)
    found, missing = delivery.look(c, stages.a.env, at(60))
    assert missing == "signature: no signed release record"
    assert delivery.log(found.events).lead_time(NOON, found.commits) == 31 * 60
    monkeypatch.setattr(delivery.publish, "fetch_record", lambda *words: record())
    assert delivery.look(c, stages.a.env, at(60))[1] == ""


@pytest.mark.slow
def test_a_commit_that_the_remote_does_not_hold_is_left_out(stages: Stages, c: Context) -> None:
    sha = stages.world.commit("service/app.py")
    stages.arrive(stages.a, 0, sha)
    clone = desired.fetch(c, stages.a.target).clone
    asked = events((0, Action.DEPLOY, sha), (1, Action.DEPLOY, "d" * 40), (2, Action.DEPLOY, "--all"))
    assert list(delivery.commit_times(c, clone, asked)) == [sha]
    assert git(clone, "rev-parse", sha) == sha


def test_every_series_of_ours_that_rules_and_panels_ask_for_is_written_with_its_labels() -> None:
    everything = replace(known(NOON), drift=0, databases={"advisories": NOON})
    written: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(delivery_text.text(everything)):
        for one in family.samples:
            written.setdefault(one.name, set()).update(one.labels)
    for name, labels in YAML(typ="safe").load((paths.ROOT / "alerts" / "series.yaml").read_text())["slipway"].items():
        assert set(labels) <= written[name], name
    asked = {
        found for path in panels.GENERATED.glob("*.json") for found in re.findall(r"slipway_\w+", path.read_text())
    }
    assert len(asked) > 8
    assert asked <= set(written)
