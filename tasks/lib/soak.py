"""Soak time: how long a release ran healthy in the environment before, by Git's log and by what the cluster says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tasks.lib import arrival, guards, history, moments
from tasks.lib.desired import State
from tasks.lib.history import MOVES, Action, Event
from tasks.lib.kube import REQUEST_SECONDS, Cluster
from tasks.lib.target import Target
from tasks.lib.values import Release


@dataclass(frozen=True)
class Spell:
    """A release in an environment, in one piece. moved: the event that brought it; times: None where not so far."""

    moved: Event
    arrived: datetime | None = None
    left: datetime | None = None

    def length(self, now: datetime, healthy_since: datetime | None = None) -> timedelta:
        """How long it ran healthy; a trouble that the cluster remembers starts the clock of what runs now again."""
        if self.arrived is None:
            return timedelta(0)
        begins = self.arrived
        if self.left is None and healthy_since:
            begins = max(begins, healthy_since)
        return max((self.left or now) - begins, timedelta(0))


def spells(events: Sequence[Event], sha: str) -> list[Spell]:
    """Every time that a release was brought into an environment, oldest first. events: newest first."""
    found: list[Spell] = []
    running: Spell | None = None
    for event in reversed(events):
        if event.action in MOVES:
            if running:
                found.append(Spell(running.moved, running.arrived, event.time))
            running = Spell(event) if event.release == sha else None
        elif running and event.action is Action.ARRIVED and event.release == sha and running.arrived is None:
            running = Spell(running.moved, event.time)
    return [*found, running] if running else found


@dataclass(frozen=True)
class Trouble:
    """The last time that the cluster remembers the release as not healthy."""

    ended: datetime
    what: str


def healthy_now(cluster: Cluster, target: Target, release: Release) -> Trouble | None:
    """The last trouble of the release that runs, None when the cluster remembers none.

    Raises Stop (5) when it is not healthy at this moment. Argo CD's own time of health does not count: it starts anew
    with every pod that the autoscaler adds.
    """
    try:
        waiting = arrival.missing(cluster, target, release)
    except arrival.NotArrived as failure:
        waiting = str(failure)
    name = target.env.name
    if waiting:
        raise guards.refusal(
            "soak",
            f"{release.revision[:12]} is not healthy in {name} at this moment: {waiting}",
            f"./inv status --env {name}",
            until=f"it ran healthy in {name} again for its soak time",
        )
    query: dict[str, Any] = {"label_selector": arrival.selector(target), "_request_timeout": REQUEST_SECONDS}
    deployments = cluster.apps.list_namespaced_deployment(target.env.namespace, **query).items
    pods = cluster.core.list_namespaced_pod(target.env.namespace, **query).items
    return max((*_unavailable(deployments), *_crashes(pods)), key=lambda one: one.ended, default=None)


def _unavailable(deployments: Iterable[Any]) -> Iterable[Trouble]:
    for deployment in deployments:
        for condition in deployment.status.conditions or []:
            if condition.type == "Available" and condition.status == "True" and condition.last_transition_time:
                yield Trouble(condition.last_transition_time, "too few pods were ready")


def _crashes(pods: Iterable[Any]) -> Iterable[Trouble]:
    for pod in pods:
        for status in pod.status.container_statuses or []:
            ended = status.last_state.terminated if status.last_state else None
            if ended and ended.exit_code and ended.finished_at:
                yield Trouble(ended.finished_at, f"{pod.metadata.name} ended with exit code {ended.exit_code}")


def demand(
    state: State, sha: str, found: Sequence[Spell], target: State, now: datetime, trouble: Trouble | None
) -> None:
    """Refuses a release that has not soaked. Raises Stop (5).

    state: of the environment before, found: its spells with this very image. target: of the environment that asks.
    """
    env, source = target.target.env, state.target.env.name
    assert env.promotion  # noqa: S101 - the way was asked for before
    soak = env.promotion.soak
    again = f"./inv promote --from {source} --to {env.name} --release {sha[:12]}"
    _not_taken_back(state, sha, again)
    if not found:
        fix = f"./inv deploy --env {source} --release {sha[:12]}"
        raise guards.refusal("soak", f"{sha[:12]} was never in {source}", fix, until="it soaked there")
    newest = found[-1]
    best = max(found, key=lambda one: one.length(now, trouble.ended if trouble else None))
    ran = best.length(now, trouble.ended if trouble else None)
    if best.arrived and ran >= soak:
        return
    if newest.left is None and newest.arrived is None:
        raise guards.refusal(
            "soak",
            f"{sha[:12]} has not arrived healthy in {source}",
            f"./inv deploy --env {source} --release {sha[:12]}",
            newest.moved.time,
            "it arrives there and soaks",
        )
    lengths = f"{moments.length(ran)} of the {moments.length(soak)}"
    said = f"{sha[:12]} ran healthy in {source} for {lengths} that {env.name} asks for"
    if newest.left is None and newest.arrived is not None:
        begins = max(newest.arrived, trouble.ended) if trouble else newest.arrived
        why = f", counted from when {trouble.what}" if trouble and begins > newest.arrived else ""
        raise guards.refusal("soak", said + why, again, begins, moments.shown(begins + soak))
    back = f"./inv rollback --env {source} --to {sha[:12]}, or promote what runs there now"
    until = f"it runs there for {moments.length(soak)} in one piece"
    raise guards.refusal("soak", f"{said}, and something else runs there now", back, newest.left, until)


def _not_taken_back(state: State, sha: str, again: str) -> None:
    """What was rolled back in the environment before is no candidate, however long it ran. Raises Stop (5)."""
    source = state.target.env.name
    if sha in history.holds(state.events):
        back = next(event for event in state.events if event.held == sha)
        raise guards.refusal(
            "soak",
            f"{sha[:12]} was rolled back in {source}: {back.reason} ({back.by})",
            f"{again.rpartition(' --release ')[0]}, when a newer release has soaked",
            back.time,
            f"its hold is lifted in {source}",
        )
