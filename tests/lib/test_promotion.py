"""Promotion over a real remote: each rule refuses with its name, since when, until when, and what to type."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.lib import approvals, approving, desired, guards, promotion, promotion_rules, soak, why
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Hold
from tasks.lib.soak import Trouble
from tests.lib.conftest import git
from tests.lib.shop import Shop, shared, shop
from tests.lib.signed import made, with_gate
from tests.lib.stages import BOB, Stages, release, ssh_key, stages

__all__ = ["shared", "shop", "stages"]


def head(stages: Stages) -> str:
    return git(stages.world.checkout, "rev-parse", "HEAD")


def promote(stages: Stages, sha: str, lift: bool = False) -> desired.State:
    """The commit of a promotion, its rules asked inside the transaction."""
    assert stages.b.env.promotion
    return promotion._commit(stages.a, stages.b, release(sha), stages.b.env.promotion, "why", lift)


# ------------------------------------------------------------------------------------------------------------ soak


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


# ---------------------------------------------------------------------------------------------- way, hold, supersession


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


def promote_at(stages: Stages, minutes: float, sha: str, lift: bool = False) -> desired.State:
    stages.at(minutes)
    return promote(stages, sha, lift)


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


# ------------------------------------------------------------------------------------------------------- approvals


@pytest.fixture
def people(stages: Stages, tmp_path: Path) -> dict[str, Path]:
    """Key files by person; production asks for two approvals, and knows Bob, Cid and Ann, who writes the releases."""
    keys = {name: ssh_key(tmp_path, name) for name in ("ann", "bob", "cid", "eve")}
    lines = [f"{name}@example.com {keys[name][1]}\n" for name in ("ann", "bob", "cid")]
    stages.world.commit("gitops/allowed_signers", "".join(lines))
    stages.asks(approvals={"required": 2})
    return {name: private for name, (private, _) in keys.items()}


def approve(stages: Stages, minutes: float, sha: str, key: Path | None, image: str = "") -> None:
    stages.at(minutes)
    event = stages.b.event(Action.APPROVE, sha, digest=release(sha, image).digest)
    change = desired.Change(event, key=str(key) if key else "")
    desired.transact(stages.c, stages.b.target, lambda _: change, publish=sha)


def agreed(stages: Stages, sha: str, **env: str) -> approvals.Agreed:
    assert stages.b.env.promotion
    state = desired.fetch(stages.c, stages.b.target)
    return approvals.of(stages.c, state, release(sha), stages.b.env.promotion.approvals, env)


@pytest.mark.slow
def test_as_many_different_people_as_asked_for_must_sign(stages: Stages, people: dict[str, Path]) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    refused = stages.refusal(60, sha)
    assert refused.sentence == (
        f"approvals: {sha[:12]} has 0 of the 2 that production asks for; "
        "until enough people who are listed in gitops/allowed_signers have approved it"
    )
    assert refused.fix == f"./inv approve --env production --release {sha[:12]}"
    approve(stages, 61, sha, people["bob"])
    approve(stages, 62, sha, people["bob"])
    assert agreed(stages, sha).names == ["bob@example.com"]
    refused = stages.refusal(63, sha)
    assert (
        "has 1 of the 2 that production asks for (bob@example.com); since 2026-01-01 13:01:00 UTC" in refused.sentence
    )
    approve(stages, 64, sha, people["cid"])
    assert stages.refusals(65, sha) == []
    assert promote_at(stages, 66, sha).release == release(sha)


@pytest.mark.slow
def test_whose_signature_does_not_count(stages: Stages, people: dict[str, Path]) -> None:
    """The author's own, one that is not listed, none at all, and one under another image of the commit."""
    sha = head(stages)
    approve(stages, 1, sha, people["ann"])
    approve(stages, 2, sha, people["eve"])
    approve(stages, 3, sha, None)
    approve(stages, 4, sha, people["bob"], image="33333333")
    found = agreed(stages, sha)
    assert found.names == []
    assert found.others == [
        "ann@example.com is the release's author",
        f"{BOB} signed with no key of gitops/allowed_signers",
        f"{BOB} signed with no key of gitops/allowed_signers",
        f"{BOB} agreed to another image of it",
    ]


@pytest.mark.slow
def test_the_list_is_the_remotes_and_not_the_checkouts(stages: Stages, people: dict[str, Path], tmp_path: Path) -> None:
    sha = head(stages)
    approve(stages, 1, sha, people["eve"])
    key = (tmp_path / "eve.pub").read_text()
    listed = stages.world.checkout / "gitops/allowed_signers"
    listed.write_text(listed.read_text() + f"eve@example.com {key}")
    assert agreed(stages, sha).names == []
    assert agreed(stages, head(stages)).names == []


