"""Drift: what somebody changed in AWS that no plan of ours made."""

from __future__ import annotations

import json
from typing import Any

from tasks.lib import terminal
from tasks.lib.infra import plans
from tasks.lib.infra.planfile import Action, Change
from tasks.lib.infra.terraform import Terraform

WIDTH = 60  # characters of a value in the table
PLAN = "drift.tfplan"
CLOCKS = {"latest_restorable_time"}  # attributes that move by themselves


def find(terraform: Terraform) -> list[Change]:
    """What differs between the state and AWS; changes neither."""
    file = terraform.place.work / PLAN
    words = ["-refresh-only", "-detailed-exitcode", f"-out={file}", terraform.waiting, *terraform.values]
    try:
        with terminal.step(f"Compare the state of {terraform.place.name} with AWS"):
            exited, _ = terraform.lines("plan", *words, step="infra.drift", ok=(0, 2))
            drift = plans.read(terraform, file).drift if exited == 2 else []
    finally:
        file.unlink(missing_ok=True)
    return [change for change in drift if rows([change])]


def rows(drift: list[Change]) -> list[tuple[str, str, str, str]]:
    """Address, attribute, what the state says and what is there, one row per attribute."""
    found = []
    for change in drift:
        if change.action == Action.DELETE:
            found.append((change.address, "(all of it)", "there", "gone"))
            continue
        for name in (name for name in change.changed if name not in CLOCKS):
            recorded, real = change.before.get(name), change.after.get(name)
            if recorded or real or isinstance(recorded, (bool, int)):  # none and empty are the same to AWS
                found.append((change.address, name, *_different(recorded, real)))
    return found


def _different(recorded: Any, real: Any) -> tuple[str, str]:
    """Both values, short; of two objects only the keys that differ."""
    if isinstance(recorded, dict) and isinstance(real, dict):
        keys = [key for key in {**recorded, **real} if recorded.get(key) != real.get(key)]
        recorded, real = ({key: one[key] for key in keys if key in one} for one in (recorded, real))
    elif isinstance(recorded, list) and isinstance(real, list):
        recorded, real = ([item for item in a if item not in b] for a, b in ((recorded, real), (real, recorded)))
    return _short(recorded), _short(real)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}..."
