"""The list of waivers as people and machines read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from tasks.lib import paths, settings, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import ignore_files, waiver_rules, waivers
from tasks.lib.gates.waivers import FILE, Waiver

EXPIRED, INVALID, ENDING, HOLDS = "expired", "does not hold", "ends soon", "holds"


class Row(BaseModel):
    """One waiver and how it stands today. days_left: 0 on its last day, negative after it."""

    waiver: Waiver
    days_left: int
    state: str
    faults: list[str] = []


def rows(found: Sequence[Waiver]) -> list[Row]:
    """The waivers in the order in which they end."""
    now, known = waivers.today(), settings.known()
    made = []
    for index, waiver in enumerate(found):
        faults = waiver_rules.faults(found[: index + 1], known, now)
        own = [text for text in faults if text not in waiver_rules.faults(found[:index], known, now)]
        state = EXPIRED if waiver.expires < now else INVALID if own else HOLDS
        if state == HOLDS and waiver_rules.ending_soon(waiver, now):
            state = ENDING
        made.append(Row(waiver=waiver, days_left=(waiver.expires - now).days, state=state, faults=own))
    return sorted(made, key=lambda row: row.days_left)


def show(found: Sequence[Row], as_json: bool = False) -> None:
    """Prints the list: one JSON list, or a table and what is wrong with which."""
    if as_json:
        terminal.raw(json.dumps([_flat(row) for row in found], indent=2))
        return
    if not found:
        terminal.say(f"{FILE} accepts nothing")
        return
    columns = ("id", "package", "applies", "owner", "approver", "last day", "days left", "state")
    cells = [
        (one.id, one.subject, ", ".join(one.applies), one.owner, one.approver, one.expires, row.days_left, row.state)
        for row in found
        for one in (row.waiver,)
    ]
    terminal.table(f"Waivers of {FILE}", columns, cells)
    for text in dict.fromkeys(fault for row in found for fault in row.faults):
        terminal.bad(text)


def _flat(row: Row) -> dict[str, Any]:
    about = row.waiver.model_dump(mode="json", exclude_none=True)
    return {**about, "days_left": row.days_left, "state": row.state, "faults": row.faults}


def write(found: Sequence[Waiver]) -> None:
    """Makes the scanners' own ignore files and says what is in them."""
    for path, entries in ignore_files.write(found, waivers.today()).items():
        shown = path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path
        terminal.say(f"wrote {shown}, {entries} of {len(found)} waivers")


def conclude(found: Sequence[Row]) -> None:
    """Raises Stop (3) when a waiver does not hold."""
    bad = [row for row in found if row.faults]
    if bad:
        raise Stop(f"scan.waivers: {len(bad)} of {len(found)} waivers do not hold", Code.FINDINGS, f"edit {FILE}")