@pytest.mark.slow
def test_one_key_under_two_names_is_one_approval(stages: Stages, people: dict[str, Path], tmp_path: Path) -> None:
    key = (tmp_path / "bob.pub").read_text().strip()
    sha = stages.world.commit("gitops/allowed_signers", f"bob@example.com {key}\nrob@example.com {key}\n")
    approve(stages, 1, sha, people["bob"])
    approve(stages, 2, sha, people["bob"])
    assert agreed(stages, sha).names == ["bob@example.com"]


@pytest.mark.slow
def test_a_key_that_is_no_longer_valid_or_no_longer_listed_does_not_count(
    stages: Stages, people: dict[str, Path], tmp_path: Path
) -> None:
    key = (tmp_path / "bob.pub").read_text().strip()
    old = f'bob@example.com valid-before="20250101" {key}\n'
    sha = stages.world.commit("gitops/allowed_signers", f"bob@example.com {key}\n")
    approve(stages, 1, sha, people["bob"])
    assert agreed(stages, sha).names == ["bob@example.com"]
    for text in (old, "# nobody\n", ""):
        newer = stages.world.commit("gitops/allowed_signers", text)
        stages.note(stages.a, 2, Action.LIFT, newer)  # brings the file to the remote
        assert agreed(stages, sha).names == []


@pytest.mark.slow
def test_a_signature_under_other_words_does_not_count(stages: Stages, people: dict[str, Path]) -> None:
    """An approval of one release, its words changed to name another."""
    sha = head(stages)
    approve(stages, 1, sha, people["bob"])
    remote = stages.world.remote
    text = git(remote, "cat-file", "commit", "main")
    newer = stages.world.commit("newer")
    for old, new in ((f"Release: {sha}", f"Release: {newer}"), (release(sha).digest, release(newer).digest)):
        text = text.replace(old, new)
    forged = remote / "forged"
    forged.write_text(text + "\n")
    git(remote, "update-ref", "refs/heads/main", git(remote, "hash-object", "-t", "commit", "-w", str(forged)))
    stages.note(stages.a, 2, Action.LIFT, newer)
    found = agreed(stages, newer)
    assert (found.names, len(found.others)) == ([], 1)


def test_without_a_key_approve_says_how_to_get_one(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    with pytest.raises(Stop, match="no SSH key to sign with") as caught:
        approvals.own_key(stages.c, stages.world.checkout)
    assert caught.value.code == Code.COULD_NOT_RUN
    git(stages.world.checkout, "config", "gpg.format", "ssh")
    git(stages.world.checkout, "config", "user.signingKey", "/keys/mine.pub")
    assert approvals.own_key(stages.c, stages.world.checkout) == "/keys/mine.pub"


@pytest.mark.slow
def test_approve_signs_what_soaks_and_says_how_many_are_missing(
    stages: Stages, people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    monkeypatch.setattr(approving.settings, "load", lambda *_: stages.a.env)
    monkeypatch.setattr(
        approving.delivery, "open_", lambda _, env, **__: stages.a if env.name == "staging" else stages.b
    )
    git(stages.world.checkout, "config", "gpg.format", "ssh")
    git(stages.world.checkout, "config", "user.signingKey", str(people["bob"]))
    approving.approve(stages.c, stages.b.env, yes=True)
    assert agreed(stages, sha).names == ["bob@example.com"]
    assert f"{sha[:12]} has 1 of 2 approvals for production" in capsys.readouterr().out
    git(stages.world.checkout, "config", "user.signingKey", str(people["eve"]))
    approving.approve(stages.c, stages.b.env, yes=True)
    assert "signed with no key of gitops/allowed_signers" in capsys.readouterr().out
    stages.asks()
    with pytest.raises(Stop, match="production asks for no approvals") as caught:
        approving.approve(stages.c, stages.b.env, yes=True)
    assert caught.value.code == Code.USAGE


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


JOB = {
    "GITLAB_CI": "true",
    "CI_JOB_MANUAL": "true",
    "CI_COMMIT_REF_PROTECTED": "true",
    "CI_ENVIRONMENT_NAME": "production",
    "GITLAB_USER_LOGIN": "bob",
    "GITLAB_USER_EMAIL": "bob@example.com",
}


@pytest.mark.slow
def test_who_starts_the_protected_environments_job_is_one_approval(stages: Stages) -> None:
    sha = head(stages)
    stages.arrive(stages.a, 0, sha)
    stages.asks(approvals={"required": 1, "gitlab": True})
    assert agreed(stages, sha, **JOB).names == ["bob@example.com"]
    for name in ("GITLAB_CI", "CI_JOB_MANUAL", "CI_COMMIT_REF_PROTECTED", "CI_ENVIRONMENT_NAME"):
        assert agreed(stages, sha, **{**JOB, name: "staging"}).names == []
    assert agreed(stages, sha, **{**JOB, "GITLAB_USER_EMAIL": "ann@example.com"}).names == []  # the author
    stages.asks(approvals={"required": 1})
    assert agreed(stages, sha, **JOB).names == []


# ---------------------------------------------------------------------------------------------------------- record


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
