"""Locks between processes on one machine; released by the kernel when the holder dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop


@contextmanager
def exclusive(path: Path, waiting_for: str, timeout: float = 1800.0) -> Iterator[None]:
    """Holds the lock file `path`; says `waiting_for` once when another process has it.

    timeout: seconds. Raises Stop (4) when the other process does not let go in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        deadline = time.monotonic() + timeout
        said = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    terminal.say(f"waiting for {waiting_for} in another process")
                    said = True
                if time.monotonic() > deadline:
                    raise Stop(
                        f"{waiting_for}: another process holds {path} for {timeout:g} s",
                        Code.COULD_NOT_RUN,
                        f"lslocks --output PID,COMMAND,PATH | grep {path.name}",
                    ) from None
                time.sleep(0.2)
        yield


def held(path: Path) -> bool:
    """Whether a process holds the lock file `path` at this moment."""
    if not path.exists():
        return False
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
