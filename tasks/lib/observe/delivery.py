"""The delivery log of an environment: which deploys arrived, how long they took, how long a failed one hurt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from statistics import median

from invoke.context import Context

from tasks.lib import desired, git, publish, status, target
from tasks.lib.errors import Stop
from tasks.lib.history import MOVES, Action, Event
from tasks.lib.record import Record
from tasks.lib.settings import Environment
from tasks.lib.values import SHA

WINDOW = timedelta(days=30)


class Outcome(str, Enum):
    """How a deploy or promotion ended; what is still under way has none."""

    ARRIVED = "arrived"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Deploy:
    """One deploy or promotion. first: whether the release had never arrived in this environment before."""

    moved: Event
    outcome: Outcome | None = None
    arrived: datetime | None = None
    first: bool = False


@dataclass(frozen=True)
class Restore:
    """A release that was taken back: when something healthy ran again, and seconds since the bad one was brought in."""

    ended: datetime
    seconds: float


@dataclass
class Log:
    """What the events of one environment come to, oldest first."""

    deploys: list[Deploy] = field(default_factory=list)
    rollbacks: list[Event] = field(default_factory=list)
    restores: list[Restore] = field(default_factory=list)

    def deploys_since(self, moment: datetime) -> list[Deploy]:
        return [deploy for deploy in self.deploys if deploy.moved.time >= moment]

    def rollbacks_since(self, moment: datetime) -> list[Event]:
        return [event for event in self.rollbacks if event.time >= moment]

    def restore_time(self, moment: datetime) -> float | None:
        """The median of the restores that ended since then, in seconds; None when there are none."""
        found = [restore.seconds for restore in self.restores if restore.ended >= moment]
        return median(found) if found else None

    def lead_time(self, moment: datetime, commits: Mapping[str, datetime]) -> float | None:
        """The median time from commit to arrival of the releases that first arrived since then, in seconds; else None.

        commits: times of the releases' commits; a release whose commit is not there does not count.
        """
        found = [
            (deploy.arrived - commits[deploy.moved.release]).total_seconds()
            for deploy in self.deploys
            if deploy.first and deploy.arrived and deploy.arrived >= moment and deploy.moved.release in commits
        ]
        return median(found) if found else None


def log(events: Sequence[Event]) -> Log:
    """Reads the events of one environment (newest first, as history.read gives them) into its log."""
    found = Log()
    seen: set[str] = set()
    hurts_since: datetime | None = None
    running: Event | None = None
    for event in reversed(events):
        if event.action in (Action.DEPLOY, Action.PROMOTE):
            _end(found, Outcome.SUPERSEDED)
            found.deploys.append(Deploy(event))
        elif event.action is Action.ROLLBACK:
            _end(found, Outcome.FAILED)
            found.rollbacks.append(event)
            if hurts_since is None and running is not None:
                hurts_since = running.time
        elif event.action is Action.ARRIVED and running is not None and event.release == running.release:
            if running.action is not Action.ROLLBACK:
                _end(found, Outcome.ARRIVED, event.time, first=event.release not in seen)
            if hurts_since is not None:
                found.restores.append(Restore(event.time, (event.time - hurts_since).total_seconds()))
                hurts_since = None
            seen.add(event.release)
        if event.action in MOVES:
            running = event
    return found


def _end(found: Log, outcome: Outcome, arrived: datetime | None = None, first: bool = False) -> None:
    """Gives the last deploy its outcome, unless it has one already: what arrived stays arrived."""
    if found.deploys and found.deploys[-1].outcome is None:
        found.deploys[-1] = replace(found.deploys[-1], outcome=outcome, arrived=arrived, first=first)


def commit_times(c: Context, clone: Path, events: Sequence[Event]) -> dict[str, datetime]:
    """When the commits of these events' releases were made, as far as the clone has them."""
    shas = sorted({event.release for event in events if re.fullmatch(SHA, event.release)})
    if not shas:
        return {}
    words = ("rev-list", "--no-walk", "--ignore-missing", "--timestamp", *shas, "--")
    out = git.ask(c, *words, repo=clone, step="read the commits' times")
    times = {}
    for seconds, sha in (line.split() for line in out.splitlines()):
        times[sha] = datetime.fromtimestamp(int(seconds), tz=timezone.utc)
    return times


@dataclass(frozen=True)
class Known:
    """All that the metrics of one environment are made of.

    record: of the running release, None where it cannot be had. databases: dates of those that gates here compare with.
    drift: in how many places the cluster differs from Git, None where nobody asked.
    """

    environment: Environment
    events: Sequence[Event]
    commits: Mapping[str, datetime]
    record: Record | None
    now: datetime
    databases: Mapping[str, datetime] = field(default_factory=dict)
    drift: int | None = None


def look(c: Context, env: Environment, now: datetime, drift: bool = False) -> tuple[Known, str]:
    """Asks Git and the registry; the second is why there is no record of the running release, '' when there is one.

    drift: ask the cluster too. Raises Stop (4) when the Git remote, or then the cluster, does not answer.
    """
    here = target.of(c, env, up=False)
    state = desired.fetch(c, here)
    record, missing = None, ""
    if state.release:
        try:
            record = publish.fetch_record(c, here, state.release)
        except Stop as stop:
            missing = stop.sentence
    commits = commit_times(c, state.clone, state.events)
    places = len(status.drift(c, env)) if drift else None
    return Known(env, state.events, commits, record, now, databases(env), places), missing


def databases(env: Environment) -> dict[str, datetime]:
    """The dates of the databases that were fetched to this machine from the environment's places, by their kind."""
    from tasks.lib.gates import kept, sources, trivy_places

    slots = {
        "advisories": [sources.slot(place) for place in env.gates.advisory_places],
        "trivy": [trivy_places.slot(place) for place in env.gates.trivy_places],
    }
    found = {}
    for name, folders in slots.items():
        dates = []
        for folder in folders:
            with suppress(ValueError):  # what is not as it was put there is fetched anew, and counts as nothing
                dates += [one.date for one in [kept.read(folder)] if one]
        if dates:
            found[name] = max(dates)
    return found
