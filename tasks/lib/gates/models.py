"""What a gate saw, as data: the report of one gate over one commit, and the verdict over several."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.lib.settings import Severity

FORMAT = 1
SOURCE_GATES = ("secrets", "deps", "config", "code")
GATES = (*SOURCE_GATES, "image")
"""Every gate, in the order of a pipeline; a release needs each of them. Named here and nowhere else."""


class Outcome(str, Enum):
    """How a gate ended; only `pass` and `waived` let a release through."""

    PASS = "pass"  # noqa: S105 - the name of an outcome
    FINDINGS = "findings"
    WAIVED = "waived"
    COULD_NOT_RUN = "could_not_run"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _one_line(text: str) -> str:
    # What a scanner read is anybody's text: no line breaks in a log, no control sequences on a terminal.
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text).strip()


Line = Annotated[str, AfterValidator(_one_line)]


class Finding(Model):
    """One thing a scanner found. A secret is named by detector and hash prefix, never by its value."""

    id: Line = Field(min_length=1)
    severity: Severity
    title: Line
    package: Line = ""
    installed: Line = ""
    fixed: Line = ""
    file: Line = ""
    line: int = 0
    commit: Line = ""
    url: Line = ""
    aliases: list[Line] = []
    purl: Line = Field("", description="package URL, where the scanner knows the ecosystem")

    @property
    def where(self) -> str:
        """Where a person looks: file:line, with the commit where the file of today may not have it."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} @ {self.commit[:8]}" if self.commit else place


class Database(Model):
    """What the scanner compared with.

    `covers` is all that a gate may claim, and what a policy demands: the ecosystems in which this very run caught what
    was planted, `pip` for Python packages and else Trivy's name of an operating system's family (`debian`).
    """

    source: str
    date: datetime = Field(description="UTC, of the newest entry")
    digest: str
    entries: int = 0
    snapshot: bool = Field(False, description="the advisories shipped with Slipway, not a fresh source")
    covers: list[str] = Field([], description="ecosystems in which the canary was caught")
    note: str = ""


class Covered(Model):
    """How much was looked at; a gate that covered nothing did not look."""

    commits: int = 0
    base: str = Field("", description="the commits after this one were scanned; '' for all history")
    base_from: str = Field("", description="who named the base: the merge request, the push, an earlier scan")
    chunks: int = 0
    bytes: int = 0
    packages: int = Field(0, description="those that the database can speak about")
    files: list[str] = []
    lines: int = 0
    os: str = Field("", description="of the image: family and version, 'debian 12.8'")


class Canary(Model):
    """Known-bad things planted in this run, and those that the scanner reported."""

    planted: list[str] = []
    caught: list[str] = []

    @property
    def missed(self) -> list[str]:
        return [name for name in self.planted if name not in self.caught]


class Report(Model):
    """What one gate did to one commit; the same whatever environment asks for it."""

    format: int = FORMAT
    gate: str
    commit: str
    outcome: Outcome = Outcome.COULD_NOT_RUN
    reason: str = Field("", description="one sentence when the gate could not run")
    tool: str = ""
    version: str = ""
    helpers: dict[str, str] = Field({}, description="versions of the other programs that found something, by name")
    command: str = Field("", description="redacted")
    database: Database | None = None
    covered: Covered = Covered()
    canary: Canary = Canary()
    findings: list[Finding] = []
    notes: list[str] = []
    subject: str = Field("", description="what was scanned where the commit alone does not say it: an image digest")
    started: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))
    ended: datetime | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity, worst first, zeros left out."""
        seen = Counter(finding.severity for finding in self.findings)
        return {severity.value: seen[severity] for severity in Severity if seen[severity]}


class Blocked(Model):
    """One reason why a release does not get through."""

    gate: str
    why: str
    finding: Finding | None = None
    fix: str = Field("", description="the next command or edit")


class UsedWaiver(Model):
    """A waiver that let a finding through: what the release record keeps of it."""

    id: str
    package: str = Field(description="package, purl or file, as the waiver names it")
    applies: list[str] = Field([], description="gates or environments, as the waiver names them")
    expires: date = Field(description="the last day on which it holds, UTC")
    owner: str = ""
    approver: str
    reason: str = ""
    ticket: str = ""


class Accepted(Model):
    """A finding that does not block, and the waiver that says so."""

    finding: Finding
    waiver: UsedWaiver


class GateVerdict(Model):
    """One gate under the policy of one environment."""

    gate: str
    outcome: Outcome
    report: Report | None = None
    accepted: list[Accepted] = []

    @property
    def waived(self) -> list[str]:
        """Ids of the findings that a waiver covers."""
        return sorted({one.finding.id for one in self.accepted})

    @property
    def waivers(self) -> list[UsedWaiver]:
        """The waivers that were needed, each once."""
        return list({(one.waiver.id, one.waiver.package): one.waiver for one in self.accepted}.values())


class Verdict(Model):
    """May this commit go on, in this environment?"""

    commit: str
    environment: str
    judged: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))
    gates: list[GateVerdict] = []
    blocked: list[Blocked] = []
    warnings: list[str] = []

    @property
    def could_not_run(self) -> bool:
        return any(gate.outcome is Outcome.COULD_NOT_RUN for gate in self.gates)

    @property
    def passed(self) -> bool:
        return not self.blocked and not self.could_not_run
