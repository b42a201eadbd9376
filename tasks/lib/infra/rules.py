"""The rules for AWS as data: what breaks them, why they matter, what to write instead (policy_rules.yaml)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.lib.infra import conditions
from tasks.lib.settings import Severity

FILE = Path(__file__).with_name("policy_rules.yaml")


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Companion(Model):
    """Another resource that says something about the one the rule is about."""

    type: str
    by: str = Field(description="its attribute that names the one")


class Check(Model):
    """A condition (JMESPath with the words of conditions.py) on resources of some types.

    Conditions look for what is there, never for what is not: so a value that is not known yet makes neither `breaks`
    nor `needs` true, and the answer is then "not to be judged" instead of a guess.
    """

    on: list[str] = Field(min_length=1, description="types; `*` is every resource")
    breaks: str = Field("", description="the rule is broken where this holds")
    needs: str = Field("", description="the rule is broken where this does not hold")
    companion: Companion | None = Field(None, description="`needs` is asked of this instead; it must exist")
    reads: Literal["plan", "text", "either"] = "either"
    unset_breaks: bool = Field(False, description="in a plan, a value that AWS will choose does not fulfil `needs`")

    @field_validator("breaks", "needs")
    @classmethod
    def _is_a_condition(cls, text: str) -> str:
        if text:
            conditions.compiled(text)
        return text

    @model_validator(mode="after")
    def _says_one_thing(self) -> Check:
        if bool(self.breaks) == bool(self.needs):
            raise ValueError("needs either `breaks` or `needs`")
        return self


class Rule(Model):
    """One promise: what breaks it, why it matters, and what to write instead."""

    id: str = Field(pattern=r"^SLW-[A-Z0-9]+-\d{2}$")
    severity: Severity
    title: str
    reason: str
    fix: str
    when: Literal["always", "protected"] = Field("always", description="`protected`: where var.protected is true")
    checks: list[Check] = Field(min_length=1)


@lru_cache(maxsize=4)
def rules(path: Path = FILE) -> tuple[Rule, ...]:
    """The rules, in the order of their file."""
    from ruamel.yaml import YAML

    return tuple(Rule.model_validate(one) for one in YAML(typ="safe").load(path)["rules"])
