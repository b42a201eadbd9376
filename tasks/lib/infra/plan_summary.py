"""A plan as a person reads it before agreeing: the dangerous changes on top and named, nothing sensitive anywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tasks.lib import terminal
from tasks.lib.infra import prices
from tasks.lib.infra.masking import printable
from tasks.lib.infra.planfile import Action, Change, Plan
from tasks.lib.infra.prices import Estimate

WORDS = {
    Action.DELETE: "destroy",
    Action.REPLACE: "replace",
    Action.UPDATE: "change",
    Action.FORGET: "forget",
    Action.CREATE: "create",
}
"""What Terraform's actions are called here, the most dangerous first."""

SHOWN = 5  # attributes of one change; the rest is counted
SHOWN_NEW = 20  # new resources by name; more are counted by module
LONGEST = 40  # characters of one value


def show(plan: Plan, estimate: Estimate | None = None) -> None:
    """Prints what applying the plan would do, and what each change would cost where an estimate is given."""
    terminal.say(headline(plan))
    if plan.errored or not plan.complete:
        terminal.warn("Terraform could not plan everything; there is more to come after this")
    for change in plan.losses:
        terminal.bad(danger(change))
    if plan.acting:
        terminal.table("", ("action", "resource", "what"), rows(plan.acting))
    if plan.outputs:
        terminal.say(f"Outputs that change: {', '.join(plan.outputs)}")
    if estimate:
        prices.show(estimate)


def rows(changes: Iterable[Change]) -> list[tuple[str, str, str]]:
    """The table: one row per change, the most dangerous first; many new resources are a row per module."""
    found = ordered(changes)
    new = [change for change in found if change.action is Action.CREATE]
    if len(new) <= SHOWN_NEW:
        return [row(change) for change in found]
    modules = {change.module: [one for one in new if one.module == change.module] for change in new}
    return [
        *(row(change) for change in found if change.action is not Action.CREATE),
        *((WORDS[Action.CREATE], printable(name or "the root"), _kinds(some)) for name, some in modules.items()),
    ]


def _kinds(changes: Iterable[Change]) -> str:
    counted = Counter(change.type.removeprefix("aws_") for change in changes)
    return ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in sorted(counted.items()))


def headline(plan: Plan) -> str:
    """One line: how many resources are created, changed, replaced and destroyed."""
    if plan.empty:
        return "The plan changes nothing"
    counts = plan.counts
    said = [f"{counts[action]} to {word}" for action, word in reversed(WORDS.items()) if counts.get(action)]
    return f"The plan: {', '.join(said) or 'outputs only'}"


def danger(change: Change) -> str:
    """One line for a stateful resource that would go: what is lost with it, and why."""
    again = ", made anew and empty" if change.action is Action.REPLACE else ""
    reason = f" ({_why(change)})" if _why(change) else ""
    return f"{WORDS[change.action].upper()} {printable(change.address)}: {change.loses} is lost{again}{reason}"


def ordered(changes: Iterable[Change]) -> list[Change]:
    """Stateful resources that go, then other ones that go, replacements, changes, what is new; else by address."""
    rank = list(WORDS)
    return sorted(changes, key=lambda one: (not one.loses, rank.index(one.action), one.address))


def row(change: Change) -> tuple[str, str, str]:
    """Action, address, and what changes or why: one row of the table."""
    word = WORDS[change.action] + (" (!)" if change.loses else "")
    address = printable(change.address)
    if change.previous_address:
        address = f"{address} (was {printable(change.previous_address)})"
    if change.action in (Action.CREATE, Action.FORGET):
        return word, address, "imported" if change.imported else ""
    why = _why(change)
    return word, address, "; ".join(part for part in (why, differences(change)) if part)


def differences(change: Change) -> str:
    """The attributes of an update that differ, from what to what; '' for other actions. Sensitive values stay out."""
    if change.action is not Action.UPDATE:
        return ""
    # `tags_all` says what `tags` says once more.
    said = [_difference(name, change) for name in change.changed if name != "tags_all"]
    return ", ".join(said[:SHOWN]) + (f" and {len(said) - SHOWN} more" if len(said) > SHOWN else "")


def _why(change: Change) -> str:
    forced = f"forced by {', '.join(change.forced_by[:SHOWN])}" if change.forced_by else ""
    return "; ".join(part for part in (change.reason, forced) if part)


def _difference(name: str, change: Change) -> str:
    sides = (change.before.get(name), change.after.get(name))
    if any(isinstance(side, (dict, list)) and side for side in sides):
        return name  # what differs inside would be cut off
    return f"{name}: {_value(sides[0])} → {_value(sides[1])}"


def _value(value: Any) -> str:
    if value is None or value == []:
        return "none"
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
