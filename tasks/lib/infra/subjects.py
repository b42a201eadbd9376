"""What policy rules are asked of: resources as the plan has them, and blocks as the text has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.lib.infra import configuration
from tasks.lib.infra.masking import UNKNOWN
from tasks.lib.infra.planfile import Action, Facts, Plan

_FACTS = {f"variable.{name}" for name in Facts.model_fields}
SELECTORS = ("each.key", "count.index")
_INDEX = re.compile(r"\[[^\]]*\]")


class Subject(BaseModel):
    """A resource or another block, from the plan or from the text."""

    model_config = ConfigDict(frozen=True)

    address: str
    type: str
    values: dict[str, Any]
    references: dict[str, list[str]] = {}
    seen_in: Literal["plan", "text"]
    file: str = ""

    @property
    def written(self) -> str:
        """The address as the configuration has it, without count and for_each."""
        return _INDEX.sub("", self.address)

    @property
    def module(self) -> str:
        """The module's address as it is written, with a dot at its end; '' for the root."""
        return self.written[: -len(self.own)]

    @property
    def own(self) -> str:
        """Type and name as they are written: what a reference in the same module says."""
        return ".".join(self.written.split(".")[-3 if self.type.startswith("data.") else -2 :])

    @property
    def index(self) -> str:
        found = re.search(r"\[[^\]]*\]$", self.address)
        return found[0] if found else ""


def of(plan: Plan | None, folder: Path, variables: Path | None = None) -> list[Subject]:
    """Everything that rules can be asked of.

    A plan speaks for every resource; the text adds its other blocks, and stands beside the plan for what a plan cannot
    show: a secret written down is masked there. Where a plan is for some resources only (-target), the text speaks for
    the rest.
    """
    text = [_of_block(block) for block in configuration.read(folder, variables)]
    if plan is None:
        return text
    planned = [_of_change(change, plan) for change in plan.changes if _stays(change.action)]
    shown = {subject.written for subject in planned} | {_INDEX.sub("", change.address) for change in plan.changes}
    settings = ("terraform", "provider", "module", "variable", "output")
    beside: list[Subject] = []
    written: list[Subject] = []  # only what is asked of the text alone (`reads: text`) still sees these
    for one in text:
        if one.type in settings or (not plan.complete and one.written not in shown):
            beside.append(one)
        else:
            written.append(one.model_copy(update={"type": f"text.{one.type}"}))
    return [*planned, *beside, *written]


def facts(folder: Path, variables: Path | None = None) -> Facts:
    """What the text says of the environment, where no plan does: the tfvars, else defaults."""
    given = configuration.parse(variables) if variables else {}
    declared = {one.name: one.values for one in configuration.read(folder, variables) if one.address in _FACTS}
    values = {name: given.get(name, declared.get(name, {}).get("default")) for name in Facts.model_fields}
    return Facts.model_validate({name: value for name, value in values.items() if isinstance(value, (bool, str))})


def _stays(action: Action) -> bool:
    return action not in (Action.DELETE, Action.FORGET)


def _of_change(change: Any, plan: Plan) -> Subject:
    address = _INDEX.sub("", change.address)
    references = {one.attribute: one.targets for one in plan.references if one.address == address}
    # What nobody wrote and AWS will choose is no value that somebody might yet learn to be bad.
    values = {key: value for key, value in change.after.items() if value != UNKNOWN or key in references}
    kind = change.type if change.mode == "managed" else f"data.{change.type}"
    return Subject(address=change.address, type=kind, values=values, references=references, seen_in="plan")


def _of_block(block: configuration.Block) -> Subject:
    references = {name: found for name, value in block.values.items() if (found := configuration.references(value))}
    return Subject(
        address=block.address,
        type=block.type,
        # The name of a variable says what its default is.
        values={**block.values, block.name: block.values.get("default")} if block.type == "variable" else block.values,
        references=references,
        seen_in="text",
        file=block.file,
    )


def companions(subject: Subject, found: Sequence[Subject], kind: str, by: str) -> tuple[list[Subject], bool]:
    """The resources of a type whose attribute names this one, and whether no other could still turn out to."""
    candidates = [one for one in found if one.type == kind and one.seen_in == subject.seen_in]
    named = [one for one in candidates if _names(one, subject, by)]
    open_ones = [one for one in candidates if one not in named and _elsewhere(one, by)]
    return named, not open_ones


def _names(one: Subject, subject: Subject, by: str) -> bool:
    value, own = one.values.get(by), subject.values.get(by)
    if isinstance(value, str) and value == own and value != UNKNOWN and "${" not in value:
        return True
    if one.module != subject.module or (one.index and subject.index and one.index != subject.index):
        return False
    targets = [_INDEX.sub("", target) for target in one.references.get(by, [])]
    return any(target == subject.own or target.startswith(f"{subject.own}.") for target in targets)


def _elsewhere(one: Subject, by: str) -> bool:
    """Whether it names what it is for through something that is not followed here."""
    targets = one.references.get(by, [])
    if any(target.startswith("aws_") for target in targets):
        # These say which one of several it is for, and its address says that, too.
        targets = [target for target in targets if target not in SELECTORS]
    return any(not target.startswith("aws_") for target in targets)
