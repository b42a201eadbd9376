"""What runs where, since when, and whether it is healthy; and what differs from Git."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from invoke.context import Context

from tasks.lib import argo, arrival, desired, history, kube, moments, settings, target
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment, LabCluster


@dataclass(frozen=True)
class Row:
    """One environment as a line of the status table."""

    environment: str
    release: str
    since: str
    by: str
    health: str
    pods: str
    held: str
    frozen: str

    def cells(self) -> list[str]:
        return [self.environment, self.release, self.since, self.by, self.health, self.pods, self.held, self.frozen]


COLUMNS = ("environment", "release", "since", "by", "health", "pods", "on hold", "frozen until")


def ago(moment: datetime, now: datetime | None = None) -> str:
    """A duration as a person says it: '3 min', '2 h', '5 d'."""
    seconds = int(((now or datetime.now(timezone.utc)) - moment).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def _short(sentence: str) -> str:
    """The step and the last line of its cause."""
    first, *rest = sentence.splitlines()
    return f"{first}: {rest[-1].strip()}"[:140] if rest else first[:140]


def row(c: Context, env: Environment) -> Row:
    """The environment's line. An environment that cannot be reached is a line too, saying why."""
    try:
        if isinstance(env.cluster, LabCluster):
            from tasks.lib import lab

            if lab.find() is None:
                raise Stop("the lab is down", Code.COULD_NOT_RUN)
        here = target.of(c, env)
        state = desired.fetch(c, here)
        event = history.current(state.events)
        cluster = kube.connect(here)
        with kube.answering(here):
            alive = arrival.pods(cluster, here)
            waiting = arrival.missing(cluster, here, state.release) if state.release else "nothing deployed"
    except arrival.NotArrived as error:
        waiting = str(error)
    except Stop as error:
        return Row(env.name, "?", "", "", _short(error.sentence), "", "", "")
    return Row(
        environment=env.name,
        release=state.release.revision[:12] or "nothing",
        since=ago(event.time) if event else "",
        by=event.by.partition(" <")[0] if event else "",
        health="healthy" if not waiting else waiting[:80],
        pods=f"{alive.ready}/{len(alive.names)}",
        held=", ".join(sha[:12] for sha in history.holds(state.events)),
        frozen=_frozen(state),
    )


def _frozen(state: desired.State) -> str:
    freeze = history.freeze(state.events, datetime.now(timezone.utc))
    if freeze is None:
        return ""
    return f"{moments.shown(freeze.until) if freeze.until else 'unfreeze'}: {freeze.reason}"[:80]


def rows(c: Context, names: list[str]) -> list[Row]:
    """The lines of these environments, or of all when none is named."""
    return [row(c, settings.load(name)) for name in names or settings.known()]


def drift(c: Context, env: Environment) -> list[tuple[str, str]]:
    """What differs between Git and the cluster, as (what, how); [] when they agree."""
    here = target.of(c, env, up=target.begun(env))
    release = desired.fetch(c, here).release
    cluster = kube.connect(here)
    with kube.answering(here):
        app = argo.application(cluster, env.application)
    if app is None:
        return [("Application", f"missing, Git asks for {release.revision[:12]}")] if release else []
    found = [(name, "differs from the chart in Git") for name in app.out_of_sync]
    if app.revision_wanted != release.revision:
        found.append(
            ("revision", f"{app.revision_wanted[:12]} runs, Git asks for {release.revision[:12] or 'nothing'}")
        )
    if app.digest != release.digest:
        found.append(("image", f"{app.digest[:19]} runs, Git asks for {release.digest[:19] or 'nothing'}"))
    return found
