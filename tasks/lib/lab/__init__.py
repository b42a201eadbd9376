"""The lab: a real cluster with Argo CD, a registry and a Git remote on one Linux machine.

`find()` is cheap and answers for a running lab; `up` and `down` import the rest only when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.lib.lab.state import Lab, find

if TYPE_CHECKING:
    from invoke.context import Context

__all__ = ["Lab", "down", "find", "up"]


def up(c: Context, upgrade: bool = False) -> Lab:
    """Brings the lab up, or leaves it alone when it runs well; see bringup.up."""
    from tasks.lib.lab import bringup

    return bringup.up(c, upgrade)


def down(c: Context) -> bool:
    """Takes everything of the lab away; False when there was nothing; see teardown.down."""
    from tasks.lib.lab import teardown

    return teardown.down(c)
