"""The Git remote: one bare repository, read by the cluster and pushed to from this machine only."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasks.lib.lab import probes
from tasks.lib.lab.files import put
from tasks.lib.lab.layout import ADDRESS, GIT_PORT, Home
from tasks.lib.lab.processes import Part
from tasks.lib.runner import run

STEP = "lab Git remote"
# git daemon asks this program about every request: the service first; the client's address is in REMOTE_ADDR.
HOOK = f"""#!/bin/sh
[ "$1" = upload-pack ] || [ "$REMOTE_ADDR" = {ADDRESS} ] || {{
  echo "pushes are taken from the lab's machine only"
  exit 1
}}
"""
SETTINGS = {"uploadpack.allowAnySHA1InWant": "true", "receive.autogc": "false", "core.fsync": "none"}


def configure(c: Context, home: Home) -> None:
    """Makes the repository when it is missing and the hook that refuses pushes from pods."""
    repository = home.repository
    if not (repository / "HEAD").exists():
        argv = ["git", "init", "--quiet", "--bare", "--initial-branch=main", repository]
        run(c, argv, step=STEP, timeout=30, quiet=True)
    lines = [f"[{key.rpartition('.')[0]}]\n\t{key.rpartition('.')[2]} = {value}\n" for key, value in SETTINGS.items()]
    put(home.etc / "git.config", "".join(lines))
    put(home.etc / "git-access", HOOK, 0o755)


def part(c: Context, home: Home) -> Part:
    """git daemon itself, not the wrapper `git`, so that the process started is the one that serves."""
    folder = run(c, ["git", "--exec-path"], step=STEP, timeout=10, quiet=True).stdout.strip()
    argv = (
        str(Path(folder) / "git-daemon"),
        f"--listen={ADDRESS}",
        f"--port={GIT_PORT}",
        f"--base-path={home.repository.parent}",
        f"--access-hook={home.etc}/git-access",
        "--export-all",
        "--enable=receive-pack",
        "--informative-errors",
        "--reuseaddr",
        "--log-destination=stderr",
    )
    own = {"GIT_CONFIG_GLOBAL": f"{home.etc}/git.config", "GIT_CONFIG_NOSYSTEM": "1", "PATH": f"{folder}:/usr/bin:/bin"}
    return Part("git", argv, probes.tcp(ADDRESS, GIT_PORT), env=own)
