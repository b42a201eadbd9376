"""The release record: what was built, from what, by whom, and which gates passed; an in-toto Statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.lib.errors import Code, Stop
from tasks.lib.gates.models import GATES

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:slipway:release-record:v1"
REQUIRED_GATES = GATES
FILE = "record.json"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class GateEntry(Model):
    """One gate's evidence, as its report gives it."""

    name: str
    outcome: str
    tool: str
    version: str
    database_source: str = ""
    database_date: str = ""
    counts: dict[str, int] = {}
    canary: str = ""
    waivers: list[str] = []
    report_sha256: str
    started: str
    ended: str


class BuildInputs(Model):
    """What went into the image."""

    base_image: str
    base_image_id: str
    requirements_sha256: str
    source_date_epoch: int = Field(description="seconds since 1970, the commit's time")


class Predicate(Model):
    service: str
    commit: str
    ref: str = ""
    dirty: bool = False
    inputs: BuildInputs
    image_id: str = Field(description="digest of the image's configuration, known before the push")
    sbom_sha256: str
    gates: list[GateEntry]
    by: str
    pipeline: dict[str, str] = {}
    built: datetime


class Subject(Model):
    name: str
    digest: dict[str, str]


class Record(Model):
    """The Statement; its subject is the image digest once the registry has given one."""

    type_: str = Field(STATEMENT, alias="_type")
    subject: list[Subject] = []
    predicate_type: str = Field(PREDICATE, alias="predicateType")
    predicate: Predicate

    def text(self) -> str:
        """The JSON that is stored: stable key order, so that equal records are equal bytes."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"

    def about(self, name: str, digest: str) -> Record:
        """The same record with its subject, once the image has a digest in a registry."""
        algorithm, _, value = digest.partition(":")
        return self.model_copy(update={"subject": [Subject(name=name, digest={algorithm: value})]})


def parse(text: str, where: str) -> Record:
    """The record in this text. Raises Stop (5): a record that cannot be read is no record."""
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Stop(f"the release record {where} does not hold: {field}: {first['msg']}", Code.REFUSED) from error


def load(path: Path) -> Record | None:
    """The record that this checkout built, or None."""
    return parse(path.read_text(encoding="utf-8"), str(path)) if path.exists() else None


def check(
    record: Record, sha: str, digest: str, required: Sequence[str] = REQUIRED_GATES, dirty_ok: bool = False
) -> None:
    """Whether the record allows this commit and digest to run. Raises Stop (5) naming the field that does not."""

    def refuse(field: str, reason: str) -> Stop:
        return Stop(f"the release record of {sha[:12]} refuses: {field}: {reason}", Code.REFUSED, "./inv scan build")

    predicate = record.predicate
    if predicate.commit != sha:
        raise refuse("predicate.commit", f"it is about {predicate.commit[:12]}")
    if digest and not any(digest == f"sha256:{subject.digest.get('sha256', '')}" for subject in record.subject):
        raise refuse("subject.digest", f"it is not about {digest[:19]}")
    for name in required:
        gate = next((gate for gate in predicate.gates if gate.name == name), None)
        if gate is None:
            raise refuse(f"predicate.gates.{name}", "the gate is missing")
        if gate.outcome not in ("pass", "waived"):
            raise refuse(f"predicate.gates.{name}.outcome", gate.outcome)
    if predicate.dirty and not dirty_ok:
        raise refuse("predicate.dirty", "it was built from changes that are in no commit of the branch")
