"""The release record: what was built, from what, by whom, and which gates passed; an in-toto Statement."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tasks.lib.errors import Code, Stop
from tasks.lib.gates.models import GATES

REQUIRED_GATES = GATES
# What `cosign attest` writes: cosign can sign a statement of v1 (attest-blob), but not attach it to an image.
STATEMENT = "https://in-toto.io/Statement/v0.1"
PREDICATE = "urn:slipway:release-record:v1"
FILE = "record.json"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class DatabaseEntry(Model):
    """What a scanner compared with."""

    source: str
    date: AwareDatetime = Field(description="of its newest entry")
    digest: str = ""
    snapshot: bool = Field(False, description="the advisories shipped with Slipway, not a fresh source")
    covers: list[str] = Field([], description="ecosystems in which the planted positive was caught")


class CanaryEntry(Model):
    """How many of the planted positives the same run caught."""

    planted: int
    caught: int


class WaiverEntry(Model):
    """A waiver that let findings through, as it was when the gates were judged."""

    id: str
    package: str
    applies: list[str] = []
    expires: date = Field(description="the last day on which it holds, UTC")
    owner: str = ""
    approver: str = ""
    findings: dict[str, int] = Field(description="findings that it let through, by severity")


class GateEntry(Model):
    """One gate's evidence, as its report gives it."""

    name: str
    outcome: str
    tool: str
    version: str
    database: DatabaseEntry | None = None
    covered: dict[str, int | str] = Field({}, description="how much was looked at: commits, packages, files, ...")
    counts: dict[str, int] = Field({}, description="findings by severity, waived ones too")
    canary: CanaryEntry
    waivers: list[WaiverEntry] = []
    report_sha256: str
    started: AwareDatetime
    ended: AwareDatetime

    @property
    def open(self) -> Counter[str]:
        """Findings by severity that no waiver let through."""
        left = Counter(self.counts)
        for waiver in self.waivers:
            left.subtract(waiver.findings)
        return +left


class BuildInputs(Model):
    """What went into the image."""

    base_image: str
    base_image_id: str
    requirements_sha256: str
    source_date_epoch: int = Field(description="seconds since 1970, the commit's time")


class Judged(Model):
    """Whose policy the gates were judged by, when the image was built."""

    environment: str
    severities: list[str] = Field(description="what blocks there")


class Predicate(Model):
    service: str
    commit: str
    ref: str = ""
    dirty: bool = False
    inputs: BuildInputs
    image_id: str = Field(description="digest of the image's configuration, known before the push")
    sbom_sha256: str
    gates: list[GateEntry]
    judged: Judged
    by: str
    pipeline: dict[str, str] = {}
    started: AwareDatetime = Field(description="when the build of the image began")
    built: AwareDatetime = Field(description="when the gates had been judged and this record was written")


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
        raise Stop(
            f"the release record {where} does not hold: {field}: {first['msg']}", Code.REFUSED, "./inv scan build push"
        ) from error


def load(path: Path) -> Record | None:
    """The record that this checkout built, or None."""
    return parse(path.read_text(encoding="utf-8"), str(path)) if path.exists() else None
