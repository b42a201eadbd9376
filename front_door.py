"""What ./inv becomes: Invoke under its own name, and with exit code 2 for lines that it does not understand."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.executor import Executor
from invoke.program import Program

USAGE = 2  # Code.USAGE; nothing of `tasks` is imported here, because Invoke's loader does that
# Long options that take no value.
SWITCHES = ("--debug", "--dry", "--echo", "--no-dedupe", "--pty", "--warn-only", "--yes")
TAKES_A_NAME = "runbook"  # reads and changes nothing, so that a word too many in its line does no harm


def spelled_out(words: Sequence[str]) -> list[str]:
    """`runbook HighErrorRate` as `runbook --name HighErrorRate`: a positional argument of Invoke's may not be missing.

    The first word behind it that is neither an option nor an option's value is the name, also where a task is called
    so: `runbook --env production rollback` shows a page and never rolls back.
    """
    found = list(words)
    if TAKES_A_NAME in found:
        at = found.index(TAKES_A_NAME) + 1
        before = found[at - 2] if at > 1 else ""
        if before.startswith("--") and "=" not in before and before not in SWITCHES:
            return found  # the value of another task's option, such as a reason
        while at < len(found) and found[at].startswith("-"):
            at += 1 if "=" in found[at] else 2
        if at < len(found):
            found.insert(at, "--name")
    return found


class Traced(Executor):
    """Invoke's executor; where SLIPWAY_TRACE names a file, it notes each task there."""

    def execute(self, *tasks: Any) -> Any:
        if not os.environ.get("SLIPWAY_TRACE"):
            return super().execute(*tasks)
        from tasks.lib import trace  # loaded by now

        done = {}
        for one in tasks:
            with trace.task(one.name, one.as_kwargs):
                done.update(super().execute(one))
        return done


class FrontDoor(Program):
    """Invoke answers 1 to a wrong word, which is this project's code for the unexpected."""

    def parse_core(self, argv: list[str] | None) -> None:
        try:
            super().parse_core(spelled_out(sys.argv if argv is None else argv))
        except ParseError as error:
            raise Exit(f"{error}\n  next: ./inv --list", USAGE) from error

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"{error}\n  next: ./inv --list", USAGE) from error


if __name__ == "__main__":
    # Nothing that is left at the end needs collecting; to look for it takes half a second with a large client loaded.
    atexit.register(gc.freeze)
    try:
        FrontDoor(name="Slipway", binary="./inv", version="of this checkout", executor_class=Traced).run()
        sys.stdout.flush()
    except BrokenPipeError:  # who read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
