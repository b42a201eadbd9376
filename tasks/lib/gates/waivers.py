"""gitops/waivers.yaml: findings that are accepted for a while, and values that look like secrets and are none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

from invoke.context import Context
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tasks.lib import git, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.models import Finding, UsedWaiver
from tasks.lib.settings import Severity

FILE = "gitops/waivers.yaml"
LONGEST_DAYS = 90
LONGEST_CRITICAL_DAYS = 30
WARN_DAYS = 7

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Waiver(Strict):
    """One accepted finding."""

    id: Text
    package: Text
    applies: list[Text] = Field(min_length=1, description="gates or environments; both kinds narrow, `all` is all")
    owner: Text
    approver: Text
    reason: Text
    ticket: Text | None = None
    created: date
    expires: date

    def covers(self, gate: str, environment: str, gates: Sequence[str], finding: Finding) -> bool:
        """Whether this waiver is about this finding of this gate in this environment."""
        if self.id not in (finding.id, *finding.aliases) or self.package.lower() != _subject(finding).lower():
            return False
        asked_gates = [name for name in self.applies if name in gates]
        asked_environments = [name for name in self.applies if name not in gates and name != "all"]
        return (not asked_gates or gate in asked_gates) and (
            not asked_environments or environment in asked_environments
        )

    def used(self) -> UsedWaiver:
        """What the verdict and the release record keep of this waiver."""
        return UsedWaiver(
            id=self.id,
            package=self.package,
            applies=self.applies,
            expires=self.expires,
            owner=self.owner,
            approver=self.approver,
            reason=self.reason,
            ticket=self.ticket or "",
        )


class Published(Strict):
    """A value that a secret scanner takes for a secret, but that others have published as an example."""

    id: Text
    file: Text
    reason: Text
    approver: Text


class Waivers(Strict):
    waivers: list[Waiver] = []
    published: list[Published] = []


def _subject(finding: Finding) -> str:
    """What a waiver names as `package`: the package, else the file."""
    return finding.package or finding.file


def today() -> date:
    """The date in UTC: waivers end everywhere at the same moment."""
    return datetime.now(timezone.utc).date()


def load(path: Path = paths.ROOT / FILE) -> Waivers:
    """The waivers of the checkout. Raises Stop (3) with a sentence per entry that does not hold."""
    if not path.exists():
        return Waivers()
    return parse(path.read_text(encoding="utf-8"))


def of_commit(c: Context, sha: str, repo: Path = paths.ROOT) -> Waivers:
    """The waivers file as it is in a commit. Raises Stop (3) when it does not hold."""
    return parse(git.ask(c, "show", f"{sha}:{FILE}", repo=repo, ok=(0, 128)))


def parse(text: str) -> Waivers:
    """The entries of a waivers file. Raises Stop (3): a waiver that cannot be read waives nothing."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data: Any = YAML(typ="safe").load(text)
        return Waivers.model_validate(data or {})
    except YAMLError as error:
        raise Stop(f"{FILE} is not YAML: {' '.join(str(error).split())}", Code.FINDINGS, f"edit {FILE}") from error
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            where = ".".join(str(part) for part in problem["loc"]) or "(file)"
            allowed = f"; allowed: {', '.join(Waiver.model_fields)}" if problem["type"] == "extra_forbidden" else ""
            lines.append(f"{FILE}: {where}: {problem['msg']}{allowed}")
        raise Stop("\n".join(lines), Code.FINDINGS, f"edit {FILE}") from error


def faults(waivers: Sequence[Waiver], known: Sequence[str], now: date) -> list[str]:
    """A sentence for each waiver whose dates or places do not hold; `known` are the names that `applies` may use."""
    found = []
    for waiver in waivers:
        name = f"{FILE}: the waiver of {waiver.id} for {waiver.package}"
        if waiver.expires < now:
            found.append(f"{name} expired on {waiver.expires}")
        if waiver.created > now:
            found.append(f"{name} is created in the future, on {waiver.created}")
        if waiver.expires - waiver.created > timedelta(days=LONGEST_DAYS):
            days = (waiver.expires - waiver.created).days
            found.append(f"{name} lasts {days} days; at most {LONGEST_DAYS} are allowed")
        if waiver.expires < waiver.created:
            found.append(f"{name} expires before it is created")
        unknown = sorted(set(waiver.applies) - {*known, "all"})
        if unknown:
            found.append(f"{name} applies to unknown {', '.join(unknown)}; known: all, {', '.join(sorted(known))}")
    return found


def too_long_for(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver of a critical finding lives longer than those may."""
    lasts = waiver.expires - waiver.created
    return finding.severity is Severity.CRITICAL and lasts > timedelta(days=LONGEST_CRITICAL_DAYS)


def ending_soon(waiver: Waiver, now: date) -> bool:
    """Whether it is time to say that a waiver ends."""
    return now <= waiver.expires <= now + timedelta(days=WARN_DAYS)
