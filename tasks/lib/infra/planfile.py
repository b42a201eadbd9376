"""What a saved Terraform plan would do (`terraform show -json`), without a single sensitive value in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tasks.lib.errors import Code, Stop
from tasks.lib.infra import masking
from tasks.lib.infra.plan_words import REASONS, STATEFUL


class Model(BaseModel):
    # Terraform adds fields in minor versions; values stay out of error messages because they may be secret.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Action(str, Enum):
    """What would happen to one resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    READ = "read"
    NO_OP = "no-op"


_PLAIN = re.compile(r"[a-z][a-z0-9-]{1,30}")

_ACTIONS = {
    ("create",): Action.CREATE,
    ("update",): Action.UPDATE,
    ("delete",): Action.DELETE,
    ("forget",): Action.FORGET,
    ("read",): Action.READ,
    ("no-op",): Action.NO_OP,
}


class Change(Model):
    """One resource of the plan. Sensitive values are replaced by masking.SENSITIVE, unknown ones by masking.UNKNOWN."""

    address: str
    previous_address: str = ""
    module: str = Field("", description="'' is the root module")
    mode: str = "managed"
    type: str
    name: str = ""
    action: Action
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    changed: list[str] = Field([], description="top-level attributes that differ, sensitive ones included")
    forced_by: list[str] = Field([], description="attributes whose change forces the replacement")
    before_destroy: bool = Field(False, description="the new one is made before the old one goes")
    imported: bool = False
    reason: str = Field("", description="why it is replaced or destroyed, as a person would say it")

    @model_validator(mode="before")
    @classmethod
    def _without_secrets(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or not isinstance(raw.get("change"), dict):
            return raw
        change = raw["change"]
        before, after, changed = masking.pair(change)
        actions = tuple(change.get("actions") or ("no-op",))
        replaces = len(actions) == 2
        return {
            **{key: raw[key] for key in ("address", "previous_address", "mode", "type", "name") if raw.get(key)},
            "module": raw.get("module_address") or "",
            "action": Action.REPLACE if replaces else _ACTIONS.get(actions, "/".join(map(str, actions))),
            "before": before,
            "after": after,
            "changed": changed,
            "forced_by": masking.paths(change.get("replace_paths") or []),
            "before_destroy": replaces and actions[0] == "create",
            "imported": bool(change.get("importing")),
            "reason": REASONS.get(raw.get("action_reason") or "", ""),
        }

    @property
    def stateful(self) -> bool:
        """Whether it holds what cannot be made again."""
        return self.mode == "managed" and self.type in STATEFUL

    @property
    def destroys(self) -> bool:
        """Whether what is there now goes away, to be made anew or not."""
        return self.action in (Action.DELETE, Action.REPLACE)

    @property
    def loses(self) -> str:
        """What is lost for good when this is applied; '' when nothing is."""
        return STATEFUL[self.type] if self.stateful and self.destroys else ""


class Reference(Model):
    """Where an attribute of the configuration gets its value from, when it is not written there."""

    address: str = Field(description="of the resource, without count and for_each")
    attribute: str
    targets: list[str]


class Facts(Model):
    """The only variables of the root that are kept, and only in the form that they must have: others may be secret."""

    environment: str = ""
    region: str = ""
    protected: bool = Field(False, description="whether what this environment holds must outlive mistakes")


class Plan(Model):
    """A saved plan as Terraform shows it. What is sensitive is gone before the model exists."""

    format_version: str = Field(pattern=r"^1\.")
    terraform_version: str = ""
    timestamp: str = Field("", description="when it was made, UTC")
    facts: Facts = Facts()
    errored: bool = False
    complete: bool = True
    changes: list[Change] = Field([], description="managed resources and data, those without a change too")
    drift: list[Change] = Field([], description="what differs from the state without anybody's plan")
    outputs: list[str] = Field([], description="names of the outputs that change")
    references: list[Reference] = []

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        outputs = raw.get("output_changes") or {}
        kept = ("format_version", "terraform_version", "timestamp", "errored", "complete")
        return {
            **{key: raw[key] for key in kept if key in raw},
            "facts": raw.get("facts") or _facts(raw.get("variables")),
            "changes": raw.get("resource_changes") or raw.get("changes") or [],
            "drift": raw.get("resource_drift") or raw.get("drift") or [],
            "outputs": raw.get("outputs") or sorted(n for n, c in outputs.items() if c.get("actions") != ["no-op"]),
            "references": raw.get("references") or masking.references(raw.get("configuration") or {}),
        }

    @field_validator("changes", "drift")
    @classmethod
    def _in_order(cls, changes: list[Change]) -> list[Change]:
        return sorted(changes, key=lambda change: change.address)

    @property
    def acting(self) -> list[Change]:
        """The changes that do something: neither reads nor no-ops."""
        return [change for change in self.changes if change.action not in (Action.READ, Action.NO_OP)]

    @property
    def losses(self) -> list[Change]:
        """Stateful resources that would be destroyed or replaced: apply needs each one's name typed."""
        return [change for change in self.changes if change.loses]

    @property
    def counts(self) -> dict[Action, int]:
        """How many resources each action touches; reads and no-ops left out."""
        return dict(Counter(change.action for change in self.acting))

    @property
    def empty(self) -> bool:
        """Whether applying it would change nothing at all, neither resource nor output."""
        return not self.acting and not self.outputs


def _facts(variables: Any) -> dict[str, Any]:
    if not isinstance(variables, dict):
        return {}
    found = {name: (variables.get(name) or {}).get("value") for name in Facts.model_fields}
    return {name: value for name, value in found.items() if _plain(name, value)}


def _plain(name: str, value: Any) -> bool:
    return isinstance(value, bool) if name == "protected" else isinstance(value, str) and bool(_PLAIN.fullmatch(value))


def read(text: str) -> Plan:
    """The plan that `terraform show -json` printed. Raises Stop (4) when it is not one; no value of it is repeated."""
    try:
        return Plan.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole of it"
        cause = f"{where}: {first['msg']}"
    except json.JSONDecodeError as error:
        cause = f"no JSON at line {error.lineno}"
    raise Stop(f"Read the plan: what terraform printed is no plan ({cause})", Code.COULD_NOT_RUN, "./inv infra.plan")
