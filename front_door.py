"""What ./inv becomes: Invoke under its own name, and with exit code 2 for lines that it does not understand."""

from __future__ import annotations

import os
import sys

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

USAGE = 2  # Code.USAGE; nothing of `tasks` is imported here, because Invoke's loader does that


class FrontDoor(Program):
    """Invoke answers 1 to a wrong word, which is this project's code for the unexpected."""

    def parse_core(self, argv: list[str] | None) -> None:
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise Exit(f"{error}\n  next: ./inv --list", USAGE) from error

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"{error}\n  next: ./inv --list", USAGE) from error


if __name__ == "__main__":
    try:
        FrontDoor(name="Slipway", binary="./inv", version="of this checkout").run()
        sys.stdout.flush()
    except BrokenPipeError:  # who read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
