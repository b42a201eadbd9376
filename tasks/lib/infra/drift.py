"""Drift: what somebody changed in AWS that no plan of ours made."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tasks.lib import terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.infra import plans
from tasks.lib.infra.messages import Diagnostic
from tasks.lib.infra.planfile import Action, Change
from tasks.lib.infra.terraform import Terraform

WIDTH = 60  # characters of a value in the table
PLAN = "drift.tfplan"
DRIFT = "resource_drift"  # type of a line that names what differs, without its values
NOT_THERE = ("Invalid index", "Attempt to index null value", "Attempt to get attribute from null value")
CLOCKS = {"latest_restorable_time"}  # attributes that move by themselves


def find(terraform: Terraform) -> list[Change]:
    """What differs between the state and AWS; changes neither. Raises Stop (4), also where only a part is applied."""
    file = terraform.place.work / PLAN
    words = ["-refresh-only", "-detailed-exitcode", f"-out={file}", terraform.waiting, *terraform.values]
    try:
        with terminal.step(f"Compare the state of {terraform.place.name} with AWS"):
            known = partial(_in_part, terraform.place.name)
            _, lines = terraform.lines("plan", *words, step="infra.drift", ok=(0, 2), known=known)
            drifted = any(line.type == DRIFT for line in lines) and not _only_clocks(file)
            drift = plans.read(terraform, file).drift if drifted else []
    finally:
        file.unlink(missing_ok=True)
    return [change for change in drift if rows([change])]


def _in_part(env: str, found: Sequence[Diagnostic]) -> Stop | None:
    """A comparison makes nothing, so an expression that names what was never made has nothing to look at."""
    if not found or any(one.summary not in NOT_THERE for one in found):
        return None
    sentence = f"infra.drift: {env} is applied only in part, and the files refer to what is not there yet"
    return Stop(sentence, Code.COULD_NOT_RUN, f"./inv infra.plan --env {env}")


def _only_clocks(file: Path) -> bool:
    """Whether something differs, and all of it moves by itself: then `show`, which starts every provider, is spared.

    A plan holds the state as it was recorded and as it was found. Where it does not, or nothing differs in them,
    this is not the file that we know, and Terraform is asked.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            recorded, found = (_attributes(json.loads(packed.read(name))) for name in ("tfstate-prev", "tfstate"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError):
        return False
    differing = [name for name in recorded if recorded[name] != found.get(name)]
    return (
        bool(differing)
        and recorded.keys() == found.keys()
        and all(
            key in CLOCKS or _nothing(recorded[name].get(key), found[name].get(key))
            for name in differing
            for key in {*recorded[name], *found[name]}
            if recorded[name].get(key) != found[name].get(key)
        )
    )


def _attributes(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each managed resource, by an address of our own."""
    return {
        json.dumps([one.get("module"), one["type"], one["name"], instance.get("index_key")]): instance["attributes"]
        for one in state["resources"]
        if one["mode"] == "managed"
        for instance in one["instances"]
    }


def _nothing(recorded: Any, real: Any) -> bool:
    return not (recorded or real or isinstance(recorded, (bool, int)))  # none and empty are the same to AWS


def rows(drift: list[Change]) -> list[tuple[str, str, str, str]]:
    """Address, attribute, what the state says and what is there, one row per attribute."""
    found = []
    for change in drift:
        if change.action == Action.DELETE:
            found.append((change.address, "(all of it)", "there", "gone"))
            continue
        for name in (name for name in change.changed if name not in CLOCKS):
            recorded, real = change.before.get(name), change.after.get(name)
            if not _nothing(recorded, real):
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
