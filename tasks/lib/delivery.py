"""What deploy and rollback share: an environment within reach, the bump, the proof of arrival, what people are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from invoke.context import Context

from tasks.lib import arrival, ci, desired, git, guards, history, kube, smoke, terminal, values
from tasks.lib import target as targets
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event, Hold
from tasks.lib.kube import Cluster
from tasks.lib.settings import Environment
from tasks.lib.target import Target
from tasks.lib.values import NOTHING, Release


@dataclass(frozen=True)
class Delivery:
    """One environment within reach: everything that deploy and rollback share."""

    c: Context
    target: Target
    by: str

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster, connected to when it is first asked for. Raises Stop (4) when it does not answer."""
        return kube.connect(self.target)

    @property
    def env(self) -> Environment:
        return self.target.env

    def event(self, action: Action, release: str, **more: str | Hold | datetime) -> Event:
        return Event.model_validate(
            {"environment": self.env.name, "action": action, "release": release, "by": self.by, **more}
        )

    def contains(self, state: State) -> Callable[[str, str], bool]:
        """Whether one commit contains another, asked of the private clone."""
        return lambda newer, older: git.is_ancestor(self.c, older, newer, repo=state.clone)

    def wants(self, release: Release) -> bool:
        """Whether Git still asks for this release; a remote that does not answer has not changed its mind."""
        try:
            return desired.fetch(self.c, self.target).release == release
        except Stop:
            return True


def open_(c: Context, env: Environment, up: bool = True) -> Delivery:
    """The environment, its cluster not yet asked. up: false for those who need Git and the registry only."""
    if env.rehearsed:
        terminal.warn(
            f"{env.name} is the one that this machine's lab rehearses, not the real one; ./inv lab.down ends it"
        )
    return Delivery(c, targets.of(c, env, up), ci.actor(git.person(c)))


def connect(c: Context, env: Environment, up: bool = True) -> Delivery:
    """The environment, connected to: checked before anything changes. Raises Stop (4) when it does not answer."""
    d = open_(c, env, up)
    _ = d.cluster
    return d


@contextmanager
def interruptible(d: Delivery, again: str) -> Iterator[None]:
    """Ctrl-C ends the waiting and not the change: Git has it or has it not. Raises Stop (1) that says how to go on.

    again: the command that goes on from here. A cluster that falls silent raises Stop (4).
    """
    try:
        with kube.answering(d.target):
            yield
    except KeyboardInterrupt:
        raise Stop(
            f"stopped by hand; {d.env.name} goes on towards what Git asks for by now", Code.UNEXPECTED, again
        ) from None


# ---------------------------------------------------------------------------------------------------- the parts


def bump(d: Delivery, release: Release, reason: str = "", lift: str = "") -> State:
    """Commits the release into the desired state, unless a guard refuses; the same release again changes nothing.

    lift: why holds are lifted; '' keeps them. Raises Stop (5) when a guard refuses.
    """
    sha = release.revision

    def decide(state: State) -> Change | None:
        if lift and history.holds(state.events):
            return Change(d.event(Action.LIFT, sha, reason=lift))
        guards.direct(state, sha)
        guards.frozen(state, sha)
        guards.held(state, sha, d.contains(state))
        guards.supersession(state, sha, d.contains(state))
        if state.release == release:
            return None
        return Change(d.event(Action.DEPLOY, sha, previous=state.release.revision, reason=reason), release)

    state = desired.transact(d.c, d.target, decide, publish=sha)
    return bump(d, release, reason) if lift and state.release != release else state


def verify(d: Delivery, release: Release) -> None:
    """Waits for arrival and runs the smoke test. Raises NotArrived or smoke.Failed."""
    with terminal.step(f"Arrive in {d.env.name}") as note:
        arrival.wait(d.cluster, d.target, release, lambda: d.wants(release), note)
    with terminal.step("Smoke test") as note:
        passed = smoke.run(d.cluster, d.target, release.revision, note)
        note(f"({passed} checks)")


def mark_arrived(d: Delivery, release: Release) -> None:
    """Notes in the desired state's log that the release arrived and was healthy, once per deploy."""

    def decide(state: State) -> Change | None:
        newest = history.newest_step(state.events)
        if state.release != release or (newest and newest.action is Action.ARRIVED):
            return None
        return Change(d.event(Action.ARRIVED, release.revision))

    desired.transact(d.c, d.target, decide)


def release_of(d: Delivery, state: State, sha: str) -> Release:
    """The release lines that an earlier desired-state commit pinned for this SHA; NOTHING when there is none."""
    for event in state.events:
        if event.release == sha and event.action is not Action.LIFT:
            found = pinned_by(d.c, state, event)
            if found.revision == sha:
                return found
    return NOTHING


def pinned_by(c: Context, state: State, event: Event) -> Release:
    """The release lines as an event's commit has them; NOTHING when it has none."""
    text = git.ask(c, "show", f"{event.commit}:{state.file}", repo=state.clone, ok=(0, 128))
    return values.read(text, state.file) if text else NOTHING


# ---------------------------------------------------------------------------------------------------- for people


def show_plan(d: Delivery, before: State, release: Release) -> None:
    """What runs now, what will run, and the commits between."""
    now = before.release
    rows = [("revision", now.revision[:12] or "nothing", release.revision[:12])]
    rows += [("image", now.digest[:19] or "nothing", release.digest[:19])]
    terminal.table(f"Plan for {d.env.name}", ("", "now", "then"), rows)
    lines = git.between(d.c, now.revision, release.revision, repo=before.clone)
    for line in lines[:10]:
        terminal.say(f"  {line}")
    if len(lines) > 10:
        terminal.say(f"  and {len(lines) - 10} more")
    if now == release:
        terminal.say("  nothing to change; checking that it is there")


def show_summary(d: Delivery, before: State, release: Release, after: State, seconds: float) -> None:
    """A few lines that can be pasted into a chat."""
    commit = git.commit(d.c, release.revision, repo=after.clone)
    terminal.good(f'{d.env.name} runs {commit.short} "{commit.subject}" by {commit.author}')
    terminal.say(f"  image {release.image}")
    terminal.say(f"  was {before.release.revision[:8] or 'nothing'}; {seconds:.1f} s; deployed by {d.by}")
    terminal.say(f"  back: ./inv rollback --env {d.env.name}")
