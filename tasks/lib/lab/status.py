"""lab.status: each part of the lab, whether it runs, since when, and where its log is."""

from __future__ import annotations

import time
from typing import TypedDict

from tasks.lib.lab import layout, observing, processes, state
from tasks.lib.lab.layout import Home


class Row(TypedDict):
    """One part; since: RFC 3339 in UTC, empty when it does not run."""

    part: str
    state: str
    pid: int
    since: str
    log: str


def rows(home: Home) -> list[Row]:
    """All parts that the lab has, in the order in which they were listed when it came up."""
    found: list[Row] = []
    known = state.read(home)
    for name in [*known.get("parts", []), *(["moto"] if "moto_port" in known else [])]:
        running = processes.find(home, name)
        found.append(
            Row(
                part=name,
                state="running" if running else "stopped",
                pid=running.pid if running else 0,
                since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(running.since)) if running else "",
                log=str(processes.log_file(home, name)),
            )
        )
    return found


def addresses(home: Home) -> dict[str, str]:
    """Where things are, by the name of the variable under which other programs look for them."""
    return {
        "KUBECONFIG": str(home.kubeconfig),
        "DOCKER_HOST": f"unix://{home.docker_socket}",
        "SLIPWAY_REGISTRY": layout.REGISTRY,
        "SLIPWAY_GIT_URL": layout.GIT_URL,
        **observing.addresses(),
    }
