"""Environments that the lab of this machine hosts for a rehearsal: what of their settings is overridden, as data.

The file lies in the lab's home and goes with it. Whoever loads an environment gets the overridden one and cannot tell:
same chart, same tasks, same gates; only the places are the lab's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.lib import paths
from tasks.lib.errors import Code, Stop

FILE = "rehearsal.json"
# The lab brings these itself; None takes away what environment.yaml says.
PLACES: Mapping[str, Any] = {"cluster": {"kind": "lab"}, "registry": None, "git": None, "signing": None}
# What scanners compare with is a matter of the machine, not of the environment that is rehearsed on it.
DATABASES = ("allow_snapshot", "max_database_age_days", "required_coverage")


def file() -> Path:
    """Where the lab remembers what it rehearses."""
    return paths.lab_home() / FILE


def overrides() -> dict[str, dict[str, Any]]:
    """What is overridden, by environment; {} without a rehearsal. Raises Stop (2) for a file that cannot be read."""
    try:
        found = json.loads(file().read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise Stop(f"the rehearsal file {file()} cannot be read: {error}", Code.USAGE, "./inv lab.down") from error
    return found if isinstance(found, dict) else {}


def applied(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """An environment's settings with what its rehearsal overrides; as they are when it is not rehearsed."""
    over = overrides().get(name)
    if over is None:
        return dict(data)
    merged = {**_merged(data, over), "rehearsed": True}
    return {key: value for key, value in merged.items() if value is not None}


def _merged(data: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with sections of the override laid over theirs, key by key; a cluster is another one as a whole."""
    found = dict(data)
    for key, value in over.items():
        below = isinstance(value, dict) and isinstance(found.get(key), dict) and key != "cluster"
        found[key] = _merged(found[key], value) if below else value
    return found


def begin(names: list[str], gates: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Remembers that these environments are rehearsed, beside those that are already; all that are now.

    gates: settings about databases that this machine can satisfy, as the local environment has them.
    """
    over = {**PLACES, "gates": {key: gates[key] for key in DATABASES if key in gates}}
    found = {**overrides(), **{name: dict(over) for name in names}}
    _write(found)
    return found


def forget(names: list[str]) -> None:
    """These environments are what their files say again."""
    _write({name: over for name, over in overrides().items() if name not in names})


def _write(found: Mapping[str, Any]) -> None:
    place = file()
    place.parent.mkdir(parents=True, exist_ok=True)
    if not found:
        place.unlink(missing_ok=True)
        return
    partial = place.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    partial.replace(place)
