"""Control groups: how the lab finds every process that belongs to it, pods included, whatever became of its parents."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tasks.lib.errors import Code, Stop

MOUNTS = Path("/proc/self/mounts")
PARTS = "parts"  # cgroup v2 allows processes only in leaves, so the lab's own daemons get one


def hierarchies(mounts: str | None = None) -> list[Path]:
    """Mount points of all control group hierarchies (one on v2, about ten on v1)."""
    text = MOUNTS.read_text() if mounts is None else mounts
    rows = [line.split() for line in text.splitlines()]
    return [Path(row[1]) for row in rows if len(row) > 2 and row[2] in ("cgroup", "cgroup2")]


def create(name: str) -> list[Path]:
    """Makes the group in every hierarchy; returns the folders that a new process has to join."""
    leaves = []
    for top in hierarchies():
        leaf = top / name / PARTS
        with contextlib.suppress(PermissionError, OSError):
            for folder in (leaf.parent, leaf):
                folder.mkdir(exist_ok=True)
                _inherit_cpuset(folder)
        if leaf.is_dir():
            leaves.append(leaf)
    return leaves


def _inherit_cpuset(folder: Path) -> None:
    """A new v1 cpuset group is empty and takes no process before it has processors and memory nodes."""
    for key in ("cpuset.cpus", "cpuset.mems"):
        own = folder / key
        if own.exists() and not own.read_text().strip() and (folder / "cgroup.clone_children").exists():
            own.write_text((folder.parent / key).read_text())


def groups(name: str) -> Iterator[Path]:
    """Every folder of the group, deepest first."""
    for top in hierarchies():
        for folder, _, _ in os.walk(top / name, topdown=False):
            yield Path(folder)


def processes(name: str) -> set[int]:
    """Process ids in the group, in any hierarchy and at any depth."""
    found: set[int] = set()
    for folder in groups(name):
        with contextlib.suppress(OSError):
            found |= {int(word) for word in (folder / "cgroup.procs").read_text().split()}
    return found - {0}  # 0 is a process of an outer pid namespace


def kill(name: str, timeout: float = 30.0) -> None:
    """Ends every process of the group and waits until they are gone. Raises Stop (4) when some stay."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    def strike() -> set[int]:
        alive = processes(name)
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return alive

    try:
        Retrying(retry=retry_if_result(bool), stop=stop_after_delay(timeout), wait=wait_fixed(0.05))(strike)
    except RetryError:
        left = ", ".join(str(pid) for pid in sorted(processes(name)))
        raise Stop(f"lab: processes {left} do not end", Code.COULD_NOT_RUN, "./inv lab.down") from None


def remove(name: str, timeout: float = 10.0) -> None:
    """Removes the empty group from every hierarchy; the kernel may hold a group for a moment after its last process."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    def sweep() -> bool:
        for folder in groups(name):
            with contextlib.suppress(OSError):
                folder.rmdir()
        return any((top / name).exists() for top in hierarchies())

    try:
        Retrying(retry=retry_if_result(bool), stop=stop_after_delay(timeout), wait=wait_fixed(0.1))(sweep)
    except RetryError:
        raise Stop(f"lab: control group {name} could not be removed", Code.COULD_NOT_RUN, "./inv lab.down") from None
