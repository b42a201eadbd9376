"""Freeze: two commits and the clock; deploy and promote refuse alike, the way back stays open, it ends by itself."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tasks.lib import delivery, desired, freezing, guards, history, moments, rollback
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event, message, parse
from tests.lib.conftest import git
from tests.lib.stages import BOB, NOON, Stages, release, stages

__all__ = ["stages"]
EVENING = NOON + timedelta(hours=6)


def frozen(stages: Stages, until: datetime = EVENING) -> str:
    """The SHA of what soaked in staging; production was frozen fifty minutes after noon."""
    sha = git(stages.world.checkout, "rev-parse", "HEAD")
    stages.arrive(stages.a, 0, sha)
    stages.note(stages.b, 50, Action.FREEZE, "", reason="database moves", until=until)
    return sha


@pytest.mark.slow
def test_a_freeze_reads_back_from_its_commit(stages: Stages) -> None:
    frozen(stages)
    found = history.freeze(stages.events(stages.b), NOON + timedelta(hours=1))
    assert found is not None
    assert (found.until, found.reason, found.by) == (EVENING, "database moves", BOB)
    log = git(stages.world.remote, "log", "-1", "--format=%B", "main")
    assert log.startswith("production: freeze [skip ci]\n")
    assert "Slipway-Until: 2026-01-01T18:00:00+00:00" in log


@pytest.mark.slow
def test_promote_is_refused_while_it_holds(stages: Stages) -> None:
    sha = frozen(stages)
    refused = stages.refusal(60, sha)
    assert refused.sentence == (
        f"frozen: production takes no release: database moves ({BOB}); since 2026-01-01 12:50:00 UTC; "
        "until 2026-01-01 18:00:00 UTC"
    )
    assert (refused.code, refused.fix) == (Code.REFUSED, "./inv unfreeze --env production --reason WHY")


@pytest.mark.slow
def test_it_ends_by_itself_at_its_time(stages: Stages) -> None:
    sha = frozen(stages)
    assert [stop.sentence.split(":")[0] for stop in stages.refusals(359.9, sha)] == ["frozen"]
    assert stages.refusals(360, sha) == []


@pytest.mark.slow
def test_it_ends_when_it_is_lifted_and_the_newest_freeze_counts(stages: Stages) -> None:
    sha = frozen(stages)
    stages.note(stages.b, 70, Action.UNFREEZE, "", reason="moved")
    assert stages.refusals(80, sha) == []
    stages.note(stages.b, 90, Action.FREEZE, "", reason="again", until=NOON + timedelta(hours=2))
    assert "production takes no release: again" in stages.refusal(100, sha).sentence
    assert stages.refusals(121, sha) == []


@pytest.mark.slow
def test_deploy_and_bump_are_refused_as_promote_is(stages: Stages) -> None:
    """In staging, which needs no promotion; the transaction asks, so a freeze in between counts."""
    sha = git(stages.world.checkout, "rev-parse", "HEAD")
    stages.arrive(stages.a, 0, sha)
    far = datetime.now(timezone.utc) + timedelta(days=1)
    stages.note(stages.a, 50, Action.FREEZE, "", reason="holiday", until=far)
    newer = stages.world.commit("newer")
    with pytest.raises(Stop, match="frozen: staging takes no release: holiday") as caught:
        delivery.bump(stages.a, release(newer))
    assert caught.value.code == Code.REFUSED
    assert delivery.bump(stages.a, release(sha)).release == release(sha)  # what runs there may be deployed again


@pytest.mark.slow
def test_rollback_stays_allowed(stages: Stages) -> None:
    a = git(stages.world.checkout, "rev-parse", "HEAD")
    stages.arrive(stages.a, 0, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 10, b)
    far = datetime.now(timezone.utc) + timedelta(days=1)
    stages.note(stages.a, 50, Action.FREEZE, "", reason="holiday", until=far)
    before = desired.fetch(stages.c, stages.a.target)
    after = rollback.commit(stages.a, before, release(a), "by hand")
    assert after.release == release(a)
    assert history.freeze(after.events, datetime.now(timezone.utc)) is not None


@pytest.mark.slow
def test_a_freeze_does_not_hide_a_rollback_that_was_not_finished(stages: Stages) -> None:
    """A rollback that was stopped before its proof is finished by the next one, also when a freeze came in between."""
    a = git(stages.world.checkout, "rev-parse", "HEAD")
    stages.arrive(stages.a, 0, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 10, b)
    stages.note(stages.a, 20, Action.ROLLBACK, a, held=b)
    stages.note(stages.a, 30, Action.FREEZE, "", reason="holiday", until=EVENING)
    assert rollback.preflight(stages.a, desired.fetch(stages.c, stages.a.target), "") == release(a)


def test_an_end_that_nobody_can_read_holds_until_it_is_lifted() -> None:
    text = message(Event(environment="local", action=Action.FREEZE, reason="r", until=EVENING))
    found = parse("", 0, text.replace("2026-01-01T18", "soon"))
    assert found is not None
    assert history.freeze([found], EVENING + timedelta(days=999)) == found


@pytest.mark.slow
def test_a_guard_speaks_of_the_end_that_nobody_knows(stages: Stages) -> None:
    frozen(stages)
    state = stages.note(stages.b, 51, Action.FREEZE, "", reason="r")
    with pytest.raises(Stop, match="until somebody unfreezes it"):
        guards.frozen(state, "a" * 40)


@pytest.mark.parametrize(
    ("until", "found"),
    [
        ("4h", NOON + timedelta(hours=4)),
        ("90s", NOON + timedelta(seconds=90)),
        ("2026-01-02", NOON + timedelta(hours=12)),
        ("2026-01-01T18:00", EVENING),
        ("2026-01-01T18:00Z", EVENING),
        ("2026-01-01T19:00+01:00", EVENING),
    ],
)
def test_moments_as_people_type_them(until: str, found: datetime) -> None:
    assert freezing.end(until, NOON, "staging") == found


@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("", "--until is missing; a freeze ends by itself"),
        ("tomorrow", "--until: 'tomorrow' is neither a time such as 2026-12-24T18:00 (UTC) nor a duration such as 4h"),
        ("2026-13-01", "is neither a time"),
        ("0s", "2026-01-01 12:00:00 UTC is over"),
        ("2025-12-31", "2025-12-31 00:00:00 UTC is over"),
        ("9999999d", "is neither a time"),
        ("-4h", "is neither a time"),
    ],
)
def test_what_is_no_end_changes_nothing(until: str, says: str) -> None:
    with pytest.raises(Stop) as caught:
        freezing.end(until, NOON, "staging")
    assert says in caught.value.sentence
    assert (caught.value.code, caught.value.fix) == (Code.USAGE, "./inv freeze --env staging --until 4h --reason WHY")


def test_lengths_for_people() -> None:
    assert moments.length(timedelta(seconds=45)) == "45 s"
    assert moments.length(timedelta(minutes=80)) == "1 h 20 min"
    assert moments.length(timedelta(days=2, hours=3, minutes=4)) == "2 d 3 h"
    assert moments.length(timedelta(seconds=-1)) == "0 s"


@pytest.mark.slow
def test_the_two_tasks_write_what_the_guards_read(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = git(stages.world.checkout, "rev-parse", "HEAD")
    stages.arrive(stages.a, 0, sha)
    env = stages.b.env
    monkeypatch.setattr(freezing.delivery, "open_", lambda *_, **__: stages.b)
    with pytest.raises(Stop, match="--reason is missing") as caught:
        freezing.freeze(stages.c, env, "4h", " ", yes=True)
    assert caught.value.fix == "./inv freeze --env production --until 4h --reason WHY"
    with pytest.raises(Stop, match="add --yes") as caught:
        freezing.freeze(stages.c, env, "4h", "drill")
    assert (caught.value.code, stages.events(stages.b)) == (Code.USAGE, [])
    freezing.freeze(stages.c, env, "4h", "drill", yes=True)
    (event,) = stages.events(stages.b)
    assert (event.action, event.reason) == (Action.FREEZE, "drill")
    now = datetime.now(timezone.utc)
    assert event.until is not None
    assert timedelta(hours=3, minutes=59) < event.until - now <= timedelta(hours=4)
    freezing.unfreeze(stages.c, env, "over", yes=True)
    assert history.freeze(stages.events(stages.b), now) is None
    freezing.unfreeze(stages.c, env, "over", yes=True)
    assert len(stages.events(stages.b)) == 2
    assert "production is not frozen" in capsys.readouterr().out
