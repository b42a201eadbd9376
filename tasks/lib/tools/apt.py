"""Debian packages by name; what they install is not started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from invoke.context import Context
from invoke.runners import Result

from tasks.lib import locks, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.paths import cache
from tasks.lib.runner import redact, run
from tasks.lib.tools import trouble

INSTALL_SECONDS = 1200.0
QUERY_SECONDS = 60.0
ANY_EXIT = range(256)
MARK = "# slipway: nothing is started while packages are installed"
POLICY = Path("/usr/sbin/policy-rc.d")
# Never remove a package to make room: an engine that was there before stays as it is.
APT = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2", "-y", "-q"]
INSTALL = [*APT, "-o", "Dpkg::Options::=--force-confold", "--no-install-recommends", "--no-remove", "install"]


def debian(c: Context, packages: Sequence[str]) -> list[str]:
    """Installs those Debian packages that are missing and returns their names; no service is started.

    Raises Stop (4) when this is no Debian, when not root, or when the mirror is out of reach.
    """
    if not (missing := absent(c, packages)):
        return []
    line = f"apt-get install {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise Stop(
            f"not Debian: install {', '.join(missing)} with this system's own packages",
            Code.COULD_NOT_RUN,
            "./inv doctor",
        )
    if os.geteuid() != 0:
        raise Stop(f"installing {', '.join(missing)} needs root", Code.COULD_NOT_RUN, f"sudo {line}")
    with locks.exclusive(cache() / "tools" / "debian.lock", "the installation of Debian packages"):
        missing = absent(c, packages)
        if missing:
            with terminal.step(f"Install Debian packages: {', '.join(missing)}"), services_stay_off():
                _install(c, missing)
    return missing


def absent(c: Context, packages: Sequence[str]) -> list[str]:
    """Those of the packages that are not installed, each once, in the order given."""
    asked = list(dict.fromkeys(packages))
    if shutil.which("dpkg-query") is None:
        return asked
    argv = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *asked]
    result = run(c, argv, step="ask which packages are installed", timeout=QUERY_SECONDS, ok=(0, 1), quiet=True)
    there = {line.split()[0] for line in result.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in asked if package not in there]


def _install(c: Context, packages: Sequence[str]) -> None:
    result = _apt(c, [*INSTALL, *packages])
    if result.exited == 0:
        return
    # The lists of packages are missing or old: the second failure is the real one, and why the lists did not come too.
    updated = _apt(c, [*APT, "update"])
    result = _apt(c, [*INSTALL, *packages])
    if result.exited == 0:
        return
    text = "\n".join([updated.stderr, result.stderr, result.stdout])
    names = ", ".join(packages)
    if trouble.OUT_OF_REACH.search(text):
        raise Stop(
            f"{names} cannot be installed: {trouble.REGISTRY['deb']} is out of reach",
            Code.COULD_NOT_RUN,
            f"apt-get update && apt-get install {' '.join(packages)}",
        )
    errors = [line.removeprefix("E: ").strip() for line in text.splitlines() if line.startswith("E: ")]
    raise Stop(f"{names} cannot be installed: {redact('; '.join(errors))[:600]}", Code.COULD_NOT_RUN, "./inv doctor")


def _apt(c: Context, argv: Sequence[str]) -> Result:
    env = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return run(c, argv, step="install Debian packages", timeout=INSTALL_SECONDS, env=env, ok=ANY_EXIT, quiet=True)


@contextmanager
def services_stay_off(policy: Path = POLICY) -> Iterator[None]:
    """Forbids packages to start services while it is open; a policy that was there is put back."""
    kept = policy.with_name(f"{policy.name}.before-slipway")
    _restore(policy, kept)  # what a killed install left
    if policy.exists():
        policy.rename(kept)
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    try:
        yield
    finally:
        _restore(policy, kept)


def _restore(policy: Path, kept: Path) -> None:
    if policy.exists() and MARK in policy.read_text(encoding="utf-8", errors="replace"):
        policy.unlink()
    if kept.exists() and not policy.exists():
        kept.rename(policy)
