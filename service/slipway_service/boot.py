"""What must happen once per process before gunicorn loads the application."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

_prepared = False


def metrics_folder() -> Path:
    """Makes an empty PROMETHEUS_MULTIPROC_DIR and returns it.

    An emptyDir outlives a container restart, and the numbers of dead processes with the same ids would be counted
    on. Only the first call empties it: gunicorn reads its configuration again on SIGHUP, when they are in use.
    """
    global _prepared
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or tempfile.mkdtemp(prefix="slipway-metrics-"))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    if not _prepared:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.db"):
            old.unlink()
        _prepared = True
    return folder


def refuse(reason: object) -> NoReturn:
    """Ends the start with one JSON line and exit code 2."""
    line = json.dumps({"level": "CRITICAL", "logger": "slipway.service", "message": f"cannot start: {reason}"})
    print(line, flush=True)  # noqa: T201  (logging is not set up yet)
    sys.exit(2)
