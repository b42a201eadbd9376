"""Whether two traces are of the same work: same tasks, from the same inputs, by the same calls, to the same ends."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tasks.lib import commands, settings
from tasks.lib.errors import Code, Stop

PREPARES = {"tools.install"}  # fills the machine's cache; whether a task's own programs are the same, its calls say
ABSENT = "-"
SHOWN = 160
# What runners print before they run a line: GitLab's in green, gitlab-ci-local's after the job. ./inv shows its calls
# behind a plain dollar sign, and those are in the trace.
PROMPT = re.compile(r"(?:\x1b\[32;1m|^\S+ +(?:\x1b\[[0-9;]*m)*)\$ (.*?)(?:\x1b\[[0-9;]*m)*\r?$", re.MULTILINE)
SEVERAL = "# collapsed multi-line command"  # GitLab's words for a line that hides others


class Run(BaseModel):
    """One task as its trace tells it."""

    task: str
    arguments: dict[str, str] = {}
    inputs: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    exit: int | None = None
    databases: dict[str, str] = {}
    outputs: dict[str, str] = {}


@dataclass(frozen=True)
class Difference:
    """Something that one trace has otherwise than the other; ABSENT where it has nothing."""

    task: str
    what: str
    left: str
    right: str


def load(path: Path) -> list[Run]:
    """The tasks of a trace in the order in which they began. Raises Stop (2) when it is none, or has no task."""
    runs: dict[str, Run] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            kind = event.pop("event")
            name = event.pop("run")
            if kind == "start":
                runs[name] = Run.model_validate(event)
            elif name in runs and kind == "call":
                runs[name].calls.append(event)
            elif name in runs and kind == "end":
                runs[name] = Run.model_validate({**runs[name].model_dump(), **event})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise Stop(f"parity: {path} is no trace: {why}", Code.USAGE, f"SLIPWAY_TRACE={path} ./inv scan") from error
    if not runs:
        raise Stop(f"parity: {path} holds no task", Code.USAGE, f"SLIPWAY_TRACE={path} ./inv scan")
    return list(runs.values())


def compare(left: Sequence[Run], right: Sequence[Run]) -> list[Difference]:
    """All differences, task by task; a task that ran several times is compared time by time."""
    found = []
    ours, theirs = _by_name(left), _by_name(right)
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            found.append(Difference(name, "task", _there(one), _there(other)))
        else:
            found += _compare(name, one, other)
    return found


def lines(log: Path, runs: Sequence[Run]) -> list[Difference]:
    """What unaccounted finds in a log file, as differences. Raises Stop (2) when the file cannot be read."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Stop(f"parity: {log} cannot be read: {error.strerror}", Code.USAGE, "./inv parity --help") from error
    if not PROMPT.search(text):
        raise Stop(f"parity: {log} is no log of a job: it shows no line of a script", Code.USAGE, "./inv parity --help")
    return [Difference("(script)", "line without a trace", ABSENT, line) for line in unaccounted(text, runs)]


def unaccounted(log: str, runs: Sequence[Run]) -> list[str]:
    """The lines of a job's log that no task of the trace accounts for: raw script lines, and tasks without a trace."""
    left = Counter(run.task for run in runs)
    known = settings.known()
    found = []
    for line in PROMPT.findall(log):
        wanted = [] if SEVERAL in line or commands.wrong(line, known) else commands.task_names(line)
        if not wanted or any(left[name] < 1 for name in wanted):
            found.append(line)
        else:
            left.subtract(wanted)
    return found


def _by_name(runs: Iterable[Run]) -> dict[str, Run]:
    seen: Counter[str] = Counter()
    named = {}
    for run in runs:
        if run.task in PREPARES:
            continue
        seen[run.task] += 1
        named[run.task if seen[run.task] == 1 else f"{run.task} ({seen[run.task]})"] = run
    return named


def _there(run: Run | None) -> str:
    return "ran" if run else ABSENT


def _compare(name: str, left: Run, right: Run) -> list[Difference]:
    found = _entries(name, "argument", left.arguments, right.arguments)
    found += _entries(name, "input", _flat(left.inputs), _flat(right.inputs))
    found += _calls(name, left.calls, right.calls)
    found += _entries(name, "result", {"exit": left.exit}, {"exit": right.exit})
    found += _entries(name, "database", left.databases, right.databases)
    return found + _entries(name, "output", left.outputs, right.outputs)


def _flat(inputs: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in inputs.items():
        if isinstance(value, dict):
            flat |= {f"{key.removesuffix('s')} {name}": part for name, part in value.items()}
        else:
            flat[key] = value
    return flat


def _entries(name: str, kind: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    keys = sorted({*left, *right})
    pairs = [(key, str(left.get(key, ABSENT)), str(right.get(key, ABSENT))) for key in keys]
    return [Difference(name, f"{kind}: {key}", one, other) for key, one, other in pairs if one != other]


def _calls(name: str, left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> list[Difference]:
    ours, theirs = [_call(one) for one in left], [_call(one) for one in right]
    found = [Difference(name, "call", one, ABSENT) for one in (Counter(ours) - Counter(theirs)).elements()]
    found += [Difference(name, "call", ABSENT, one) for one in (Counter(theirs) - Counter(ours)).elements()]
    # Calls of several threads have no order of their own.
    alone = all(len({one.get("lane") for one in calls}) == 1 for calls in (left, right))
    if not found and alone and ours != theirs:
        first = next(index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        found.append(Difference(name, "order of calls", ours[first], theirs[first]))
    return found


def _call(one: Mapping[str, Any]) -> str:
    program = one.get("program", {})
    identity = " ".join(part for part in (program.get("version", ""), program.get("sha256", "")) if part)
    return f"{' '.join(one.get('argv', []))} -> {one.get('exit')} [{identity}]"
