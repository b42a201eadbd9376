"""lab.down: everything the lab made goes away, whatever state it is in, and nothing else does."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from invoke.context import Context

from tasks.lib import locks, rehearsal, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import moto
from tasks.lib.lab import cgroups, layout, mounts, network, state
from tasks.lib.lab.layout import Home
from tasks.lib.runner import run


def exists(home: Home) -> bool:
    """Whether anything of a lab is left: its folder, or a control group that outlived it."""
    return home.state_file.exists() or any((top / home.cgroup).exists() for top in cgroups.hierarchies())


def down(c: Context) -> bool:
    """Takes the lab down; False when there was none. Raises Stop (4) when not root or when a process does not end."""
    home = layout.home()
    if not exists(home):
        return False
    moto.down(home)
    known = state.read(home)
    # Moto is all that this home ever had. The network belongs to the machine, and there to another home's lab.
    if "moto_port" in known and "ready" not in known:
        delete(home)
        return True
    if os.geteuid() != 0:
        raise Stop("Taking the lab down needs root", Code.COULD_NOT_RUN, "sudo ./inv lab.down")
    with locks.exclusive(layout.lock_file(), "lab.up or lab.down"), terminal.step("Take the lab down"):
        remove(c, home)
    return True


def remove(c: Context, home: Home) -> None:
    """Ends and deletes everything of the lab. The caller holds its lock."""
    state.remember(home, ready=False, removing=True)
    cgroups.kill(home.cgroup)
    for point in mounts.below(home.root):
        run(c, ["umount", "--lazy", point], step="lab.down", timeout=30, quiet=True, ok=range(256))
    if others := network.used_by_others(home):
        terminal.say(f"Another lab runs on this machine ({', '.join(others)}): its network stays")
    else:
        network.clean(c, home)
    mounts.forget_folders(home)
    cgroups.remove(home.cgroup)
    delete(home)


def finish(c: Context, home: Home) -> None:
    """Takes the rest of a lab away whose lab.down was killed: engines do not start on half of their files."""
    if state.read(home).get("removing"):
        terminal.say("An earlier lab.down was cut short; it is finished first")
        remove(c, home)


def delete(home: Home) -> None:
    """Deletes what the lab put into its home; the state file last, so that a killed lab.down can go on.

    The folder itself stays when something else is in it: SLIPWAY_LAB_HOME may have been pointed at a wrong place.
    """
    for folder in [*home.folders(), home.repository.parent]:
        shutil.rmtree(folder, onerror=_complain)
    for file in (home.kubeconfig, home.root / rehearsal.FILE, *home.root.glob("state.*")):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.root.rmdir()


def _complain(_function: object, path: str, info: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(info[1], FileNotFoundError):
        raise Stop(
            f"lab.down: {Path(path)} cannot be deleted: {info[1]}", Code.COULD_NOT_RUN, "./inv lab.down"
        ) from info[1]
