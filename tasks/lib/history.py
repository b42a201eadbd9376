"""What happened to an environment: the trailers of the desired-state commits, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from invoke.context import Context
from pydantic import BaseModel, ConfigDict

from tasks.lib import git


class Action(str, Enum):
    """What a desired-state commit did."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    ARRIVED = "arrived"
    LIFT = "lift-hold"
    APPROVE = "approve"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


MOVES = (Action.DEPLOY, Action.PROMOTE, Action.ROLLBACK)


class Hold(str, Enum):
    """What a rollback keeps away: the failed release alone, or also every release that contains it."""

    RELEASE = "release"
    DESCENDANTS = "descendants"


class Event(BaseModel):
    """One desired-state commit, as its trailers tell it."""

    model_config = ConfigDict(frozen=True)

    commit: str = ""
    time: datetime = datetime.fromtimestamp(0, tz=timezone.utc)
    environment: str
    action: Action
    release: str = ""
    previous: str = ""
    by: str = ""
    reason: str = ""
    held: str = ""
    hold: Hold | None = None
    source: str = ""
    """The environment that a promoted release came from."""
    digest: str = ""
    """The image that an approval is about."""
    until: datetime | None = None
    """When a freeze ends by itself."""


def _one_line(text: str) -> str:
    """Trailers are one line each; a reason with line breaks must not be able to forge another trailer."""
    return re.sub(r"\s+", " ", text).strip()


def message(event: Event) -> str:
    """The commit message of an event. [skip ci] keeps the pipeline of a desired-state commit from starting."""
    what = event.release[:8] or ("nothing" if event.action in MOVES else "")
    title = f"{' '.join(f'{event.environment}: {event.action.value} {what}'.split())} [skip ci]"
    trailers = {
        "Slipway-Environment": event.environment,
        "Slipway-Action": event.action.value,
        "Slipway-Release": event.release,
        "Slipway-Previous": event.previous,
        "Slipway-By": event.by,
        "Slipway-Reason": event.reason,
        "Slipway-Held": event.held,
        "Slipway-Hold": event.hold.value if event.hold else "",
        "Slipway-From": event.source,
        "Slipway-Digest": event.digest,
        "Slipway-Until": event.until.isoformat() if event.until else "",
    }
    lines = [f"{name}: {_one_line(value)}" for name, value in trailers.items() if value]
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def parse(commit: str, seconds: int, trailers: str) -> Event | None:
    """The event in a commit's trailer block, or None for any other commit."""
    found = dict(re.findall(r"^Slipway-([A-Za-z]+): (.*)$", trailers, flags=re.MULTILINE))
    if found.get("Action") not in {action.value for action in Action} or not found.get("Environment"):
        return None
    return Event(
        commit=commit,
        time=datetime.fromtimestamp(seconds, tz=timezone.utc),
        environment=found["Environment"],
        action=Action(found["Action"]),
        release=found.get("Release", ""),
        previous=found.get("Previous", ""),
        by=found.get("By", ""),
        reason=found.get("Reason", ""),
        held=found.get("Held", ""),
        hold=Hold(found["Hold"]) if found.get("Hold") in {hold.value for hold in Hold} else None,
        source=found.get("From", ""),
        digest=found.get("Digest", ""),
        until=_moment(found.get("Until", "")),
    )


def _moment(text: str) -> datetime | None:
    """A moment with its zone; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def read(c: Context, clone: Path, ref: str, environment: str) -> list[Event]:
    """All events of one environment, newest first."""
    out = git.ask(
        c,
        "log",
        "--format=%H%x1f%ct%x1f%(trailers:only,unfold)%x1e",
        f"--grep=^Slipway-Environment: {re.escape(environment)}$",
        ref,
        repo=clone,
        step="read the release history",
    )
    events = []
    for block in filter(None, (part.strip() for part in out.split("\x1e"))):
        commit, seconds, trailers = block.split("\x1f", 2)
        event = parse(commit, int(seconds), trailers)
        if event and event.environment == environment:
            events.append(event)
    return events


def current(events: Sequence[Event]) -> Event | None:
    """The event that set what should run now."""
    return next((event for event in events if event.action in MOVES), None)


def newest_step(events: Iterable[Event]) -> Event | None:
    """The newest event on the way of a release; approvals and freezes change nothing about where it stands."""
    aside = (Action.APPROVE, Action.FREEZE, Action.UNFREEZE)
    return next((event for event in events if event.action not in aside), None)


def arrived(events: Iterable[Event]) -> list[str]:
    """Releases that arrived and were healthy, newest first, each once."""
    return list(dict.fromkeys(event.release for event in events if event.action is Action.ARRIVED and event.release))


def holds(events: Sequence[Event]) -> dict[str, Hold]:
    """Releases kept away by rollbacks that no later lift undid."""
    found: dict[str, Hold] = {}
    for event in events:
        if event.action is Action.LIFT:
            break
        if event.held and event.hold:
            found.setdefault(event.held, event.hold)
    return found


def last_good(events: Sequence[Event], now: str) -> str:
    """The release to return to: the newest that arrived healthy, is not `now` and is not held; '' if none."""
    kept_away = holds(events)
    return next((sha for sha in arrived(events) if sha != now and sha not in kept_away), "")


def freeze(events: Iterable[Event], now: datetime) -> Event | None:
    """The freeze that holds at this moment; None when there is none, when it was lifted, or when its time is over.

    A freeze whose end cannot be read holds until somebody lifts it.
    """
    newest = next((event for event in events if event.action in (Action.FREEZE, Action.UNFREEZE)), None)
    if newest is None or newest.action is Action.UNFREEZE:
        return None
    return None if newest.until and newest.until <= now else newest
