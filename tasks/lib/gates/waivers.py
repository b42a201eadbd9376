"""gitops/waivers.yaml: findings that are accepted for a while, and values that look like secrets and are none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

from invoke.context import Context
from packaging.utils import canonicalize_name
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tasks.lib import git, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.models import GATES, Finding, UsedWaiver
from tasks.lib.settings import Severity

FILE = "gitops/waivers.yaml"
EVERYWHERE = "all"
INFRA = "infra"  # rules for AWS: no gate of a release, so a waiver must name it to count there
WAIVABLE = (*GATES, INFRA)
LONGEST_CRITICAL_DAYS = 30


def _day(value: object) -> object:
    # A bare number would be taken for seconds since 1970.
    if isinstance(value, (int, float)) or type(value) is datetime:
        raise ValueError(f"{value} is not a day; write it as {date.today()}")
    return value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Day = Annotated[date, BeforeValidator(_day)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Waiver(Strict):
    """One accepted finding."""

    id: Text
    package: Text | None = Field(None, description="the package; else what the verdict names: an object or a file")
    purl: Text | None = Field(None, description="instead of package; without a version all versions")
    applies: list[Text] = Field(min_length=1, description="gates or environments; both kinds narrow, `all` is all")
    owner: Text
    approver: Text
    reason: Text
    ticket: Text | None = None
    created: Day
    expires: Day = Field(description="the last day on which it holds, UTC")

    @model_validator(mode="after")
    def _names_one_subject(self) -> Waiver:
        if (self.package is None) == (self.purl is None):
            raise ValueError("needs either package or purl")
        if self.purl is not None:
            parse_purl(self.purl)
        return self

    @property
    def subject(self) -> str:
        """What it is about, as it is written in the file."""
        return self.purl or self.package or ""

    @property
    def gates(self) -> list[str]:
        """The gates that it is limited to; all when it names none."""
        return [name for name in WAIVABLE if name in self.applies] or list(GATES)

    @property
    def environments(self) -> list[str]:
        """The environments that it is limited to; [] is no limit."""
        return [name for name in self.applies if name not in WAIVABLE and name != EVERYWHERE]

    def about(self, finding: Finding) -> bool:
        """Whether it names this finding, wherever it applies."""
        if self.id not in (finding.id, *finding.aliases):
            return False
        if self.purl is not None:
            return same_package(self.purl, finding.purl)
        wanted, found = self.subject, subject(finding)
        python = finding.purl.startswith("pkg:pypi/")
        return wanted.lower() == found.lower() or (python and canonicalize_name(wanted) == canonicalize_name(found))

    def covers(self, gate: str, environment: str, finding: Finding) -> bool:
        """Whether it accepts this finding of this gate in this environment."""
        limited = self.environments
        return gate in self.gates and (not limited or environment in limited) and self.about(finding)

    def too_long_for(self, finding: Finding) -> bool:
        """Whether the finding is critical and this waiver lives longer than those may."""
        critical = finding.severity is Severity.CRITICAL
        return critical and self.expires - self.created > timedelta(days=LONGEST_CRITICAL_DAYS)

    def used(self) -> UsedWaiver:
        """What the verdict and the release record keep of it."""
        return UsedWaiver(
            id=self.id,
            package=self.subject,
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


def subject(finding: Finding) -> str:
    """What a waiver names as `package`: the package, else the file."""
    return finding.package or finding.file


def parse_purl(text: str) -> Any:
    from packageurl import PackageURL

    return PackageURL.from_string(text)


def same_package(wanted: str, found: str) -> bool:
    """Whether a package URL names the package of another, which may say more: a version, an architecture."""
    try:
        one, other = parse_purl(wanted), parse_purl(found)
    except ValueError:  # what a scanner calls a package URL may be none
        return False
    if (one.type, one.namespace, one.name) != (other.type, other.namespace, other.name):
        return False
    return one.version in (None, other.version) and one.qualifiers.items() <= other.qualifiers.items()


def today() -> date:
    """The date in UTC: waivers end everywhere at the same moment."""
    return datetime.now(timezone.utc).date()


def load(path: Path | None = None) -> Waivers:
    """The waivers of the checkout, to list and to edit; no verdict reads them. Raises Stop (3) when malformed."""
    path = path or paths.ROOT / FILE
    return parse(path.read_text(encoding="utf-8")) if path.exists() else Waivers()


def of_commit(c: Context, sha: str, repo: Path = paths.ROOT) -> Waivers:
    """The waivers that a commit holds. Raises Stop: 3 when they are malformed, 4 when there is no such commit.

    A commit is judged with its own waivers, those of a snapshot of uncommitted changes included: what was accepted is
    reviewed with the change, and every machine judges alike. A waiver that is added later accepts nothing in an older
    commit: its verdict stays what it is, and the commit with the waiver is the release. One that is taken away later
    still counts for the older commit, until it expires: dates are compared with today, whatever the commit's age.
    A rollback asks for no verdict, it reads the record.
    """
    if not git.ask(c, "ls-tree", "--name-only", sha, "--", FILE, repo=repo, step="read the waivers of the commit"):
        return Waivers()
    return parse(git.ask(c, "show", f"{sha}:{FILE}", repo=repo))


def parse(text: str) -> Waivers:
    """The entries of a waivers file. Raises Stop (3): a waiver that cannot be read waives nothing."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data: Any = YAML(typ="safe").load(text)
        return Waivers.model_validate({} if data is None else data)
    except (YAMLError, ValueError) as error:
        if not isinstance(error, ValidationError):
            said = " ".join(str(error).split())
            raise Stop(f"{FILE} is not YAML: {said}", Code.FINDINGS, f"edit {FILE}") from error
        lines = [_sentence(data, problem) for problem in error.errors(include_url=False)]
        raise Stop("\n".join(lines), Code.FINDINGS, f"edit {FILE}") from error


def _sentence(data: Any, problem: Mapping[str, Any]) -> str:
    kind, *rest = [str(part) for part in problem["loc"]] or ["(file)"]
    where = [kind, *rest]
    if rest and isinstance(entry := data[kind][int(rest[0])], dict):
        where[1] += f" ({entry.get('id', 'without id')})"
    models: dict[str, type[BaseModel]] = {"waivers": Waiver, "published": Published}
    model = models[kind] if rest else Waivers
    unknown = f"; allowed: {', '.join(model.model_fields)}" if problem["type"] == "extra_forbidden" else ""
    return f"{FILE}: {'.'.join(where)}: {problem['msg'].removeprefix('Value error, ')}{unknown}"
