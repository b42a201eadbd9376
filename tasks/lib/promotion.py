"""Promotion: the release that soaked in one environment into the next, as one forward commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial

from invoke.context import Context

from tasks.lib import applicationset, argo, delivery, deploying, desired, guards, history, kube, smoke, terminal
from tasks.lib import promotion_rules as rules
from tasks.lib.arrival import NotArrived
from tasks.lib.delivery import Delivery
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action
from tasks.lib.promotion_settings import Promotion
from tasks.lib.settings import Environment
from tasks.lib.soak import Trouble
from tasks.lib.values import Release


def raise_first(found: Sequence[Stop]) -> None:
    """Shows every refusal and raises the first."""
    for stop in found[1:]:
        terminal.warn(f"also {stop.sentence}; next: {stop.fix}")
    if found:
        raise found[0]


def promote(
    c: Context, source: Environment, env: Environment, release: str = "", yes: bool = False, reason: str = ""
) -> None:
    """The whole way of a release from one environment into the next. Raises Stop 5 (refused) or 6 (taken back)."""
    began = time.monotonic()
    asked = rules.way(source, env)
    a, d = delivery.open_(c, source), delivery.connect(c, env)
    state = desired.fetch(c, d.target)
    here = desired.fetch(c, a.target)
    wanted = rules.candidate(a, here, release)
    if state.release != wanted:
        _check(a, d, state, here, wanted, asked, lift=bool(release and reason))
    delivery.show_plan(d, state, wanted)
    if state.release != wanted and env.ask:
        terminal.confirm(f"Promote {wanted.revision[:12]} from {source.name} to {env.name}?", yes)
    with kube.answering(d.target):
        applicationset.install(c, d.target, d.cluster)
    line = f"./inv promote --from {source.name} --to {env.name} --release {wanted.revision[:12]}"
    with delivery.interruptible(d, f"{line}, or ./inv rollback --env {env.name}"):
        with terminal.step("Commit the promotion"):
            after = _commit(a, d, wanted, asked, reason, lift=bool(release and reason))
            argo.look_at_git(c, d.target)
        try:
            delivery.verify(d, wanted)
        except (NotArrived, smoke.Failed) as failure:
            deploying.take_back(d, wanted, str(failure))
        delivery.mark_arrived(d, wanted)
    delivery.show_summary(d, state, wanted, after, time.monotonic() - began)


def _check(a: Delivery, d: Delivery, state: State, here: State, wanted: Release, asked: Promotion, lift: bool) -> None:
    """Everything that is asked before anything changes. Raises Stop (5) for the first rule that refuses."""
    desired.adopt(d.c, state, wanted.revision)
    trouble: Trouble | None = None
    found: list[Stop] = []
    try:
        trouble = rules.live(a, here, wanted, asked)
    except Stop as stop:
        if stop.code != Code.REFUSED:
            raise
        found = [stop]
    now = datetime.now(timezone.utc)
    found += rules.by_git(a, d, state, wanted, asked, now, trouble, lift)
    found += guards.collect(partial(rules.record, d, wanted))
    raise_first(found)


def _commit(a: Delivery, d: Delivery, wanted: Release, asked: Promotion, reason: str, lift: bool) -> State:
    """The promotion as a commit; what Git knows is asked again before every attempt, and once more after a lift."""
    sha = wanted.revision

    def decide(state: State) -> Change | None:
        if state.release == wanted:
            return None
        raise_first(rules.by_git(a, d, state, wanted, asked, datetime.now(timezone.utc), None, lift))
        if lift and history.holds(state.events):
            return Change(d.event(Action.LIFT, sha, reason=reason))
        more = {"previous": state.release.revision, "reason": reason, "source": a.env.name}
        return Change(d.event(Action.PROMOTE, sha, **more), wanted)

    state = desired.transact(d.c, d.target, decide, publish=sha)
    return state if state.release == wanted else desired.transact(d.c, d.target, decide, publish=sha)
