"""Every external need of Slipway: what is there, what is wanted, and the one line that fixes it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from invoke.context import Context

from tasks.lib.paths import cache
from tasks.lib.tools import find, pins

GIB = 1024**3
LEAST_PYTHON = (3, 10)
BUILD_DISK = 16 * GIB  # Go's caches and the programs, measured; most of it can be deleted after the build
KEEP_DISK = 3 * GIB


@dataclass(frozen=True)
class Need:
    """One need. state: ok · later: installed when first needed · warn: works, look at it · missing: does not work."""

    need: str
    found: str
    wanted: str
    state: Literal["ok", "later", "warn", "missing"]
    fix: str = ""


def needs(c: Context, lab: bool = True) -> list[Need]:
    """All needs, checked now. lab: those of the local platform too."""
    rows = [row for row in pins.known().values() if lab or not row.group.startswith("lab-")]
    programs = [program(find.look(c, row)) for row in rows]
    compiled = {row.name for row in rows if isinstance(row, pins.GoPin)}
    building = any(need.state == "later" and need.need in compiled for need in programs)
    return [python(), *_lab() * lab, disk(cache(), BUILD_DISK if building else KEEP_DISK), *programs]


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Need:
    """The interpreter that runs the tasks."""
    wanted = f"{'.'.join(map(str, LEAST_PYTHON))} or newer"
    found = ".".join(map(str, version))
    if version[:2] >= LEAST_PYTHON:
        return Need("python", found, wanted, "ok")
    return Need("python", found, wanted, "missing", "apt-get install python3 python3-venv")


def disk(folder: Path, wanted: int) -> Need:
    """Free space where programs are built and kept."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    state: Literal["ok", "missing"] = "ok" if free >= wanted else "missing"
    fix = "" if state == "ok" else "go clean -cache -modcache, or XDG_CACHE_HOME=/another/disk"
    return Need(f"disk of {folder}", f"{free / GIB:.0f} GB free", f"{wanted / GIB:.0f} GB", state, fix)


def program(look: find.Look, root: bool | None = None, apt: bool | None = None) -> Need:
    """What looking for one program came to. root, apt: whether packages can be installed; default: asked now."""
    row = look.pin
    root = os.geteuid() == 0 if root is None else root
    apt = shutil.which("apt-get") is not None if apt is None else apt
    refused = [text for text in look.rejected if ": refused" in text]
    if look.found is not None:
        found = f"{look.found.version or 'there'} ({look.found.where})"
        if refused:
            return Need(row.name, f"{found}; {refused[0]}", find.wanted(row), "warn", "remove it: it is never run")
        return Need(row.name, found, find.wanted(row), "ok")
    found = "; ".join(look.rejected) or "-"
    if isinstance(row, pins.PathPin):
        return Need(row.name, found, find.wanted(row), "missing", row.install)
    if isinstance(row, pins.DebPin) and not apt:
        fix = f"install {row.name} with this system's own packages"
        return Need(row.name, found, find.wanted(row), "missing", fix)
    if isinstance(row, pins.DebPin) and not root:
        return Need(row.name, found, find.wanted(row), "missing", f"sudo apt-get install {row.package}")
    return Need(row.name, found, find.wanted(row), "later", f"./inv tools.install --only {row.name}")


def _lab() -> list[Need]:
    """What this machine must be for the local platform; an environment that names a cluster needs none of it."""
    from tasks.lib import lab
    from tasks.lib.lab import preflight

    other = "name a cluster in gitops/environments/<env>/environment.yaml"
    linux = sys.platform.startswith("linux")
    rows = [Need("lab: Linux", sys.platform, "linux", "ok" if linux else "missing", "" if linux else other)]
    if not linux:
        return rows
    root = os.geteuid() == 0
    rows.append(
        Need(
            "lab: root",
            "yes" if root else "no",
            "yes",
            "ok" if root else "missing",
            "" if root else "sudo ./inv lab.up",
        )
    )
    if lab.find() is not None:
        return [*rows, Need("lab: memory, ports", "the lab is running", "-", "ok")]
    return [*rows, _memory(preflight.MEMORY, preflight.LEAST_MEMORY), *_ports()]


def _memory(meminfo: Path, wanted: int) -> Need:
    from tasks.lib.lab import preflight

    free = preflight.available_memory(meminfo.read_text(encoding="utf-8"))
    enough = free >= wanted
    fix = "" if enough else "stop what uses it: ps aux --sort=-rss | head"
    text = f"{free / GIB:.1f} GB available"
    return Need("lab: memory", text, f"{wanted / GIB:.0f} GB", "ok" if enough else "missing", fix)


def _ports() -> list[Need]:
    from tasks.lib.lab import listeners, preflight

    wanted = [place for places in preflight.PORTS.values() for place in places]
    numbers = " ".join(str(port) for _, port in wanted)
    taken, owners = [], set()
    for address, port in wanted:
        if rival := listeners.taken(address, port):
            who = listeners.owner(rival)
            owners |= {who[0]} if who else set()
            taken.append(f"{port} by {who[1]} (pid {who[0]})" if who else f"{port} by another user's process")
    if not taken:
        return [Need("lab: ports", "all free", numbers, "ok")]
    stop = f"kill {' '.join(str(pid) for pid in sorted(owners))}" if owners else "ss -ltnp"
    fix = f"./inv lab.down when they are a half-made lab's, else {stop}"
    return [Need("lab: ports", f"taken: {', '.join(taken)}", numbers, "missing", fix)]
