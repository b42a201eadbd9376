"""What Safety's JSON says, that of `safety check` and that of `safety scan`, read in one place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from packaging.utils import canonicalize_name
from pydantic import BaseModel, BeforeValidator, Field

from tasks.lib.gates.models import Finding
from tasks.lib.settings import Severity

Some = BeforeValidator(lambda value: [] if value is None else value)
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
BANDS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))


class Requirement(BaseModel):
    found: Text = ""


class Vulnerability(BaseModel):
    """A package with a known vulnerability. severity: only for those who are logged in at Safety's service."""

    id: str = Field(alias="vulnerability_id")
    package: str = Field(alias="package_name")
    installed: str = Field(alias="analyzed_version")
    advisory: Text = ""
    fixed: Annotated[list[str], Some] = Field([], alias="fixed_versions")
    cve: Text = Field("", alias="CVE")
    url: Text = Field("", alias="more_info_url")
    severity: dict[str, Any] | None = None
    requirement: Requirement = Field(Requirement(), alias="analyzed_requirement")

    def finding(self) -> Finding:
        """As a finding in the file that requires the package."""
        name = canonicalize_name(self.package)
        return Finding(
            id=self.id,
            severity=_rated(self.severity),
            title=self.advisory or self.id,
            package=name,
            installed=self.installed,
            fixed=", ".join(self.fixed),
            file=self.requirement.found or "requirements",
            url=self.url,
            aliases=[self.cve] if self.cve not in ("", self.id) else [],
            purl=f"pkg:pypi/{name}@{self.installed}",
        )


class About(BaseModel):
    version: str = Field(alias="safety_version")
    api_key: bool = False
    database: Text = Field("", alias="local_database_path")
    timestamp: Text = ""


class CheckReport(BaseModel):
    """The report of `safety check --json`."""

    about: About = Field(alias="report_meta")
    packages: dict[str, Any] = Field(alias="scanned_packages")
    vulnerabilities: list[Vulnerability]
    ignored: list[Any] = Field([], alias="ignored_vulnerabilities")


class Known(BaseModel):
    id: str
    ignored: dict[str, Any] | None = None
    vulnerable_spec: str = ""


class Remediation(BaseModel):
    recommended: Text = ""


class Vulnerabilities(BaseModel):
    known_vulnerabilities: list[Known]
    remediation: Remediation | None = None


class Specification(BaseModel):
    raw: str
    vulnerabilities: Vulnerabilities


class Dependency(BaseModel):
    name: str
    specifications: list[Specification]


class Results(BaseModel):
    dependencies: list[Dependency] = []


class File(BaseModel):
    location: str
    results: Results


class Project(BaseModel):
    files: list[File] = []


class ScanResults(BaseModel):
    files: list[File] = []
    projects: list[Project] = []


class Telemetry(BaseModel):
    version: str = Field("unknown", alias="safety_version")


class Meta(BaseModel):
    telemetry: Telemetry = Telemetry(safety_version="unknown")
    timestamp: Text = ""


class ScanReport(BaseModel):
    """The report of `safety scan --output json`, schema 3.0. It rates nothing."""

    meta: Meta
    scan_results: ScanResults

    def known(self) -> Iterator[tuple[Known, Finding]]:
        """Every known vulnerability with its finding."""
        for file in [*self.scan_results.files, *(one for two in self.scan_results.projects for one in two.files)]:
            for package in file.results.dependencies:
                for asked in package.specifications:
                    fixed = asked.vulnerabilities.remediation.recommended if asked.vulnerabilities.remediation else ""
                    for one in asked.vulnerabilities.known_vulnerabilities:
                        yield one, _scanned(one, package.name, asked.raw, fixed, file.location)


def _scanned(known: Known, package: str, raw: str, fixed: str, file: str) -> Finding:
    return Finding(
        id=known.id,
        severity=Severity.UNKNOWN,
        title=f"{package} {known.vulnerable_spec} is vulnerable",
        package=canonicalize_name(package),
        installed=raw.rpartition("==")[2],
        fixed=fixed,
        file=file,
    )


def document(text: str) -> dict[str, Any]:
    """The JSON object in Safety's output, which has notices around it. Raises ValueError when there is none."""
    answer = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
    return dict(answer)


def _rated(given: dict[str, Any] | None) -> Severity:
    scores = [(given or {}).get(name) for name in ("cvssv3", "cvssv2")]
    found = [float(one["base_score"]) for one in scores if isinstance(one, dict) and one.get("base_score")]
    return next((band for score, band in BANDS if found and found[0] >= score), Severity.UNKNOWN)
