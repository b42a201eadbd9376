"""What this machine has and lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.tasks import task

if TYPE_CHECKING:
    from tasks.lib.doctor import Need


@task(
    help={
        "json": "print the rows as JSON",
        "lab": "check the needs of the local platform too (--no-lab for a machine that deploys elsewhere)",
    },
    auto_shortflags=False,
)
def doctor(c: Context, json: bool = False, lab: bool = True) -> None:
    """Check this machine and say what fixes it."""
    from tasks.lib import doctor as checks
    from tasks.lib import terminal
    from tasks.lib.errors import Code, Stop

    rows = checks.needs(c, lab=lab)
    missing = [row for row in rows if row.state == "missing"]
    later = [row for row in rows if row.state == "later"]
    if json:
        _print_json(rows)
    else:
        marks = {"ok": "ok", "later": "later", "warn": "look", "missing": "MISSING"}
        columns = ["", "need", "found", "wanted", "fix"]
        terminal.table("", columns, [(marks[row.state], row.need, row.found, row.wanted, row.fix) for row in rows])
        if later:
            terminal.say(f"{len(later)} programs are installed when first needed; all now: ./inv tools.install")
    if missing:
        names = ", ".join(row.need for row in missing)
        raise Stop(f"missing: {names}", Code.COULD_NOT_RUN, missing[0].fix)


def _print_json(rows: Sequence[Need]) -> None:
    import dataclasses
    import json

    from tasks.lib import terminal

    terminal.raw(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
