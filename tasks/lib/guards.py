"""What may not be deployed: looked at before every attempt of a transaction."""

from __future__ import annotations

from collections.abc import Callable

from tasks.lib import history
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Hold

Contains = Callable[[str, str], bool]
"""contains(newer, older): whether `newer` is `older` or was made on top of it."""


def supersession(state: State, sha: str, contains: Contains) -> None:
    """An older release never replaces a newer one unless it is a rollback. Raises Stop (5)."""
    now = state.release.revision
    if now and now != sha and contains(now, sha):
        raise Stop(
            f"superseded: {state.target.env.name} runs {now[:12]}, which is newer than {sha[:12]}",
            Code.REFUSED,
            f"./inv rollback --env {state.target.env.name} --to {sha[:12]}",
        )


def held(state: State, sha: str, contains: Contains) -> None:
    """A rolled-back release stays away until its hold is lifted. Raises Stop (5)."""
    for bad, hold in history.holds(state.events).items():
        if sha == bad or (hold is Hold.DESCENDANTS and contains(sha, bad)):
            why = next((event.reason for event in state.events if event.held == bad), "")
            built = "" if sha == bad else f" contains {bad[:12]}, which"
            raise Stop(
                f"on hold: {sha[:12]}{built} was rolled back in {state.target.env.name}: {why}",
                Code.REFUSED,
                f"./inv deploy --env {state.target.env.name} --release {sha[:12]} --lift-hold REASON",
            )
