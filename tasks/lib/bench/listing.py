"""Row `list`: what the whole map of commands costs over an empty one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tasks.lib import paths
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage, median
from tasks.lib.runner import run

ROUNDS = 11
EMPTY = "from invoke.collection import Collection\n\nns = Collection()\n"


def listing(stage: Stage) -> Row:
    """`./inv --list` as it is typed, against Invoke with the same Python on a collection without tasks."""
    with tempfile.TemporaryDirectory(prefix="slipway-empty-") as folder:
        (Path(folder) / "tasks.py").write_text(EMPTY)
        empty = [sys.executable, "-m", "invoke", "--search-root", folder, "--list"]
        full = [str(paths.ROOT / "inv"), "--list"]

        def seconds(argv: list[str]) -> float:
            return stage.timed(
                lambda: run(stage.c, argv, step="list", timeout=60, ok=(0, 1), quiet=True, cwd=Path(folder))
            )

        seconds(full), seconds(empty)
        pairs = [(seconds(full), seconds(empty)) for _ in range(ROUNDS)]
    return Row(
        name="list",
        what="./inv --list",
        unit="s",
        ours=median([ours for ours, _ in pairs]),
        raw=median([raw for _, raw in pairs]),
        raw_what="Invoke on an empty collection, same Python",
        limit_ratio=1.5,
        notes=[f"medians of {ROUNDS} in turn"],
    )
