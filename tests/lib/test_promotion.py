"""Promotion over a real remote: each rule refuses with its name, since when, until when, and what to type."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.lib import desired, guards, promotion, promotion_rules, soak
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Hold
from tasks.lib.soak import Trouble
from tests.lib.conftest import git
from tests.lib.shop import Shop, shared, shop
from tests.lib.signed import made, with_gate
from tests.lib.stages import BOB, Stages, head, promote, promote_at, release, stages

__all__ = ["shared", "shop", "stages"]


@pytest.mark.slow
def test_a_release_that_soaked_is_promoted_as_the_very_lines_that_soaked(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    assert stages.refusals(31, sha) == []
    state = promote(stages, sha)
    assert state.release == release(sha)
    event = stages.events(stages.b)[0]
    assert (event.action, event.release, event.source, event.by) == (Action.PROMOTE, sha, "staging", BOB)
    log = git(stages.world.remote, "log", "-1", "--format=%B", "main")
    assert f"production: promote {sha[:8]} [skip ci]" in log
    assert "Slipway-From: staging" in log
    assert desired.fetch(stages.c, stages.a.target).release == release(sha)


@pytest.mark.slow
def test_before_the_soak_is_over_it_is_refused(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    refused = stages.refusal(13, sha)
    assert refused.code == Code.REFUSED
    assert refused.sentence == (
        f"soak: {sha[:12]} ran healthy in staging for 12 min of the 30 min that production asks for; "
        "since 2026-01-01 12:01:00 UTC; until 2026-01-01 12:31:00 UTC"
    )
    assert refused.fix == f"./inv promote --from staging --to production --release {sha[:12]}"
    with pytest.raises(Stop, match="soak: "):
        stages.at(13)
        stages.asks(soak="999d")
        promote(stages, sha)
    assert not desired.fetch(stages.c, stages.b.target).release


@pytest.mark.slow
def test_what_never_was_there_or_never_arrived_is_refused(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    other = stages.world.commit("other")
    with pytest.raises(Stop) as caught:
        promotion_rules.candidate(stages.a, stages.note(stages.a, 2, Action.LIFT, other), other)
    assert caught.value.sentence == f"soak: {other[:12]} was never in staging; until it soaked there"
    assert caught.value.fix == f"./inv deploy --env staging --release {other[:12]}"
    stages.note(stages.a, 3, Action.DEPLOY, other)
    refused = stages.refusal(90, other)
    assert refused.sentence == (
        f"soak: {other[:12]} has not arrived healthy in staging; since 2026-01-01 12:03:00 UTC; "
        "until it arrives there and soaks"
    )


def test_nothing_in_the_environment_before_is_refused(stages: Stages) -> None:
    with pytest.raises(Stop) as caught:
        promotion_rules.candidate(stages.a, desired.fetch(stages.c, stages.a.target))
    assert caught.value.sentence == "soak: nothing runs in staging; until something does"
    assert caught.value.code == Code.REFUSED


@pytest.mark.slow
def test_an_earlier_release_that_soaked_may_be_named_and_one_that_did_not_may_not(stages: Stages) -> None:
    a = head(stages)
    stages.arrive(stages.a, 0, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 40, b)
    c = stages.world.commit("c")
    stages.arrive(stages.a, 50, c)
    state = desired.fetch(stages.c, stages.a.target)
    assert promotion_rules.candidate(stages.a, state, a[:9]) == release(a)
    assert promotion_rules.candidate(stages.a, state) == release(c)
    assert stages.refusals(55, a) == []
    refused = stages.refusal(99, b)
    assert refused.sentence == (
        f"soak: {b[:12]} ran healthy in staging for 9 min of the 30 min that production asks for, and something else "
        "runs there now; since 2026-01-01 12:50:00 UTC; until it runs there for 30 min in one piece"
    )
    assert refused.fix.startswith(f"./inv rollback --env staging --to {b[:12]}")


@pytest.mark.slow
def test_another_image_of_the_same_commit_soaks_anew(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha, "11111111")
    stages.arrive(stages.a, 40, sha, "22222222")
    assert "for 9 min of the 30 min" in stages.refusal(50, sha, image="22222222").sentence
    assert stages.refusals(50, sha, image="11111111") == []


@pytest.mark.slow
def test_what_was_taken_back_there_is_refused_however_long_it_ran(stages: Stages) -> None:
    a = head(stages)
    stages.arrive(stages.a, 0, a)
    b = stages.world.commit("b")
    stages.arrive(stages.a, 10, b)
    stages.note(stages.a, 60, Action.ROLLBACK, a, held=b, hold=Hold.DESCENDANTS, reason="500s")
    refused = stages.refusal(61, b)
    assert refused.sentence == (
        f"soak: {b[:12]} was rolled back in staging: 500s (Ann <ann@example.com>); since 2026-01-01 13:00:00 UTC; "
        "until its hold is lifted in staging"
    )
    # What somebody does there between the check and the push counts, too.
    with pytest.raises(Stop, match="was rolled back in staging"):
        promote(stages, b)


@pytest.mark.slow
def test_a_crash_that_the_cluster_remembers_starts_the_clock_again(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    trouble = Trouble(stages.at(20), "pod-1 ended with exit code 137")
    refused = stages.refusal(45, sha, trouble=trouble)
    assert refused.sentence == (
        f"soak: {sha[:12]} ran healthy in staging for 25 min of the 30 min that production asks for, counted from when "
        "pod-1 ended with exit code 137; since 2026-01-01 12:20:00 UTC; until 2026-01-01 12:50:00 UTC"
    )
    assert stages.refusals(50, sha, trouble=trouble) == []


def cluster(*, exit_code: int = 0) -> Any:
    """What the Kubernetes client answers about one Deployment and one pod, ten and five minutes after noon."""
    moment = Stages.at(SimpleNamespace(patch=SimpleNamespace(setenv=lambda *_: None)), 10)  # type: ignore[arg-type]
    condition = SimpleNamespace(type="Available", status="True", last_transition_time=moment)
    deployment = SimpleNamespace(status=SimpleNamespace(conditions=[condition]))
    ended = SimpleNamespace(exit_code=exit_code, finished_at=moment.replace(minute=15))
    status = SimpleNamespace(last_state=SimpleNamespace(terminated=ended))
    pod = SimpleNamespace(metadata=SimpleNamespace(name="pod-1"), status=SimpleNamespace(container_statuses=[status]))
    return SimpleNamespace(
        apps=SimpleNamespace(list_namespaced_deployment=lambda *_, **__: SimpleNamespace(items=[deployment])),
        core=SimpleNamespace(list_namespaced_pod=lambda *_, **__: SimpleNamespace(items=[pod])),
    )


def test_the_newest_trouble_counts_and_an_orderly_end_is_none(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak.arrival, "missing", lambda *_: "")
    sha = head(stages)
    crashed = soak.healthy_now(cluster(exit_code=137), stages.a.target, release(sha))
    assert crashed == Trouble(stages.at(15), "pod-1 ended with exit code 137")
    calm = soak.healthy_now(cluster(), stages.a.target, release(sha))
    assert calm == Trouble(stages.at(10), "too few pods were ready")


def test_what_is_not_healthy_at_this_moment_is_refused(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak.arrival, "missing", lambda *_: "1 of 2 pods available")
    sha = head(stages)
    with pytest.raises(Stop) as caught:
        soak.healthy_now(cluster(), stages.a.target, release(sha))
    assert caught.value.sentence == (
        f"soak: {sha[:12]} is not healthy in staging at this moment: 1 of 2 pods available; "
        "until it ran healthy in staging again for its soak time"
    )
    assert caught.value.fix == "./inv status --env staging"


def test_releases_come_from_where_the_settings_say(stages: Stages) -> None:
    other = stages.a.env.model_copy(update={"name": "local"})
    with pytest.raises(Stop) as caught:
        promotion_rules.way(other, stages.b.env)
    assert caught.value.sentence == (
        "way: production takes releases from staging, not from local; "
        "until promotion.from in gitops/environments/production/environment.yaml says otherwise"
    )
    assert (caught.value.code, caught.value.fix) == (Code.REFUSED, "./inv promote --from staging --to production")
    with pytest.raises(Stop, match="staging has no promotion settings") as caught:
        promotion_rules.way(stages.b.env, stages.a.env)
    assert caught.value.code == Code.USAGE


@pytest.mark.slow
def test_a_deploy_does_not_go_past_the_promotion(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    state = desired.fetch(stages.c, stages.b.target)
    with pytest.raises(Stop) as caught:
        guards.direct(state, sha)
    assert caught.value.sentence == (
        "promotion only: production takes releases that soaked in staging, not by deploy; "
        "until `promotion` is taken out of gitops/environments/production/environment.yaml"
    )
    assert caught.value.fix == f"./inv promote --from staging --to production --release {sha[:12]}"
    guards.direct(promote_at(stages, 31, sha), sha)  # what runs there may be deployed again: it changes nothing
    from tasks.lib import delivery

    with pytest.raises(Stop, match="promotion only"):
        delivery.bump(stages.b, release(stages.world.commit("newer")))


def refused_record(shop: Shop) -> Stop:
    from tasks.lib.delivery import Delivery

    with pytest.raises(Stop) as caught:
        promotion_rules.record(Delivery(shop.c, shop.here, BOB), shop.release)
    assert caught.value.code == Code.REFUSED
    assert caught.value.fix
    return caught.value


@pytest.mark.slow
def test_only_a_signed_record_that_satisfies_the_policy_there_goes_on(shop: Shop) -> None:
    from tasks.lib.delivery import Delivery

    assert refused_record(shop).sentence.startswith("record: signature: image sha256:")
    shop.attach(with_gate("deps", outcome="findings"))
    refused = refused_record(shop)
    assert "predicate.gates.deps.outcome: findings; until its record satisfies staging" in refused.sentence
    from datetime import timedelta

    from tests.lib.signed import BUILT

    shop.attach(made(built=BUILT + timedelta(hours=1)))
    promotion_rules.record(Delivery(shop.c, shop.here, BOB), shop.release)


def test_an_image_that_is_gone_is_refused(shop: Shop) -> None:
    shop.release = shop.release.model_copy(update={"digest": "sha256:" + "0" * 64})
    assert "is gone from the registry; until its record satisfies" in refused_record(shop).sentence


def test_every_refusal_is_told_and_the_first_one_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Stop("first", Code.REFUSED, "a"), Stop("second", Code.REFUSED, "b")]
    with pytest.raises(Stop, match="first"):
        promotion.raise_first(found)
    assert "also second; next: b" in capsys.readouterr().out
    promotion.raise_first([])
