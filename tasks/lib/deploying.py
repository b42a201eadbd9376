"""Deploy: the plan, the desired-state transaction, arrival, smoke test, and the way back when they fail."""

from __future__ import annotations

import time

from invoke.context import Context

from tasks.lib import applicationset, argo, arrival, delivery, desired, guards, history, kube, publish, smoke, terminal
from tasks.lib import target as targets
from tasks.lib.arrival import NotArrived
from tasks.lib.delivery import Delivery
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Hold
from tasks.lib.settings import Environment
from tasks.lib.values import NOTHING, Release


def deploy(c: Context, env: Environment, sha: str, yes: bool = False, reason: str = "", lift: str = "") -> None:
    """The whole way of one commit into an environment. Raises Stop 5 (refused) or 6 (taken back)."""
    began = time.monotonic()
    d = delivery.connect(c, env)
    before = desired.fetch(c, d.target)
    guards.direct(before, sha)
    guards.frozen(before, sha)
    desired.adopt(c, before, sha)
    if not lift:
        guards.held(before, sha, d.contains(before))
    guards.supersession(before, sha, d.contains(before))
    release = publish.ready(c, d.target, targets.engine(c, env), sha)
    delivery.show_plan(d, before, release)
    if before.release != release and env.ask:
        terminal.confirm(f"Deploy {sha[:12]} to {env.name}?", yes)
    with kube.answering(d.target):
        applicationset.install(c, d.target, d.cluster)
    again = f"./inv deploy --env {env.name} --release {sha[:12]}, or ./inv rollback --env {env.name}"
    with delivery.interruptible(d, again):
        with terminal.step("Bump the release lines"):
            after = delivery.bump(d, release, reason, lift)
            argo.look_at_git(d.c, d.target)
        try:
            delivery.verify(d, release)
        except (NotArrived, smoke.Failed) as failure:
            take_back(d, release, str(failure))
        delivery.mark_arrived(d, release)
    delivery.show_summary(d, before, release, after, time.monotonic() - began)


def take_back(d: Delivery, failed: Release, reason: str) -> None:
    """Returns to the last good release after a failed one, and always raises Stop (6) that says what was done."""
    terminal.bad(f"{failed.revision[:12]} is not healthy in {d.env.name}: {reason}")
    goal = NOTHING
    moved = False

    def decide(state: State) -> Change | None:
        nonlocal goal, moved
        if state.release != failed:
            return None  # a newer decision is already there; racing against it would undo it
        goal = delivery.release_of(d, state, history.last_good(state.events, failed.revision))
        moved = True
        event = d.event(
            Action.ROLLBACK,
            goal.revision,
            previous=failed.revision,
            reason=f"automatic: {reason}",
            held=failed.revision,
            hold=Hold.RELEASE,
        )
        return Change(event, goal)

    with terminal.step("Roll back"):
        desired.transact(d.c, d.target, decide)
        argo.look_at_git(d.c, d.target)
    sentence = f"deployed {failed.revision[:12]} to {d.env.name}, but {reason}"
    if not moved:
        raise Stop(
            f"{sentence}; a newer release took its place meanwhile", Code.UNHEALTHY, f"./inv status --env {d.env.name}"
        )
    done = _return_to(d, goal)
    raise Stop(f"{sentence}; {done}", Code.UNHEALTHY, f"./inv status --env {d.env.name}")


def _return_to(d: Delivery, goal: Release) -> str:
    """Waits until the release before runs again; what to tell about it."""
    if not goal:
        try:
            with terminal.step(f"Empty {d.env.name} again") as note:
                arrival.wait_for_nothing(d.cluster, d.target, note)
        except NotArrived as again:
            return f"there was no earlier release, and taking it away did not work either: {again}"
        return "there was no earlier release, so it was taken away again"
    try:
        delivery.verify(d, goal)
    except (NotArrived, smoke.Failed) as again:
        return f"rolled back to {goal.revision[:12]}, which is not healthy either: {again}"
    delivery.mark_arrived(d, goal)
    return f"rolled back to {goal.revision[:12]}, which runs and is healthy"
