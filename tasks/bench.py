"""The benchmark: what this repository promises in numbers, measured beside the raw tools."""

from __future__ import annotations

import contextlib
import json as json_format
import sys

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import words


@task(
    auto_shortflags=False,
    iterable=["row"],
    help={
        "row": "measure only this row; may be given again (default: all). The same: ./inv bench -- list image",
        "json": "print the rows as JSON (default: a table)",
        "yes": words.YES,
    },
)
def bench(c: Context, row: list[str] | None = None, json: bool = False, yes: bool = False) -> None:
    """Measure what is promised, beside the raw tools.

    Exit 3 when a bound does not hold. Row lab-up takes the lab down and up again.

    Usage: ./inv bench --row list --row image
    """
    from tasks.lib import terminal
    from tasks.lib.bench import measuring, rows
    from tasks.lib.errors import Code, Stop

    named = [*(row or []), *c.remainder.split()]
    measuring.refuse_strays(sys.argv, named)
    with contextlib.redirect_stdout(sys.stderr if json else sys.stdout):
        measured = measuring.measure(c, named, yes)
    if json:
        terminal.raw(json_format.dumps([one.data() for one in measured], indent=2))
    else:
        terminal.table("", rows.COLUMNS, [one.cells() for one in measured])
        for one in measured:
            for note in one.notes:
                terminal.say(f"  {one.name}: {note}")
    failed = [one.name for one in measured if not one.holds]
    if failed:
        again = f"./inv bench --row {failed[0]}"
        raise Stop(f"{len(failed)} of {len(measured)} rows do not hold: {', '.join(failed)}", Code.FINDINGS, again)
