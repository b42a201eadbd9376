"""The desired-state transaction: the only way anything in a cluster is changed.

Every attempt starts from a fresh fetch and the guards: two writers may race, the loser looks at the new state again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from invoke.context import Context

from tasks.lib import announcing, commits, git, history, locks, paths, terminal, values
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Event
from tasks.lib.runner import run
from tasks.lib.target import Target
from tasks.lib.values import NOTHING, Release

ATTEMPTS = 10  # pushes against other writers, as Kargo does (facts/delivery.md 4.1)
REMOTE_SECONDS = 60.0
# What Git says when a ref moved meanwhile; a hook that declines is no race and must be told.
MOVED = ("[rejected]", "cannot lock ref", "failed to update ref", "incorrect old value")


class LostRace(Exception):
    """Another writer pushed first."""


@dataclass(frozen=True)
class State:
    """What the remote says right now about one environment."""

    target: Target
    clone: Path
    head: str
    release: Release = NOTHING
    events: Sequence[Event] = field(default_factory=list)

    @property
    def file(self) -> str:
        return f"{self.target.env.folder}/values.yaml"


@dataclass(frozen=True)
class Change:
    """What a transaction wants: an event, and the release lines that go with it (None: they stay)."""

    event: Event
    release: Release | None = None
    key: str = ""
    """The SSH key that signs the commit; '': it is not signed."""


def _clone(c: Context, target: Target) -> Path:
    """The private clone of the remote, made once; never the user's checkout."""
    name = hashlib.sha256(target.git_url.encode()).hexdigest()[:16]
    clone = paths.work() / "desired" / name
    if not (clone / ".git" / "HEAD").exists():
        clone.parent.mkdir(parents=True, exist_ok=True)
        run(c, ["git", "init", "--quiet", clone], step="make the private clone", timeout=30, quiet=True)
    return clone


def _remote(c: Context, clone: Path, *words: str, step: str) -> None:
    run(
        c,
        ["git", "-C", clone, *words],
        step=step,
        timeout=REMOTE_SECONDS,
        env={"GIT_TERMINAL_PROMPT": "0"},
        fix="./inv doctor",
        quiet=True,
    )


def fetch(c: Context, target: Target) -> State:
    """The remote's state of the environment. Raises Stop (4) when the remote does not answer."""
    with _locked(c, target):
        return _fetch(c, target)


def _locked(c: Context, target: Target) -> AbstractContextManager[None]:
    """Git's own ref locks do not wait: processes of one checkout take turns on the private clone."""
    return locks.exclusive(_clone(c, target).with_suffix(".lock"), "the desired-state clone")


def _fetch(c: Context, target: Target) -> State:
    clone = _clone(c, target)
    ref = f"refs/remotes/origin/{target.branch}"
    _remote(
        c,
        clone,
        "fetch",
        "--quiet",
        "--prune",
        "--no-auto-gc",
        target.git_url,
        "+refs/heads/*:refs/remotes/origin/*",
        step=f"fetch the desired state of {target.env.name}",
    )
    return at(c, target, clone, git.ask(c, "rev-parse", "--verify", "--quiet", ref, repo=clone, ok=(0, 1, 128)))


def at(c: Context, target: Target, clone: Path, head: str) -> State:
    """The environment's state at a commit of the clone ('': the remote has none); nothing is fetched."""
    state = State(target, clone, head)
    if not head:
        return state
    text = commits.show(c, clone, head, state.file)
    release = values.read(text, state.file) if text else NOTHING
    return State(target, clone, head, release, history.read(c, clone, head, target.env.name))


def adopt(c: Context, state: State, sha: str) -> None:
    """Makes sure that the remote has, or may be given, the release's commit; brings it into the clone.

    Raises Stop (5) when the remote does not hold it and only its owner may push there.
    """
    if state.head and git.is_ancestor(c, sha, state.head, repo=state.clone):
        return
    if not state.target.publishes:
        raise Stop(
            f"the remote branch {state.target.branch} does not hold commit {sha[:12]}, whose chart Argo CD must read",
            Code.REFUSED,
            f"git push origin {sha}:{state.target.branch}",
        )
    if not git.has(c, sha, repo=state.clone):
        argv: list[str | Path] = ["git", "-C", paths.ROOT, "push", "--quiet", "--no-verify", state.clone]
        run(c, [*argv, f"{sha}:refs/slipway/{sha}"], step="take the commit along", timeout=60, quiet=True)


