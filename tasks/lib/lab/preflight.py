"""What must hold before the lab changes anything: one sentence for each thing that does not."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tasks.lib.errors import Code, Stop
from tasks.lib.lab import listeners
from tasks.lib.lab.layout import ADDRESS, API_PORT, GIT_PORT, LOOPBACK, REGISTRY_PORT, STREAM_PORT, Home

GIB = 1024**3
LEAST_DISK = 10 * GIB
LEAST_MEMORY = 4 * GIB
MEMORY = Path("/proc/meminfo")
PATIENCE = 3.0  # seconds that a port may still be taken

# Where each part listens; the one list of it, so that the check and the configuration cannot drift apart in silence.
PORTS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "etcd": ((LOOPBACK, 2379), (LOOPBACK, 2380)),
    "apiserver": ((ADDRESS, API_PORT),),
    "containerd": ((LOOPBACK, STREAM_PORT),),
    "controller-manager": ((LOOPBACK, 10257),),
    "scheduler": ((LOOPBACK, 10259),),
    "kubelet": ((ADDRESS, 10250), (LOOPBACK, 10248)),
    "kube-proxy": ((LOOPBACK, 10249), (LOOPBACK, 10256)),
    "registry": ((LOOPBACK, REGISTRY_PORT),),
    "git": ((ADDRESS, GIT_PORT),),
}


def check(home: Home, missing: Iterable[str]) -> None:
    """Raises Stop (4) unless this machine can run the parts in `missing` (names of parts that do not run yet)."""
    wanted = set(missing)
    if not sys.platform.startswith("linux"):
        raise Stop(
            f"The lab needs Linux, this is {sys.platform}; name a cluster in environment.yaml",
            Code.COULD_NOT_RUN,
            "./inv deploy --env staging, when its cluster is named",
        )
    if os.geteuid() != 0:
        raise Stop(
            "The lab needs root, because it starts containers and sets packet rules",
            Code.COULD_NOT_RUN,
            "sudo ./inv lab.up",
        )
    for name in sorted(wanted & PORTS.keys()):
        for address, port in PORTS[name]:
            _check_port(name, address, port)
    if wanted < PORTS.keys():
        return  # a repair: the lab already has its disk and memory
    free = shutil.disk_usage(_existing(home.root)).free
    if free < LEAST_DISK:
        text = f"The lab needs {LEAST_DISK // GIB} GB of disk below {home.root}, {free / GIB:.1f} GB are free"
        raise Stop(text, Code.COULD_NOT_RUN, "SLIPWAY_LAB_HOME=/another/disk ./inv lab.up")
    available = available_memory(MEMORY.read_text())
    if available < LEAST_MEMORY:
        text = f"The lab needs {LEAST_MEMORY // GIB} GB of memory, {available / GIB:.1f} GB are available"
        raise Stop(text, Code.COULD_NOT_RUN, "ps -eo rss,pid,comm --sort=-rss | head")


def _check_port(part: str, address: str, port: int) -> None:
    """A killed server may keep its port for a moment, until the last of its threads has ended."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    free = Retrying(retry=retry_if_result(bool), stop=stop_after_delay(PATIENCE), wait=wait_fixed(0.1))
    with contextlib.suppress(RetryError):
        free(lambda: listeners.taken(address, port))
    rival = listeners.taken(address, port)
    if rival is None:
        return
    who = listeners.owner(rival)
    name = f"{who[1]} (pid {who[0]})" if who else "another process"
    said = f"Port {port} on {rival.address}, which the lab's {part} needs, is taken by {name}"
    raise Stop(said, Code.COULD_NOT_RUN, f"ss -lntp 'sport = :{port}'")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def available_memory(meminfo: str) -> int:
    """Bytes that programs can still get, from the text of /proc/meminfo."""
    rows = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    return int(rows["MemAvailable"].split()[0]) * 1024
