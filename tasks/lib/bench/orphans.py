"""Environments of throwaway checkouts whose process was killed: nobody else takes them away, and they keep their pods.

Their pods ask for processor time that the next run's pods then do not get: they stay pending and its tests fail.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.lib import locks, rehearsal, terminal
from tasks.lib.bench import cleaning
from tasks.lib.lab import Lab

if TYPE_CHECKING:
    from tasks.lib.bench.scratch import Scratch

# As scratch() names an environment, and what its user may add to that for further ones.
NAME = re.compile(r"slipway-((?P<first>(?:bench|test)-[0-9a-f]{4})(?:-[a-z]+)?)")


def lock(lab: Lab, env: str) -> Path:
    """Held for as long as the checkout with this first environment is there; in the lab, which other users share."""
    return lab.home / "run" / "scratch" / f"{env}.lock"


def sweep(made: Scratch) -> list[str]:
    """Removes the environments of checkouts that nobody holds; their names. Raises Stop (4) when that fails."""
    listing = made.kubectl("get", "namespaces,applications.argoproj.io", "--namespace=argocd", "--output=name")
    found = filter(None, (NAME.fullmatch(line.rpartition("/")[2]) for line in listing.splitlines()))
    names = sorted({one[1] for one in found if not locks.held(lock(made.lab, one["first"]))})
    if names:
        with terminal.step(f"Remove what killed runs left: {', '.join(names)}"):
            rehearsal.forget(names)
            cleaning.environments(made, names)
    return names
