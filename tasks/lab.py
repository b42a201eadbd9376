"""The lab: a real cluster with Argo CD, a registry and a Git remote on this machine."""

from __future__ import annotations

import json as json_format
import time

from invoke.context import Context
from invoke.tasks import task

from tasks.lib import terminal


@task(
    auto_shortflags=False,
    help={
        "rehearse": "environments that the lab hosts too, by comma (default: as it is)",
        "observe": "also Prometheus, Alertmanager, exporters, a collector and a trace store (default: as it is)",
    },
)
def up(c: Context, rehearse: str = "", observe: bool = False) -> None:
    """Bring up the local platform, or repair it.

    Does nothing when it already runs well. Needs Linux and root; the first time, programs are built.
    A rehearsed environment is on this machine what it is elsewhere, in a namespace of its own; until lab.down.

    Usage: ./inv lab.up --rehearse staging,production
           ./inv lab.up --observe
    """
    from tasks.lib import lab
    from tasks.lib.lab import layout, monitoring, rehearsing, status

    began = time.monotonic()
    names = rehearsing.names(rehearse)
    lab.up(c, upgrade=True)
    rehearsing.begin(names)
    if observe:
        monitoring.up(c)
    terminal.good(f"The lab is up ({time.monotonic() - began:.1f} s)")
    for name, value in status.addresses(layout.home()).items():
        terminal.say(f"export {name}={value}")


@task(name="status", help={"json": "print one JSON object (default: a table)"}, auto_shortflags=False)
def status_(c: Context, json: bool = False) -> None:
    """Show each part: running, since when, its log.

    Usage: ./inv lab.status --json
    """
    from tasks.lib import lab
    from tasks.lib.lab import layout, monitoring, observing, rehearsing, status

    home = layout.home()
    up_now = lab.find() is not None
    rows = [*status.rows(home), *(monitoring.rows(c, home) if up_now else [])]
    rehearsed = rehearsing.hosted()
    if json:
        known = {"up": up_now, "parts": rows, "addresses": status.addresses(home), "rehearsed": rehearsed}
        terminal.raw(json_format.dumps(known, indent=2))
        return
    if not rows:
        terminal.say("There is no lab here. Bring it up with: ./inv lab.up")
        return
    columns = ["part", "state", "pid", "since", "log"]
    terminal.table(
        "", columns, [[row["part"], row["state"], row["pid"] or "", row["since"], row["log"]] for row in rows]
    )
    for name, namespace in rehearsed.items():
        terminal.say(f"{name} is rehearsed here, in namespace {namespace}")
    for name, url in observing.addresses().items():
        terminal.say(f"export {name}={url}")
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
