"""The lab's own mount namespace: its mounts are seen by nobody else and vanish with its last process.

containerd's shims, libcni and the kubelet write to a few system paths whatever their configuration says. Inside the
namespace these paths are folders of the lab's home, so that an engine which was there before is not touched.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path

from tasks.lib.lab import state
from tasks.lib.lab.layout import Home
from tasks.lib.lab.processes import NAMESPACE, Part, find

PRIVATE = ("/run/containerd", "/run/docker", "/run/runc", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
LISTING = Path("/proc/self/mounts")


def prepare(home: Home) -> None:
    """Makes the folders of both sides of the bind mounts and notes which system folders were not there before."""
    made = state.made_folders(home)
    for path in map(Path, PRIVATE):
        (home.private / path.name).mkdir(parents=True, exist_ok=True)
        new = [folder for folder in (*reversed(path.parents), path) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        made += [str(folder) for folder in new]
    state.remember(home, made_folders=made)


def part(home: Home) -> Part:
    """The process that keeps the namespace; `sleep` stays in it for good."""
    lines = [f"mount --bind {shlex.quote(str(home.private / Path(path).name))} {path}" for path in PRIVATE]
    # Mounts of the host still arrive (slave); inside, containers share with each other as on any node (shared).
    script = ["set -e", "mount --make-rshared /", *lines, "exec sleep infinity"]
    argv = ("unshare", "--mount", "--propagation", "slave", "--", "/bin/sh", "-c", "\n".join(script))
    return Part(NAMESPACE, argv, _ready(home), deadline=10.0)


def _ready(home: Home) -> Callable[[], bool]:
    """The shell turns into `sleep` when all mounts are made."""

    def ask() -> bool:
        running = find(home, NAMESPACE)
        if running is None:
            return False
        with contextlib.suppress(OSError):
            return Path(f"/proc/{running.pid}/comm").read_text().strip() == "sleep"
        return False

    return ask


def below(folder: Path, listing: str | None = None) -> list[Path]:
    """Mount points of this process's namespace at or below a folder, deepest first."""
    text = LISTING.read_text() if listing is None else listing
    points = [Path(line.split()[1].replace("\\040", " ")) for line in text.splitlines()]
    return sorted((p for p in points if p == folder or folder in p.parents), key=lambda p: -len(p.parts))


def forget_folders(home: Home) -> None:
    """Removes the system folders that the lab made, as far as they are still empty."""
    for folder in reversed(state.made_folders(home)):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
