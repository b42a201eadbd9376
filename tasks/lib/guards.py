"""What may not be deployed: looked at before every attempt of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from tasks.lib import history, moments
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Event, Hold

Contains = Callable[[str, str], bool]
"""contains(newer, older): whether `newer` is `older` or was made on top of it."""


def refusal(rule: str, says: str, fix: str, since: datetime | None = None, until: str = "") -> Stop:
    """A Stop (5) that names the rule, what it says, since when, until when, and what to type."""
    parts = [f"{rule}: {says}"]
    parts += [f"since {moments.shown(since)}"] if since else []
    parts += [f"until {until}"] if until else []
    return Stop("; ".join(parts), Code.REFUSED, fix)


def collect(*rules: Callable[[], None]) -> list[Stop]:
    """What refuses, of rules that raise Stop (5); every other Stop goes through."""
    found = []
    for rule in rules:
        try:
            rule()
        except Stop as stop:
            if stop.code != Code.REFUSED:
                raise
            found.append(stop)
    return found


def direct(state: State, sha: str) -> None:
    """Where releases come by promotion, nothing new is deployed past its gates. Raises Stop (5)."""
    env = state.target.env
    if env.promotion and sha != state.release.revision:
        raise refusal(
            "promotion only",
            f"{env.name} takes releases that soaked in {env.promotion.from_}, not by deploy",
            f"./inv promote --from {env.promotion.from_} --to {env.name} --release {sha[:12]}",
            until=f"`promotion` is taken out of {env.folder}/environment.yaml",
        )


def frozen(state: State, sha: str, now: datetime | None = None) -> None:
    """While an environment is frozen, nothing new comes in; the way back stays open. Raises Stop (5)."""
    env, now = state.target.env, now or datetime.now(timezone.utc)
    freeze = history.freeze(state.events, now)
    if freeze and sha != state.release.revision:
        raise refusal(
            "frozen",
            f"{env.name} takes no release: {freeze.reason} ({freeze.by})",
            f"./inv unfreeze --env {env.name} --reason WHY",
            freeze.time,
            moments.shown(freeze.until) if freeze.until else "somebody unfreezes it",
        )


def supersession(state: State, sha: str, contains: Contains) -> None:
    """An older release never replaces a newer one unless it is a rollback. Raises Stop (5)."""
    now = state.release.revision
    if now and now != sha and contains(now, sha):
        moved = history.current(state.events)
        raise refusal(
            "superseded",
            f"{state.target.env.name} runs {now[:12]}, which is newer than {sha[:12]}",
            f"./inv rollback --env {state.target.env.name} --to {sha[:12]}",
            moved.time if moved else None,
        )


def held(state: State, sha: str, contains: Contains) -> None:
    """A rolled-back release stays away until its hold is lifted. Raises Stop (5)."""
    env = state.target.env.name
    for bad, hold in history.holds(state.events).items():
        if sha == bad or (hold is Hold.DESCENDANTS and contains(sha, bad)):
            raise on_hold(
                state,
                sha,
                bad,
                "the hold is lifted",
                f"./inv deploy --env {env} --release {sha[:12]} --lift-hold REASON",
            )


def held_for_promotion(state: State, sha: str, arrived: datetime | None, contains: Contains) -> None:
    """A rolled-back release is not promoted again, nor what contains it, unless that arrived in the environment before
    after the rollback. Raises Stop (5).

    arrived: when the release arrived there.
    """
    env = state.target.env
    source = env.promotion.from_ if env.promotion else ""
    for bad in history.holds(state.events):
        back = _rollback_of(state, bad)
        newer = sha != bad and arrived is not None and back is not None and arrived > back.time
        if sha == bad or (contains(sha, bad) and not newer):
            raise on_hold(
                state,
                sha,
                bad,
                f"a release that is newer than the rollback arrives in {source}",
                f"./inv promote --from {source} --to {env.name} --release {sha[:12]} --reason WHY",
            )


def on_hold(state: State, sha: str, bad: str, until: str, fix: str) -> Stop:
    """The refusal of a release that is, or contains, one that was rolled back."""
    back = _rollback_of(state, bad)
    built = "" if sha == bad else f" contains {bad[:12]}, which"
    why = f": {back.reason} ({back.by})" if back else ""
    return refusal(
        "on hold",
        f"{sha[:12]}{built} was rolled back in {state.target.env.name}{why}",
        fix,
        back.time if back else None,
        until,
    )


def _rollback_of(state: State, bad: str) -> Event | None:
    return next((event for event in state.events if event.held == bad), None)
