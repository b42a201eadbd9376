"""How every task ends: one exit code each (design.md) and one sentence with the next command."""

from __future__ import annotations

from enum import IntEnum

from invoke.exceptions import Exit


class Code(IntEnum):
    """Exit codes, the same for every task, person, pipeline and runbook."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    FINDINGS = 3
    COULD_NOT_RUN = 4
    REFUSED = 5
    UNHEALTHY = 6


class Stop(Exit):
    """Ends a task with a sentence for the operator.

    sentence: names the step and the cause. code: one of Code. fix: the next command to type, if there is one.
    """

    def __init__(self, sentence: str, code: Code = Code.UNEXPECTED, fix: str = "") -> None:
        self.sentence = sentence
        self.fix = fix
        super().__init__(message=f"{sentence}\n  next: {fix}" if fix else sentence, code=int(code))