def transact(c: Context, target: Target, decide: Callable[[State], Change | None], publish: str = "") -> State:
    """Runs one change against the remote until it lands; returns the state after it.

    decide: looks at the fresh state, raises Stop where a guard refuses, returns None when nothing is to be done.
    publish: a commit that the remote must hold afterwards. Raises Stop (4) after ATTEMPTS lost races.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    with _locked(c, target):
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_random_exponential(multiplier=0.2, max=5),
                retry=retry_if_exception_type(LostRace),
                reraise=True,
            ):
                with attempt:
                    return _attempt(c, target, decide, publish)
        except LostRace as error:
            raise Stop(
                f"change the desired state of {target.env.name}: other writers were faster {ATTEMPTS} times",
                Code.COULD_NOT_RUN,
                f"./inv status --env {target.env.name}",
            ) from error
    raise AssertionError("unreachable")


def _attempt(c: Context, target: Target, decide: Callable[[State], Change | None], publish: str) -> State:
    state = _fetch(c, target)
    if publish:
        adopt(c, state, publish)
    change = decide(state)
    if change is None:
        return state
    commit = _commit(c, state, change, publish)
    push = ["git", "-C", str(state.clone), "push", "--porcelain"]
    result = run(
        c,
        [*push, target.git_url, f"{commit}:refs/heads/{target.branch}"],
        step="push the desired state",
        timeout=REMOTE_SECONDS,
        env={"GIT_TERMINAL_PROMPT": "0"},
        ok=(0, 1, 128),
        quiet=True,
    )
    if result.exited != 0:
        said = result.stdout + result.stderr
        if any(word in said for word in MOVED):
            terminal.say("another writer pushed first; looking again")
            raise LostRace
        reason = " ".join(said.split())[-300:]
        raise Stop(
            f"push the desired state to {target.branch}: {reason}",
            Code.COULD_NOT_RUN,
            f"./inv status --env {target.env.name}",
        )
    announcing.tell(change.event)
    return _fetch(c, target)


def _commit(c: Context, state: State, change: Change, publish: str) -> str:
    """The new commit on top of the remote's head, joined with the published commit where that is new there."""
    joins = bool(publish) and not (state.head and git.is_ancestor(c, publish, state.head, repo=state.clone))
    base = publish if joins else state.head
    if not base:
        raise Stop("the remote branch is empty; deploy a release first", Code.REFUSED, "./inv build deploy")
    edits = _kept_releases(c, state, base) if joins and state.head else {}
    if change.release is not None:
        text = edits.get(state.file) or commits.show(c, state.clone, base, state.file)
        if not text:
            raise Stop(f"{state.file} is missing in commit {base[:12]}", Code.USAGE, f"git log --stat -- {state.file}")
        edits[state.file] = values.edit(text, change.release, state.file)
    parents = [parent for parent in (state.head, publish if joins else "") if parent]
    return commits.write(c, state.clone, base, edits, parents, change.event, change.key)


def _kept_releases(c: Context, state: State, base: str) -> dict[str, str]:
    """A published commit brings files and settings, but never moves any environment's release, nor removes one.

    An environment that runs something and that the published commit does not know (another branch added it) stays.
    """
    edits = {}
    for name in (name for name in commits.files(c, state.clone, state.head) if name.endswith("/values.yaml")):
        here = commits.show(c, state.clone, base, name)
        release = values.read(commits.show(c, state.clone, state.head, name), name)
        if here:
            edits[name] = values.edit(here, release, name)
        elif release:
            own = commits.files(c, state.clone, state.head, name.rpartition("/")[0])
            edits |= {file: commits.show(c, state.clone, state.head, file) for file in own}
    return edits
