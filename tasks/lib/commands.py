"""Checks command lines that are written down somewhere against the tasks that exist, without running them."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Collection as Names
from functools import lru_cache

from invoke.exceptions import ParseError
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser, ParseResult
from invoke.program import Program

from front_door import spelled_out

FRONT_DOOR = "./inv"
TAKES_MORE = {"bench"}  # tasks that read what follows two dashes
VARIABLE = re.compile(r"\$\{?[A-Z_]+\}?")


@lru_cache(maxsize=1)
def _contexts() -> list[ParserContext]:
    from tasks import ns

    # A copy, because Invoke takes the help texts out of the tasks while it makes contexts of them.
    return list(copy.deepcopy(ns).to_contexts())


def _parsed(words: list[str]) -> ParseResult:
    """The words as Invoke takes them. Raises ParseError.

    Only tasks whose name is among the words can begin there; Invoke copies every one that it is given.
    """
    program = Program(version="0")
    named = [one for one in _contexts() if {one.name, *one.aliases} & set(words)]
    initial = ParserContext(args=program.core_args() + program.task_args())
    return Parser(contexts=named, initial=initial).parse_argv(spelled_out(words))


def wrong(line: str, environments: Names[str]) -> str:
    """What is wrong with a line that starts with ./inv: words, task, option or environment; '' when it would be taken.

    A shell variable may stand for any value, and for nothing else.
    """
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        return f"not a shell line: {error}"
    if words[:1] != [FRONT_DOOR]:
        return f"does not start with {FRONT_DOOR}"
    try:
        parsed = _parsed(words[1:])
    except ParseError as error:
        return str(error)
    if parsed.remainder and parsed[-1].name not in TAKES_MORE:
        return f"no task takes '-- {parsed.remainder}'"
    for task in parsed[1:]:
        name = str(task.args["env"].value or "") if "env" in task.args else ""
        if name and name not in environments and not VARIABLE.fullmatch(name):
            return f"no environment '{name}'; known: {', '.join(sorted(environments))}"
    return ""


def task_names(line: str) -> list[str]:
    """The tasks that a right line runs, in order."""
    _, *tasks = _parsed(shlex.split(line, comments=True)[1:])
    return [str(task.name) for task in tasks]
