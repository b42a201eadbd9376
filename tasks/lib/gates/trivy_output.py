"""What Trivy's JSON (schema 2) says, read in one place: the gates use it, and the converters for reports of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from tasks.lib.gates.databases import severity
from tasks.lib.gates.models import Finding

# Go writes null for a list that is empty.
Some = BeforeValidator(lambda value: [] if value is None else value)


class Identifier(BaseModel):
    purl: str = Field("", alias="PURL")


class Vulnerability(BaseModel):
    """A package with a known vulnerability."""

    id: str = Field(alias="VulnerabilityID")
    package: str = Field(alias="PkgName")
    installed: str = Field(alias="InstalledVersion")
    fixed: str = Field("", alias="FixedVersion")
    severity: str = Field("", alias="Severity")
    title: str = Field("", alias="Title")
    url: str = Field("", alias="PrimaryURL")
    path: str = Field("", alias="PkgPath")
    aliases: Annotated[list[str], Some] = Field([], alias="VendorIDs")
    identifier: Identifier = Field(Identifier(PURL=""), alias="PkgIdentifier")

    def finding(self, target: str) -> Finding:
        """As a finding in `target`, what Trivy calls the scanned file or image."""
        return Finding(
            id=self.id,
            severity=severity(self.severity),
            title=self.title or self.id,
            package=self.package,
            installed=self.installed,
            fixed=self.fixed,
            file=self.path or target.partition(" (")[0],
            url=self.url,
            aliases=self.aliases,
            purl=self.identifier.purl,
        )


class Cause(BaseModel):
    resource: str = Field("", alias="Resource")
    line: int = Field(0, alias="StartLine")


class Misconfiguration(BaseModel):
    """A check that a configuration file did not pass, or (status PASS) did."""

    id: str = Field(alias="ID")
    alias: str = Field("", alias="AVDID")
    title: str = Field(alias="Title")
    message: str = Field("", alias="Message")
    severity: str = Field(alias="Severity")
    resolution: str = Field("", alias="Resolution")
    url: str = Field("", alias="PrimaryURL")
    status: str = Field("FAIL", alias="Status")
    cause: Cause = Field(Cause(Resource="", StartLine=0), alias="CauseMetadata")

    def finding(self, file: str) -> Finding:
        """As a finding in a file."""
        return Finding(
            id=self.id,
            severity=severity(self.severity),
            title=f"{self.title}: {self.message}"[:300],
            package=self.cause.resource,
            fixed=self.resolution,
            file=file,
            line=self.cause.line,
            url=self.url,
            aliases=[self.alias] if self.alias else [],
        )


class Secret(BaseModel):
    """A secret; Match and Code, which show parts of it, are not read."""

    rule: str = Field(alias="RuleID")
    title: str = Field("", alias="Title")
    severity: str = Field("", alias="Severity")
    line: int = Field(0, alias="StartLine")

    def finding(self, file: str) -> Finding:
        """As a finding in a file."""
        fix = "revoke it at its service, then remove it"
        found = severity(self.severity)
        return Finding(
            id=self.rule, severity=found, title=self.title or self.rule, file=file, line=self.line, fixed=fix
        )


class Result(BaseModel):
    """What was found in one target."""

    target: str = Field(alias="Target")
    kind: str = Field("", alias="Class")
    type: str = Field("", alias="Type")
    packages: Annotated[list[Any], Some] = Field([], alias="Packages")
    vulnerabilities: Annotated[list[Vulnerability], Some] = Field([], alias="Vulnerabilities")
    misconfigurations: Annotated[list[Misconfiguration], Some] = Field([], alias="Misconfigurations")
    secrets: Annotated[list[Secret], Some] = Field([], alias="Secrets")
    hidden: Annotated[list[Any], Some] = Field([], alias="ExperimentalModifiedFindings")


class System(BaseModel):
    family: str = Field("", alias="Family")
    name: str = Field("", alias="Name")

    def __str__(self) -> str:
        return f"{self.family} {self.name}".strip()


class Metadata(BaseModel):
    os: System = Field(System(Family="", Name=""), alias="OS")
    image: str = Field("", alias="ImageID")


class About(BaseModel):
    version: str = Field("unknown", alias="Version")


class TrivyReport(BaseModel):
    """A whole report."""

    schema_version: Literal[2] = Field(alias="SchemaVersion")
    name: str = Field("", alias="ArtifactName")
    type: str = Field("", alias="ArtifactType")
    created: str = Field("", alias="CreatedAt")
    about: About = Field(About(Version="unknown"), alias="Trivy")
    metadata: Metadata = Field(Metadata(), alias="Metadata")
    results: Annotated[list[Result], Some] = Field([], alias="Results")

    def vulnerabilities(self) -> Iterator[Finding]:
        """Every vulnerable package."""
        return (one.finding(result.target) for result in self.results for one in result.vulnerabilities)
