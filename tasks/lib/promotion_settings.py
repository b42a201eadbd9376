"""Section `promotion` of environment.yaml: where releases come from, and what they must have shown there."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tasks.lib import moments


def _duration(value: Any) -> Any:
    """YAML gives numbers and text; a number would leave open of what."""
    if isinstance(value, timedelta):
        return value
    return moments.duration(str(value))


class Approvals(BaseModel):
    """Who must have agreed to a release before it may be promoted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    required: int = Field(0, ge=0, le=20, description="different people; the release's author does not count")
    signers: str = Field(
        "gitops/allowed_signers",
        min_length=1,
        description="whose signatures count, in ssh-keygen's format; read from the branch of the desired state",
    )
    gitlab: bool = Field(
        False,
        description="the person who starts the job of a GitLab environment of this name, on a protected branch, is one",
    )

    @field_validator("signers")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("must be a path inside the repository")
        return value


class Promotion(BaseModel):
    """An environment that has this section takes releases by `promote` only, and its way back by `rollback`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: str = Field(alias="from", min_length=1, description="the environment that a release must have soaked in")
    soak: Annotated[timedelta, BeforeValidator(_duration)] = Field(
        timedelta(minutes=30), description="how long it must have run there healthy, in one piece: 90s, 30m, 4h, 2d"
    )
    live: bool = Field(
        True,
        description="also ask the cluster of `from`; false where whoever promotes cannot reach it: Git alone decides",
    )
    approvals: Approvals = Approvals()
