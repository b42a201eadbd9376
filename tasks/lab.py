"""The lab: a real cluster with Argo CD, a registry and a Git remote on this machine."""

from __future__ import annotations

import json as json_format
import time

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import terminal


@task(auto_shortflags=False)
def up(c: Context) -> None:
    """Bring up the local platform, or repair it.

    Does nothing when it already runs well. Needs Linux and root; the first time, programs are built.

    Usage: ./inv lab.up
    """
    from tasks.lib import lab
    from tasks.lib.lab import layout, status

    began = time.monotonic()
    lab.up(c, upgrade=True)
    terminal.good(f"The lab is up ({time.monotonic() - began:.1f} s)")
    for name, value in status.addresses(layout.home()).items():
        terminal.say(f"export {name}={value}")


@task(name="status", help={"json": "print one JSON object (default: a table)"}, auto_shortflags=False)
def status_(c: Context, json: bool = False) -> None:
    """Show each part: running, since when, its log.

    Usage: ./inv lab.status --json
    """
    from tasks.lib import lab
    from tasks.lib.lab import layout, status

    home = layout.home()
    rows = status.rows(home)
    up_now = lab.find() is not None
    if json:
        terminal.raw(json_format.dumps({"up": up_now, "parts": rows, "addresses": status.addresses(home)}, indent=2))
        return
    if not rows:
        terminal.say("There is no lab here. Bring it up with: ./inv lab.up")
        return
    columns = ["part", "state", "pid", "since", "log"]
    terminal.table(
        "", columns, [[row["part"], row["state"], row["pid"] or "", row["since"], row["log"]] for row in rows]
    )
    if not up_now:
        terminal.warn("the lab is not complete; ./inv lab.up repairs it")


@task(auto_shortflags=False)
def down(c: Context) -> None:
    """Take the local platform away, all of it.

    Processes, pods, mounts, network devices, packet rules, control groups and the lab's folder; a Docker engine or
    containerd that was there before is not touched. Built programs and image archives stay in the cache.

    Usage: ./inv lab.down
    """
    from tasks.lib import lab

    terminal.say("The lab is gone" if lab.down(c) else "There is no lab here; nothing to do")
