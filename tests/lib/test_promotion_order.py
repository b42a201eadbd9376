"""What was newer, was rolled back or was there before decides whether a release may be promoted, and `why` says it."""

from __future__ import annotations

import pytest

from tasks.lib import desired, why
from tasks.lib.errors import Stop
from tasks.lib.history import Action, Hold
from tests.lib.stages import BOB, Stages, head, promote_at, release, stages

__all__ = ["stages"]


@pytest.mark.slow
def test_an_older_release_does_not_replace_a_newer_one(stages: Stages) -> None:
    a = head(stages)
    stages.arrive(stages.a, 0, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 40, b)
    promote_at(stages, 80, b)
    refused = stages.refusal(90, a)
    assert refused.sentence == (
        f"superseded: production runs {b[:12]}, which is newer than {a[:12]}; since 2026-01-01 13:20:00 UTC"
    )
    assert refused.fix == f"./inv rollback --env production --to {a[:12]}"


def rolled_back(stages: Stages) -> tuple[str, str]:
    """a, then b in both environments, and b rolled back in production 100 minutes after noon."""
    a = head(stages)
    stages.arrive(stages.a, 0, a)
    promote_at(stages, 35, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 40, b)
    promote_at(stages, 80, b)
    stages.note(stages.b, 100, Action.ROLLBACK, a, held=b, hold=Hold.DESCENDANTS, reason="500s")
    return a, b


@pytest.mark.slow
def test_a_rolled_back_release_is_on_hold_until_it_is_named_with_a_reason(stages: Stages) -> None:
    _, b = rolled_back(stages)
    refused = stages.refusal(101, b)
    assert refused.sentence == (
        f"on hold: {b[:12]} was rolled back in production: 500s ({BOB}); since 2026-01-01 13:40:00 UTC; "
        "until a release that is newer than the rollback arrives in staging"
    )
    assert refused.fix == f"./inv promote --from staging --to production --release {b[:12]} --reason WHY"
    with pytest.raises(Stop, match="on hold"):
        promote_at(stages, 102, b)
    state = promote_at(stages, 103, b, lift=True)
    assert state.release == release(b)
    assert [event.action for event in state.events][:2] == [Action.PROMOTE, Action.LIFT]


@pytest.mark.slow
def test_a_newer_release_ends_the_hold_and_one_that_was_there_before_does_not(stages: Stages) -> None:
    a = head(stages)
    stages.arrive(stages.a, 0, a)
    promote_at(stages, 35, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 40, b)
    promote_at(stages, 80, b)
    there = stages.world.commit("there already")
    stages.arrive(stages.a, 90, there)
    stages.note(stages.b, 100, Action.ROLLBACK, a, held=b, hold=Hold.DESCENDANTS, reason="500s")
    assert stages.refusal(150, there).sentence.startswith(
        f"on hold: {there[:12]} contains {b[:12]}, which was rolled back in production: 500s"
    )
    newer = stages.world.commit("mended")
    stages.arrive(stages.a, 160, newer)
    assert stages.refusals(195, newer) == []


@pytest.mark.slow
def test_why_names_where_a_commit_is_and_what_blocks_it(stages: Stages) -> None:
    a, b = rolled_back(stages)
    newer = stages.world.commit("newer")
    state = stages.note(stages.a, 120, Action.LIFT, newer)  # brings the commit to the remote
    said = [
        why.where(desired.at(stages.c, stages.b.target, state.clone, state.head), sha, stages.b)[1] for sha in (a, b)
    ]
    assert said == ["runs here", "rolled back, on hold"]
    assert why.where(state, a, stages.a)[1] == f"is part of {b[:12]}"
    assert why.where(state, b, stages.a)[1:4] == (
        "runs here",
        "2026-01-01 12:40:00 UTC",
        "deploy, Ann <ann@example.com>",
    )
    assert why.where(state, newer, stages.a)[1] == "never was here"
    (blocked,) = why.blockers(stages.c, stages.b, state, newer, stages.a)
    assert blocked.sentence == f"soak: {newer[:12]} was never in staging; until it soaked there"
