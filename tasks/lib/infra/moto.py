"""AWS on this machine: moto's server as a part of the lab, started by the first infra task that needs it.

It lives without the rest of the lab, is found again by later tasks, and goes away with lab.down. What it holds is in
its memory: state bucket and resources are gone together when it ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

from tasks.lib import locks, paths, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import EMULATED_ACCOUNT, Infra
from tasks.lib.lab import layout, processes, state
from tasks.lib.lab.layout import LOOPBACK, Home
from tasks.lib.lab.processes import Part

PART = "moto"


def resolved(infra: Infra) -> Infra:
    """The same settings with an endpoint: the lab's moto where the environment is emulated and names none."""
    if not infra.emulated or infra.endpoint:
        return infra
    return infra.model_copy(update={"endpoint": up()})


def find(home: Home | None = None) -> str:
    """The endpoint of the running server, or ''."""
    home = home or layout.home()
    port = state.read(home).get("moto_port")
    return f"http://{LOOPBACK}:{port}" if port and processes.find(home, PART) is not None else ""


def up(home: Home | None = None) -> str:
    """Starts the server unless it runs; returns its endpoint. Raises Stop (4) when it cannot be started."""
    home = home or layout.home()
    if found := find(home):
        return found
    try:
        for folder in (home.run, home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(home.run, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        text = f"moto: {home.root} cannot be written by this user"
        raise Stop(text, Code.COULD_NOT_RUN, f"SLIPWAY_LAB_HOME={paths.cache() / 'lab'} ./inv ... or root")
    with locks.exclusive(home.run / "moto.lock", "the start of moto", 200.0):
        if found := find(home):
            return found
        port = _free_port()
        with terminal.step("Start moto's server (AWS on this machine)"):
            part = _part(port)
            state.remember(home, moto_port=port)  # first: lab.down looks for what is remembered
            processes.start(home, part, [])  # not in the lab's control group, which lab.up empties when it repairs
            processes.wait(home, part)
    return f"http://{LOOPBACK}:{port}"


def down(home: Home | None = None) -> bool:
    """Ends the server; False when none ran."""
    home = home or layout.home()
    ran = processes.find(home, PART) is not None
    processes.stop(home, PART)
    return ran


def _part(port: int) -> Part:
    argv = (sys.executable, "-m", "moto.server", "--host", LOOPBACK, "--port", str(port))
    env = {
        "MOTO_ACCOUNT_ID": EMULATED_ACCOUNT,
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",  # else AWS's own policies are not there to be attached
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return Part(PART, argv, lambda: _listens(port), deadline=180.0, env=env)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1.0):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def log(home: Home | None = None) -> Path:
    """What the server printed."""
    return processes.log_file(home or layout.home(), PART)
