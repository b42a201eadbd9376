"""What tasks really did, for comparing two machines: one JSON line per event in the file that SLIPWAY_TRACE names.

Off, it costs one look at a variable. What belongs to the machine alone is left out or gets a name ($ROOT, $TMP, $TIME),
so that the same commit leaves the same trace everywhere; `./inv parity` compares.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.lib import paths, trace_words
from tasks.lib.errors import Code, Stop

FILE = trace_words.FILE
RUN = trace_words.RUN
ASK_SECONDS = 60
INPUTS = ("requirements.txt", "service/requirements.txt", "tools/pins.yaml", "gitops/waivers.yaml")
LOCKS = ("go.mod", "go.sum", "requirements.txt", "package-lock.json")
_here = threading.local()


def on() -> bool:
    """Whether this run leaves a trace."""
    return bool(os.environ.get(FILE))


@contextmanager
def aside() -> Iterator[None]:
    """Calls inside leave no trace: they only fill caches, and whether they happen is up to the machine's past."""
    before = getattr(_here, "aside", False)
    _here.aside = True
    try:
        yield
    finally:
        _here.aside = before


@contextmanager
def task(name: str, arguments: Mapping[str, object]) -> Iterator[None]:
    """Notes a task's inputs before it runs, its exit code and what it made after. Raises Stop (2) for a bad file."""
    from tasks.lib import trace_outputs

    run = secrets.token_hex(6)
    # Programs that are started belong to this task, in whatever folder they run.
    os.environ |= {RUN: run, FILE: str(Path(os.environ[FILE]).absolute())}
    given = {key: _redact(str(value)) for key, value in arguments.items() if value not in ("", None, False)}
    write({"event": "start", "run": run, "task": name, "arguments": given, "inputs": _inputs(arguments)})
    before = trace_outputs.state()
    code = int(Code.UNEXPECTED)
    try:
        yield
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else code
        raise
    except BaseException as end:
        code = 130 if isinstance(end, KeyboardInterrupt) else int(getattr(end, "code", code) or code)
        raise
    finally:
        made, databases = trace_outputs.since(before)
        write({"event": "end", "run": run, "exit": code, "databases": databases, "outputs": made})


def call(words: Sequence[str], code: int) -> None:
    """Notes one external call that has ended. words: argv, already redacted."""
    if getattr(_here, "aside", False):
        return
    name, program = _program(words)
    start = words.index(name) if name in words else 0
    # Which variables are hidden from a program depends on those that there are, and these are among the inputs.
    hidden = {index for index in range(start) if "-u" in words[max(index - 1, 0) : index + 1]}
    kept = [word for index, word in enumerate(words[:start]) if index not in hidden]
    shown = [trace_words.plain(word, commits()) for word in [*kept, Path(name).name, *words[start + 1 :]]]
    lane = threading.get_native_id()
    write(
        {"event": "call", "run": os.environ.get(RUN, ""), "lane": lane, "argv": shown, "exit": code, "program": program}
    )


def write(event: Mapping[str, Any]) -> None:
    """Appends one line, whole, whoever else writes. Raises Stop (2) when the file cannot be written."""
    line = (json.dumps(event, sort_keys=True) + "\n").encode()
    try:
        Path(os.environ[FILE]).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            while line:
                line = line[file.write(line) or 0 :]
    except OSError as error:
        why = f"{FILE}: {os.environ[FILE]} cannot be written: {error.strerror}"
        raise Stop(why, Code.USAGE, f"unset {FILE}, or name another file") from error


def _redact(text: str) -> str:
    from tasks.lib.runner import redact

    return redact(text)


def _git(*words: str) -> str:
    # Not through the runner: this is about the calls that go through it.
    argv = ["git", "--no-optional-locks", "-C", str(paths.ROOT), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=ASK_SECONDS).stdout.strip("\n")


@lru_cache(maxsize=1)
def commits() -> frozenset[str]:
    """The commits that the checkout's history has: the same everywhere, unlike objects that a task makes."""
    return frozenset(_git("rev-list", "HEAD").split())


def _inputs(arguments: Mapping[str, object]) -> dict[str, Any]:
    environment = str(arguments.get("env") or "")
    names = [*INPUTS, f"gitops/environments/{environment}/environment.yaml"] if environment else list(INPUTS)
    locks = sorted(path for path in (paths.ROOT / "tools").rglob("*") if path.name in LOCKS)
    # The files that the task stands on, even where a runner keeps the repository elsewhere.
    here = (f"--git-dir={_git('rev-parse', '--absolute-git-dir')}", f"--work-tree={paths.ROOT}")
    changed = _git(*here, "status", "--porcelain=v1", "-z", "--untracked-files=all").split("\0")
    return {
        "commit": _git("rev-parse", "--verify", str(arguments.get("release") or "HEAD")),
        "tree": _digest([paths.ROOT / entry[3:] for entry in changed if entry], changed) if any(changed) else "clean",
        "files": {name: _digest([paths.ROOT / name]) for name in names},
        "locks of the tools": _digest(locks),
        "python": ".".join(map(str, sys.version_info[:3])),
        "variables": trace_words.variables(os.environ),
    }


def _digest(files: Sequence[Path], also: Sequence[str] = ()) -> str:
    found = hashlib.sha256("\0".join(also).encode())
    for path in files:
        found.update(b"\0" + (path.read_bytes() if path.is_file() else b"nothing"))
    return found.hexdigest()[:16]


def _program(words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The word that names the program itself (`env` only starts it), and the program's identity."""
    rest = iter(words)
    name = next(rest)
    while name == "env":
        name = next((word for word in rest if not _of_env(word, rest)), "")
    found = shutil.which(name)
    if not found:
        return name, {"name": Path(name).name, "version": "", "sha256": ""}
    path = Path(found).resolve()
    ours = path.is_relative_to(paths.cache() / "tools")
    version = path.parent.name.rpartition("-")[0] if ours else ""
    return name, {"name": Path(name).name, "version": version, "sha256": _of_file(path, path.stat().st_mtime_ns)}


def _of_env(word: str, rest: Iterator[str]) -> bool:
    if word == "-u":
        next(rest, "")
    return word.startswith("-") or re.match(r"\w+=", word) is not None


@lru_cache(maxsize=64)
def _of_file(path: Path, _changed: int) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()[:16]
