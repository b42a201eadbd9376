"""Where a commit is and why: its gates, its environments, who moved it, and what would refuse its promotion now."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial

from invoke.context import Context

from tasks.lib import delivery, desired, git, guards, history, moments, promotion_rules, publish, settings, terminal
from tasks.lib.delivery import Delivery
from tasks.lib.desired import State
from tasks.lib.errors import Code, Stop
from tasks.lib.record import Record
from tasks.lib.values import Release

WHERE = ("environment", "this commit", "since", "moved by", "reason")


def show(c: Context, sha: str, names: list[str]) -> None:
    """Prints all of it. An environment that does not answer is a line too, saying why."""
    commit = git.commit(c, sha)
    terminal.say(f'{commit.short} "{commit.subject}" by {commit.author}, {moments.shown(commit.time)}')
    seen: list[tuple[Delivery, State]] = []
    rows = []
    for env in map(settings.load, names):
        try:
            d = delivery.open_(c, env, up=False)
            state = desired.fetch(c, d.target)
        except Stop as stop:
            rows.append((env.name, "?", "", "", " ".join(stop.sentence.split())[:160]))
            continue
        seen.append((d, state))
        rows.append(where(state, sha, d))
    terminal.table("", WHERE, rows)
    _gates(seen, sha)
    for d, state in seen:
        if d.env.promotion:
            _blockers(c, d, state, sha)


def where(state: State, sha: str, d: Delivery) -> tuple[str, str, str, str, str]:
    """One environment's line: whether the commit runs there, ran there, or is part of what runs there."""
    name, now = state.target.env.name, state.release.revision
    moved = next((one for one in state.events if one.release == sha and one.action in history.MOVES), None)
    current = history.current(state.events)
    says = "never was here"
    if sha == now:
        says = "runs here"
    elif sha in history.holds(state.events):
        says, moved = "rolled back, on hold", next(one for one in state.events if one.held == sha)
    elif now and d.contains(state)(now, sha):
        says, moved = f"is part of {now[:12]}", moved or current
    elif moved:
        says = f"ran here, before {now[:12] or 'nothing'}"
    if moved is None:
        return name, says, "", "", ""
    by = f"{moved.action.value}, {moved.by}"
    return name, says, moments.shown(moved.time), by, moved.reason


def _gates(seen: list[tuple[Delivery, State]], sha: str) -> None:
    """The gates of the signed record, by the first environment whose registry has one."""
    for d, state in seen:
        try:
            release = _release(d, state, sha) or publish.named(d.c, d.target, sha)
            found = publish.fetch_record(d.c, d.target, release) if release else None
        except Stop as stop:
            terminal.warn(f"record, by {d.env.name}: {stop.sentence.splitlines()[0]}")
            continue
        if found:
            _show_record(found)
            return
    terminal.say("no registry that answers has a signed record of it")


def _show_record(found: Record) -> None:
    made = found.predicate
    gates = ", ".join(f"{gate.name} {gate.outcome}" for gate in made.gates)
    terminal.say(f"record: built {moments.shown(made.built)} by {made.by}; gates: {gates}")


def _release(d: Delivery, state: State, sha: str) -> Release:
    return state.release if state.release.revision == sha else delivery.release_of(d, state, sha)


def blockers(c: Context, d: Delivery, state: State, sha: str, a: Delivery) -> list[Stop]:
    """Every rule that would refuse the promotion of a commit into an environment at this moment.

    a: the environment before. state: of the environment that asks.
    """
    source, now = a.env, datetime.now(timezone.utc)
    here = desired.fetch(c, a.target)
    wanted = _release(a, here, sha)
    if not wanted:
        fix = f"./inv deploy --env {source.name} --release {sha[:12]}"
        return [guards.refusal("soak", f"{sha[:12]} was never in {source.name}", fix, until="it soaked there")]
    asked = promotion_rules.way(source, d.env)
    found = []
    trouble = None
    try:
        trouble = promotion_rules.live(a, here, wanted, asked)
    except Stop as stop:
        found = [stop]
    found += promotion_rules.by_git(a, d, state, wanted, asked, now, trouble)
    return found + guards.collect(partial(promotion_rules.record, d, wanted))


def _blockers(c: Context, d: Delivery, state: State, sha: str) -> None:
    assert d.env.promotion  # noqa: S101 - asked for before
    source = settings.load(d.env.promotion.from_)
    if state.release.revision == sha:
        return
    try:
        found = blockers(c, d, state, sha, delivery.open_(c, source, up=False))
    except Stop as stop:
        if stop.code == Code.UNEXPECTED:
            raise
        found = [stop]
    if not found:
        line = f"./inv promote --from {source.name} --to {d.env.name} --release {sha[:12]}"
        terminal.good(f"nothing blocks its promotion to {d.env.name}; next: {line}")
    for refused in found:
        terminal.bad(f"blocks its promotion to {d.env.name}: {refused.sentence}")
        if refused.fix:
            terminal.say(f"  next: {refused.fix}")
