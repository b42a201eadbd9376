"""Freeze and unfreeze an environment: two commits; everything else is computed from them and the clock."""

from __future__ import annotations

from datetime import datetime, timezone

from invoke.context import Context

from tasks.lib import delivery, desired, history, moments, terminal
from tasks.lib.desired import Change, State
from tasks.lib.errors import Code, Stop
from tasks.lib.history import Action, Event
from tasks.lib.settings import Environment


def end(until: str, now: datetime, env: str) -> datetime:
    """When a freeze is to end, as it was typed. Raises Stop (2) when that is nothing, or over already."""
    fix = f"./inv freeze --env {env} --until 4h --reason WHY"
    if not until:
        raise Stop("freeze: --until is missing; a freeze ends by itself", Code.USAGE, fix)
    try:
        found = moments.moment(until, now)
    except (ValueError, OverflowError) as error:
        raise Stop(f"freeze: --until: {error}", Code.USAGE, fix) from error
    if found <= now:
        raise Stop(f"freeze: --until {until}: {moments.shown(found)} is over", Code.USAGE, fix)
    return found.replace(microsecond=0)


def freeze(c: Context, env: Environment, until: str, reason: str, yes: bool = False) -> None:
    """Stops the line of an environment until a moment. Rollback stays allowed. Raises Stop (2) for a bad moment."""
    now = datetime.now(timezone.utc)
    ends = end(until, now, env.name)
    why = _reason(reason, f"./inv freeze --env {env.name} --until {until} --reason WHY")
    d = delivery.open_(c, env, up=False)
    before = desired.fetch(c, d.target)
    earlier = history.freeze(before.events, now)
    rows = [
        ("environment", env.name),
        ("until", f"{moments.shown(ends)}, in {moments.length(ends - now)}"),
        ("reason", why),
        ("takes the place of", f"the freeze until {_end(earlier)}: {earlier.reason}" if earlier else "nothing"),
        ("stays allowed", f"./inv rollback --env {env.name}"),
    ]
    terminal.table("Freeze", ("", ""), rows)
    if env.ask:
        terminal.confirm(f"Freeze {env.name}?", yes)
    desired.transact(c, d.target, lambda _: Change(d.event(Action.FREEZE, "", reason=why, until=ends)))
    terminal.good(f"{env.name} is frozen until {moments.shown(ends)}")
    terminal.say(f"  sooner: ./inv unfreeze --env {env.name} --reason WHY")


def unfreeze(c: Context, env: Environment, reason: str, yes: bool = False) -> None:
    """Ends a freeze before its time; nothing is done where there is none."""
    why = _reason(reason, f"./inv unfreeze --env {env.name} --reason WHY")
    d = delivery.open_(c, env, up=False)
    found = history.freeze(desired.fetch(c, d.target).events, datetime.now(timezone.utc))
    if found is None:
        terminal.good(f"{env.name} is not frozen")
        return
    since = f"frozen since {moments.shown(found.time)} by {found.by} until {_end(found)}: {found.reason}"
    terminal.say(f"{env.name} is {since}")
    if env.ask:
        terminal.confirm(f"Unfreeze {env.name}?", yes)

    def decide(state: State) -> Change | None:
        if history.freeze(state.events, datetime.now(timezone.utc)) is None:
            return None
        return Change(d.event(Action.UNFREEZE, "", reason=why))

    desired.transact(c, d.target, decide)
    terminal.good(f"{env.name} takes releases again")


def _reason(text: str, fix: str) -> str:
    if not text.strip():
        raise Stop("--reason is missing; the next who is refused reads it", Code.USAGE, fix)
    return text


def _end(freeze: Event) -> str:
    return moments.shown(freeze.until) if freeze.until else "somebody unfreezes it"
