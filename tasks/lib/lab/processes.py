"""Daemons of the lab: one data row each, a pid file that survives reuse of pids, start, readiness and end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.lib.errors import Code, Stop
from tasks.lib.lab.layout import Home

NAMESPACE = "namespace"  # the part that holds the mount namespace of the container engines
# Joins the control groups before the program exists, so that no child of it can be outside of them.
JOIN = 'for group in $1; do echo $$ > "$group/cgroup.procs"; done; shift; exec "$@"'


@dataclass(frozen=True)
class Part:
    """One daemon. needs: parts that must be ready before. mounts: runs inside the lab's mount namespace.

    ready: says whether it serves. deadline: seconds until it must. env: added to an otherwise small environment.
    files: its configuration; the part is started again when their content changes.
    """

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    needs: tuple[str, ...] = ()
    mounts: bool = False
    deadline: float = 60.0
    env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def digest(self) -> str:
        """Changes when the part would be started differently, so that an upgrade restarts it."""
        contents = [file.read_text() for file in self.files]
        return hashlib.sha256(json.dumps([self.argv, sorted(self.env.items()), contents]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Running:
    """A started process: `start` is the kernel's start time in clock ticks, which no later process of that pid has."""

    pid: int
    start: int
    since: float
    digest: str = ""


def start_time(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    after_name = text.rpartition(")")[2].split()  # the name may hold spaces and brackets
    return None if after_name[0] in "ZX" else int(after_name[19])


def pid_file(home: Home, name: str) -> Path:
    return home.run / f"{name}.pid"


def log_file(home: Home, name: str) -> Path:
    return home.logs / f"{name}.log"


def find(home: Home, name: str) -> Running | None:
    """The living process of this part, or None."""
    try:
        known = Running(**json.loads(pid_file(home, name).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return known if start_time(known.pid) == known.start else None


def start(home: Home, part: Part, groups: Sequence[Path]) -> Running:
    """Starts the part in its own session, its output going to its log; returns at once."""
    argv = list(part.argv)
    if part.mounts:
        holder = find(home, NAMESPACE)
        if holder is None:
            raise Stop(f"lab: {part.name} needs the mount namespace, which is gone", fix="./inv lab.up")
        argv = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--", *argv]
    joined = " ".join(str(group) for group in groups)
    small = {key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ}
    with log_file(home, part.name).open("ab") as log:
        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", JOIN, "sh", joined, *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home.root,
                env={**small, "HOME": str(home.root), **part.env},
                start_new_session=True,
            )
        except OSError as error:
            raise Stop(f"lab: {part.name} could not be started: {error}", Code.COULD_NOT_RUN, "./inv doctor") from error
    child.returncode = 0  # a daemon outlives this process: keep Popen from warning that it still runs
    running = Running(child.pid, start_time(child.pid) or 0, time.time(), part.digest)
    file = pid_file(home, part.name)
    partial = file.with_suffix(".new")
    partial.write_text(json.dumps(running.__dict__))
    partial.replace(file)
    return running


def wait(home: Home, part: Part, deadline: float | None = None) -> None:
    """Waits until the part serves. Raises Stop (4) with the end of its log when it dies or takes too long.

    deadline: seconds, instead of the part's own.
    """
    limit = part.deadline if deadline is None else deadline
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    def state() -> str:
        if find(home, part.name) is None:
            return "died"
        return "ready" if part.ready() else ""

    try:
        pause = Retrying(retry=retry_if_result(lambda s: not s), stop=stop_after_delay(limit), wait=wait_fixed(0.1))
        ended = pause(state)
    except RetryError:
        ended = f"did not answer within {limit:g} s"
    if ended == "ready":
        return
    log = log_file(home, part.name)
    raise Stop(f"lab: {part.name} {ended}; the end of {log}:\n{last_lines(log)}", Code.COULD_NOT_RUN, "./inv lab.up")


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log, indented for a message."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join(f"    {line[:300]}" for line in lines)
    return "    (no log)"


def stop(home: Home, name: str, timeout: float = 10.0) -> None:
    """Ends one part: TERM, then KILL after `timeout` seconds; a part that does not run is fine."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    running = find(home, name)
    if running is not None:
        for strike in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, strike)
            with contextlib.suppress(RetryError):
                gone = Retrying(retry=retry_if_result(bool), stop=stop_after_delay(timeout), wait=wait_fixed(0.05))
                gone(lambda: find(home, name))
                break
    pid_file(home, name).unlink(missing_ok=True)
