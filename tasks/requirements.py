"""The packages of this repository: locked with hashes, for every supported Python."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task(auto_shortflags=False, help={"upgrade": "also move to the newest versions (default: keep what is locked)"})
def lock(c: Context, upgrade: bool = False) -> None:
    """Lock requirements.in into requirements.txt with hashes."""
    from tasks.lib import requirements

    requirements.lock(c, upgrade=upgrade)
