"""Looks for a program: a good enough version on PATH, then the project's cache. Installs nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from invoke.context import Context

from tasks.lib import trace
from tasks.lib.errors import Stop
from tasks.lib.paths import cache
from tasks.lib.runner import run
from tasks.lib.tools import pins, versions

ASK_SECONDS = 30.0
# Root's programs are missing from many users' PATH although anyone may run them.
SYSTEM_FOLDERS = (Path("/usr/local/sbin"), Path("/usr/sbin"), Path("/sbin"))


@dataclass(frozen=True)
class Found:
    """A program that will do: its file, its version ('' when it cannot tell) and where it came from."""

    path: Path
    version: str
    where: Literal["PATH", "cache"]


@dataclass(frozen=True)
class Look:
    """What looking for one program gave: the program, or why those on PATH will not do."""

    pin: pins.AnyPin
    found: Found | None = None
    rejected: list[str] = field(default_factory=list)


def look(c: Context, row: pins.AnyPin) -> Look:
    """Looks on PATH, then in the project's cache."""
    rejected = []
    for candidate in _candidates(row):
        version = version_of(c, candidate, row.version_args)
        if reason := unfit(row, version):
            rejected.append(f"{candidate} is {version or 'of unknown version'}: {reason}")
        else:
            return Look(row, Found(candidate, version, "PATH"), rejected)
    ours = pins.target(row)
    if os.access(ours, os.X_OK):
        return Look(row, Found(ours, getattr(row, "version", ""), "cache"), rejected)
    return Look(row, None, rejected)


def unfit(row: pins.AnyPin, version: str) -> str:
    """Why a version found on PATH will not do; '' when it will."""
    if version and version in row.refused:
        return f"refused, {row.refused_because}" if row.refused_because else "refused"
    bounds = row.on_path
    if not versions.within(version, bounds.minimum, bounds.below):
        return f"wanted {wanted(row)}"
    return ""


def wanted(row: pins.AnyPin) -> str:
    """The versions that will do, in words."""
    bounds = row.on_path
    if not bounds.use:
        return f"our own {getattr(row, 'version', 'build')}"
    words = [f"{bounds.minimum} or newer"] if bounds.minimum else []
    words += [f"below {bounds.below}"] if bounds.below else []
    return ", ".join(words) or "any"


def _candidates(row: pins.AnyPin) -> Iterator[Path]:
    """The files of this name in the folders of PATH and after it, each once, in the order of search."""
    if not row.on_path.use:
        return
    if isinstance(row, pins.DebPin) and row.file:
        if os.access(row.file, os.X_OK):
            yield row.file
        return
    # The checkout's venv carries some programs; ./inv does not put it on PATH.
    folders = [Path(sys.executable).parent, *map(Path, os.get_exec_path()), *SYSTEM_FOLDERS]
    folders += [folder.expanduser() for folder in row.also_in]
    seen = set()
    for folder in folders:
        if (there := shutil.which(row.name, path=str(folder))) and (real := Path(there).resolve()) not in seen:
            seen.add(real)
            yield Path(there)


def version_of(c: Context, program: Path, args: list[str]) -> str:
    """The version that a program prints, '' when it prints none; asked once per file, then remembered."""
    if not args:
        return ""
    stat = program.stat()
    key = " ".join([str(program), str(program.resolve()), str(stat.st_mtime_ns), str(stat.st_size), *args])
    memory = _remembered()
    if key not in memory:
        memory[key] = _ask(c, program, args)
        _remember(key, memory[key])
    return memory[key]


@trace.aside()
def _ask(c: Context, program: Path, args: list[str]) -> str:
    try:
        result = run(c, [program, *args], step=f"ask {program.name} for its version", timeout=ASK_SECONDS, quiet=True)
    except Stop:
        return ""  # a program that cannot say its version is no use, whatever the reason
    return versions.read(result.stdout) or versions.read(result.stderr)


def _memory() -> Path:
    return cache() / "tools" / "versions.json"


def _remembered() -> dict[str, str]:
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def _remember(key: str, version: str) -> None:
    """Adds one answer; a lost write only costs asking again."""
    if not version:
        return
    path = _memory()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({**_remembered(), key: version}, indent=0), encoding="utf-8")
    fresh.replace(path)
