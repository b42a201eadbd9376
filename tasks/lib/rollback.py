"""Return an environment to a release that it ran before: preflight, forward commit, verification, hold."""

from __future__ import annotations

import time

from invoke.context import Context

from tasks.lib import argo, delivery, desired, git, history, opinion, publish, registry, smoke, terminal, verify
from tasks.lib import target as targets
from tasks.lib.arrival import NotArrived
from tasks.lib.delivery import Delivery
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Hold
from tasks.lib.settings import Environment
from tasks.lib.values import Release


def rollback(c: Context, env: Environment, to: str = "", reason: str = "", yes: bool = False) -> None:
    """Rolls back to `to`, or to the last release that arrived and was healthy.

    Raises Stop 2 or 5 before anything changes when the target is not safe, 6 when it does not become healthy.
    """
    began = time.monotonic()
    d = delivery.connect(c, env, up=targets.begun(env))
    before = desired.fetch(c, d.target)
    goal = preflight(d, before, to)
    delivery.show_plan(d, before, goal)
    if env.ask:
        terminal.confirm(f"Roll {env.name} back to {goal.revision[:12]}?", yes)
    with delivery.interruptible(d, f"./inv rollback --env {env.name} --to {goal.revision[:12]}"):
        with terminal.step("Commit the rollback"):
            after = commit(d, before, goal, reason)
            argo.look_at_git(d.c, d.target)
        try:
            delivery.verify(d, goal)
        except (NotArrived, smoke.Failed) as failure:
            raise Stop(
                f"rolled {env.name} back to {goal.revision[:12]}, but {failure}",
                Code.UNHEALTHY,
                f"./inv status --env {env.name}",
            ) from failure
        delivery.mark_arrived(d, goal)
    delivery.show_summary(d, before, goal, after, time.monotonic() - began)
    if before.release.revision and before.release != goal:
        terminal.say(
            f"  on hold: {before.release.revision[:12]} and what contains it, until `deploy --lift-hold REASON`"
        )


def preflight(d: Delivery, state: State, to: str) -> Release:
    """The release to return to. Raises Stop (2 unknown, 5 unsafe), naming the nearest safe one; nothing has changed."""
    now = state.release.revision
    newest = history.newest_step(state.events)
    if not to and newest and newest.action is Action.ROLLBACK and newest.release:
        return state.release  # an earlier rollback was stopped before it was verified: finish that one
    if not to:
        sha = history.last_good(state.events, now)
        if not sha:
            raise Stop(f"{d.env.name} has no earlier release that arrived healthy", Code.REFUSED, "./inv status")
    else:
        sha = _resolve(d, state, to)
    if sha == now:
        return state.release
    release = delivery.release_of(d, state, sha)
    ran_here = bool(release)
    if not release:
        release = publish.named(d.c, d.target, sha)
        if not release:
            raise _unsafe(d, state, f"the registry has no image of {sha[:12]}", sha)
    if registry.digest(d.c, f"{release.repository}@{release.digest}") != release.digest:
        raise _unsafe(d, state, f"the image of {sha[:12]} is gone from the registry", sha)
    try:
        attached = publish.fetch_record(d.c, d.target, release)
        found = verify.checks(attached, d.env, sha, release.digest)
        (verify.demand_lasting if ran_here else verify.demand)(found, sha, d.env)
        for sentence in opinion.since(attached, d.env):
            terminal.warn(f"{sentence}; the way back stays open")
    except Stop as refused:
        raise _unsafe(d, state, refused.sentence, sha) from refused
    return release


def _resolve(d: Delivery, state: State, to: str) -> str:
    """The full SHA for what was typed: a prefix of a release that ran here, else any commit of the repository."""
    ran = dict.fromkeys(event.release for event in state.events if event.release)
    matching = [sha for sha in ran if sha.startswith(to.lower())]
    if len(matching) > 1:
        several = f"{to} is ambiguous: {', '.join(sha[:12] for sha in matching)}"
        raise Stop(f"{several}{_nearest(d, state, '')}", Code.USAGE, _next(d, state, ""))
    if matching:
        return matching[0]
    try:
        return git.resolve(d.c, to, repo=state.clone)
    except Stop as unknown:
        raise Stop(f"{unknown.sentence}{_nearest(d, state, '')}", Code.USAGE, _next(d, state, "")) from unknown


def _safe(d: Delivery, state: State, but: str) -> str:
    """The newest release that arrived, is not `but`, running or held, and whose image is still there; '' if none."""
    out = {but, state.release.revision, *history.holds(state.events)}
    for sha in history.arrived(state.events):
        release = delivery.release_of(d, state, sha)
        if sha in out or not release:
            continue
        if registry.digest(d.c, f"{release.repository}@{release.digest}"):
            return sha
    return ""


def _nearest(d: Delivery, state: State, but: str) -> str:
    safe = _safe(d, state, but)
    return f"; the nearest safe release is {safe[:12]}" if safe else "; there is no safe earlier release"


def _next(d: Delivery, state: State, but: str) -> str:
    safe = _safe(d, state, but)
    return f"./inv rollback --env {d.env.name} --to {safe[:12]}" if safe else f"./inv status --env {d.env.name}"


def _unsafe(d: Delivery, state: State, why: str, but: str) -> Stop:
    return Stop(f"{why}{_nearest(d, state, but)}", Code.REFUSED, _next(d, state, but))


def commit(d: Delivery, before: State, goal: Release, reason: str) -> State:
    """Commits the rollback with its hold. Raises Stop (5) when somebody else moved the environment meanwhile."""

    def decide(state: State) -> Change | None:
        if state.release == goal:
            return None
        if state.release != before.release:
            raise Stop(
                f"{d.env.name} moved to {state.release.revision[:12]} meanwhile; nothing was changed",
                Code.REFUSED,
                f"./inv status --env {d.env.name}",
            )
        bad = before.release.revision
        event = d.event(
            Action.ROLLBACK,
            goal.revision,
            previous=bad,
            reason=reason or "by hand",
            **({"held": bad, "hold": Hold.DESCENDANTS} if bad else {}),
        )
        return Change(event, goal)

    return desired.transact(d.c, d.target, decide)
