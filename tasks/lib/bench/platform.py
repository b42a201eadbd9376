"""Rows about the lab itself: how long it takes to come up, and how much memory it holds."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from invoke.context import Context

from tasks.lib import lab, settings, terminal
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage
from tasks.lib.errors import Code, Stop
from tasks.lib.lab import cgroups, layout

GIGABYTE = 1e9


def memory(stage: Stage) -> Row:
    """Memory of every process of the lab, pods and the release in them included; shared pages counted once."""
    stage.release("a")
    pids = cgroups.processes(layout.home().cgroup)
    proportional, resident = (sum(_kilobytes(pid, field) for pid in pids) * 1024 / GIGABYTE for field in ("Pss", "Rss"))
    return Row(
        name="memory",
        what="the lab with one release running",
        unit="GB",
        ours=proportional,
        limit=3,
        notes=[f"{len(pids)} processes; proportional set size; {resident:.2f} GB if shared pages counted every time"],
    )


def _kilobytes(pid: int, field: str) -> int:
    with contextlib.suppress(OSError):  # it ended meanwhile
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return 0


def agree(c: Context, yes: bool) -> None:
    """Asks before a lab in which something was deployed is taken down for its row. Raises Stop when not agreed."""
    here = lab.find()
    names = deployed(c) if here else []
    if names:
        terminal.confirm(
            f"Row lab-up deletes the lab: what runs in {', '.join(names)}, its registry and its Git remote. Go on?",
            yes,
        )


def deployed(c: Context) -> list[str]:
    """Environments that the lab runs a release of; [] when its Git remote is empty or does not answer."""
    from tasks.lib import desired, target

    found = []
    for name in settings.known():
        env = settings.load(name)
        if isinstance(env.cluster, settings.LabCluster):
            with contextlib.suppress(Stop):
                if desired.fetch(c, target.of(c, env)).release:
                    found.append(name)
    return found


def lab_up(stage: Stage) -> Row:
    """lab.down, and then lab.up with everything built."""
    lab.up(stage.c)
    stage.close()
    lab.down(stage.c)
    seconds = stage.timed(lambda: lab.up(stage.c))
    state = json.loads((layout.home().root / "state.json").read_text())
    if not state.get("ready"):
        raise Stop("lab.up ended without a ready lab", Code.UNEXPECTED)
    return Row(
        name="lab-up",
        what="lab.up with everything built",
        unit="s",
        ours=seconds,
        limit=60,
        notes=["nothing to compare with: no other tool brings up the same without pulling an image"],
    )
