"""Locks the direct requirements of a folder with hashes, without naming any index."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.context import Context

from tasks.lib.paths import ROOT
from tasks.lib.runner import run

# Folder of each requirements.in and the Python range that its lock must hold for. The service comes first: its tests
# run with our packages, which must therefore be the versions that it ships with.
PROGRAMS = ("bandit", "checkov", "drawing", "go", "node", "safety")
LOCKS: dict[Path, list[str]] = {
    ROOT / "service": ["--python-version", "3.11"],
    ROOT: ["--universal", "--python-version", "3.10", "--constraint", "service/requirements.txt"],
    **{ROOT / "tools" / name: ["--universal", "--python-version", "3.10"] for name in PROGRAMS},
    # The SDK of Grafana's dashboards takes nothing older.
    ROOT / "tools" / "dashboards": ["--universal", "--python-version", "3.11"],
}
HEADER = "# Locked from requirements.in with hashes: ./inv requirements.lock\n"


def lock(c: Context, upgrade: bool = False) -> None:
    """Rewrites each requirements.txt. upgrade: newest versions instead of the locked ones."""
    for folder, versions in LOCKS.items():
        target = folder / "requirements.txt"
        argv = [sys.executable, "-m", "uv", "pip", "compile", *versions, "--generate-hashes", "--quiet"]
        argv += ["--no-annotate", "--no-header", "requirements.in", "--output-file", "requirements.txt"]
        run(c, [*argv, *(["--upgrade"] if upgrade else [])], step=f"lock {target}", timeout=300, cwd=folder)
        target.write_text(HEADER + target.read_text(encoding="utf-8"), encoding="utf-8")
