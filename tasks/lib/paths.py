"""Where things are: the checkout, the user's cache, this checkout's work folder and the lab's home."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def cache() -> Path:
    """The user's cache folder for Slipway: tools, databases and images that are costly to make again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "slipway"


def work() -> Path:
    """This checkout's own folder of reports, records and clones; ignored by Git, safe to delete."""
    return ROOT / ".slipway"


def release(sha: str) -> Path:
    """Where the reports, SBOM, image archive and record of one commit (full SHA) are kept."""
    return work() / "releases" / sha


def lab_home() -> Path:
    """Every file of the lab; short, because Unix socket paths end at 108 characters."""
    return Path(os.environ.get("SLIPWAY_LAB_HOME") or "/var/lib/slipway-lab")
