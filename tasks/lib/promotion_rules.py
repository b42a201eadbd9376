"""What a promotion asks for: the way, the candidate, soak, freeze, hold, supersession, approvals and the record."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from tasks.lib import approvals, delivery, desired, git, guards, history, kube, publish, registry, soak, verify
from tasks.lib.delivery import Delivery
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.promotion_settings import Promotion
from tasks.lib.settings import Environment
from tasks.lib.soak import Spell, Trouble
from tasks.lib.values import Release


def way(source: Environment, env: Environment) -> Promotion:
    """The promotion settings of this way. Raises Stop (2) when there are none, and (5) when releases come elsewhere."""
    file = f"{env.folder}/environment.yaml"
    if env.promotion is None:
        raise Stop(
            f"{env.name} has no promotion settings", Code.USAGE, f"write promotion: {{from: {source.name}}} into {file}"
        )
    if env.promotion.from_ != source.name:
        raise guards.refusal(
            "way",
            f"{env.name} takes releases from {env.promotion.from_}, not from {source.name}",
            f"./inv promote --from {env.promotion.from_} --to {env.name}",
            until=f"promotion.from in {file} says otherwise",
        )
    return env.promotion


def candidate(d: Delivery, state: State, release: str = "") -> Release:
    """What the environment before runs, or an earlier release of it that is named (SHA, its beginning, a branch).

    Raises Stop (2) for an unknown commit, (5) when it never was there.
    """
    name = d.env.name
    if not release:
        if not state.release:
            raise guards.refusal(
                "soak", f"nothing runs in {name}", f"./inv deploy --env {name}", until="something does"
            )
        return state.release
    ran = dict.fromkeys(event.release for event in state.events if event.action in history.MOVES)
    matching = [sha for sha in ran if sha and sha.startswith(release.lower())]
    sha = matching[0] if len(matching) == 1 else git.resolve(d.c, release, repo=state.clone)
    found = state.release if sha == state.release.revision else delivery.release_of(d, state, sha)
    if not found:
        fix = f"./inv deploy --env {name} --release {sha[:12]}"
        raise guards.refusal("soak", f"{sha[:12]} was never in {name}", fix, until="it soaked there")
    return found


def before(a: Delivery, b: State) -> State:
    """The state of the environment before, at the very commit at which the other one is looked at where both share one.

    The transaction asks again with every attempt, so what happens there meanwhile counts.
    """
    if a.target.git_url != b.target.git_url:
        return desired.fetch(a.c, a.target)
    if a.target.branch == b.target.branch:
        return desired.at(a.c, a.target, b.clone, b.head)
    return desired.at(a.c, a.target, b.clone, git.resolve(a.c, f"refs/remotes/origin/{a.target.branch}", repo=b.clone))


def spells(a: Delivery, state: State, release: Release) -> list[Spell]:
    """The times that this very image, and not another of the same commit, was in the environment before."""
    found = soak.spells(state.events, release.revision)
    return [spell for spell in found if delivery.pinned_by(a.c, state, spell.moved).digest == release.digest]


def live(a: Delivery, state: State, release: Release, asked: Promotion) -> Trouble | None:
    """What the cluster before remembers of a release that runs there now. Raises Stop 5 (not healthy) or 4 (silent)."""
    if not asked.live or state.release != release:
        return None
    with kube.answering(a.target):
        return soak.healthy_now(a.cluster, a.target, release)


def by_git(
    a: Delivery,
    b: Delivery,
    state: State,
    release: Release,
    asked: Promotion,
    now: datetime,
    trouble: Trouble | None = None,
    lift: bool = False,
) -> list[Stop]:
    """Every rule that Git alone answers and that refuses at this moment. state: of the environment that asks.

    lift: the release was named and a reason given, so holds do not count.
    """
    earlier, sha = before(a, state), release.revision
    found = spells(a, earlier, release)
    arrived = next((one.arrived for one in reversed(found) if one.arrived), None)
    rules = [
        partial(guards.frozen, state, sha, now),
        partial(guards.held_for_promotion, state, sha, arrived, b.contains(state)),
        partial(guards.supersession, state, sha, b.contains(state)),
        partial(soak.demand, earlier, sha, found, state, now, trouble),
    ]
    if asked.approvals.required:
        agreed = approvals.of(b.c, state, release, asked.approvals)
        rules.append(partial(approvals.demand, state, release, asked.approvals, agreed))
    return guards.collect(*(rule for rule in rules if not (lift and rule.func is guards.held_for_promotion)))


def record(d: Delivery, release: Release) -> None:
    """The signed record of a release against the policy of the environment that it goes to. Raises Stop (5)."""
    try:
        if registry.digest(d.c, f"{release.repository}@{release.digest}") != release.digest:
            fix = verify.rebuild(d.env)
            raise Stop(f"the image of {release.revision[:12]} is gone from the registry", Code.REFUSED, fix)
        attached = publish.fetch_record(d.c, d.target, release)
        verify.demand(verify.checks(attached, d.env, release.revision, release.digest), release.revision, d.env)
    except Stop as stop:
        if stop.code != Code.REFUSED:
            raise
        until = f"its record satisfies {d.env.name}"
        raise guards.refusal("record", stop.sentence, stop.fix, until=until) from stop
