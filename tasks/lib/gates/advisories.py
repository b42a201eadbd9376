"""What advisories for Python packages say, read from their OSV form."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tasks.lib.errors import Code, Stop
from tasks.lib.gates import sources
from tasks.lib.gates.sources import Source
from tasks.lib.settings import Severity

SPEECH = {"CRITICAL": Severity.CRITICAL, "HIGH": Severity.HIGH, "MODERATE": Severity.MEDIUM, "LOW": Severity.LOW}


@dataclass
class Span:
    """Affected versions: from `introduced` ('0': from the first) up to `fixed` (excluded) or `last` (included)."""

    introduced: str
    fixed: str = ""
    last: str = ""

    def holds(self, version: Version) -> bool:
        if self.introduced != "0" and version < Version(self.introduced):
            return False
        if self.fixed:
            return version < Version(self.fixed)
        return not self.last or version <= Version(self.last)


@dataclass
class Advisory:
    """One vulnerability in one package."""

    id: str
    package: str
    aliases: set[str] = field(default_factory=set)
    severity: Severity = Severity.UNKNOWN
    title: str = ""
    url: str = ""
    published: str = ""
    spans: list[Span] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)

    @property
    def fixed(self) -> list[str]:
        found = {span.fixed for span in self.spans if span.fixed}
        return sorted(found, key=Version)

    def outliers(self) -> list[str]:
        """Versions that are named as affected but lie in no span."""
        return sorted(v for v in self.versions if not any(span.holds(Version(v)) for span in self.spans))


def read(source: Source) -> tuple[list[Advisory], datetime]:
    """All advisories of a source, those of one vulnerability joined under its CVE, and the time of the newest (UTC).

    Raises Stop (4) when the file is damaged or holds too few of them.
    """
    joined: dict[tuple[str, str], Advisory] = {}
    newest = ""
    try:
        for entry in _entries(source.path):
            newest = max(newest, entry["modified"])
            for advisory in _advisories(entry):
                known = joined.setdefault((advisory.id, advisory.package), advisory)
                if known is not advisory:
                    _join(known, advisory)
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, TypeError) as error:
        raise Stop(
            f"the advisories of {source.name} cannot be read: {sources.short(error)}", Code.COULD_NOT_RUN
        ) from error
    if len(joined) < sources.MINIMUM:
        raise Stop(f"the advisories of {source.name} are only {len(joined)}", Code.COULD_NOT_RUN)
    return list(joined.values()), datetime.fromisoformat(newest[:19] + "+00:00")


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                entry = json.loads(archive.read(name))
                if not entry.get("withdrawn"):
                    yield entry


def _advisories(entry: dict[str, Any]) -> Iterator[Advisory]:
    names = {entry["id"], *entry.get("aliases", [])}
    best = next((name for kind in ("CVE-", "GHSA-") for name in sorted(names) if name.startswith(kind)), entry["id"])
    links = {link.get("type", ""): link.get("url", "") for link in reversed(entry.get("references", []))}
    details = entry.get("summary") or entry.get("details") or best
    for affected in entry.get("affected", []):
        package = affected.get("package", {})
        if package.get("ecosystem") != "PyPI":
            continue
        spans = [s for r in affected.get("ranges", []) if r.get("type") == "ECOSYSTEM" for s in _spans(r["events"])]
        yield Advisory(
            id=best,
            package=canonicalize_name(package["name"]),
            aliases=names - {best},
            severity=_severity(entry, affected),
            title=" ".join(details.split())[:160],
            url=links.get("ADVISORY") or f"https://osv.dev/vulnerability/{entry['id']}",
            published=entry.get("published", "")[:10],
            spans=spans,
            versions={version for version in affected.get("versions", []) if _valid(version)},
        )


def _severity(entry: dict[str, Any], affected: dict[str, Any]) -> Severity:
    if entry["id"].startswith("MAL-"):
        return Severity.CRITICAL
    for place in (entry, affected):
        said = str(place.get("database_specific", {}).get("severity", "")).upper()
        if said in SPEECH:
            return SPEECH[said]
    return Severity.UNKNOWN


def _valid(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True


def _spans(events: list[dict[str, str]]) -> list[Span]:
    ordered = [(kind, value) for event in events for kind, value in event.items() if value == "0" or _valid(value)]
    ordered.sort(key=lambda pair: Version(pair[1]))
    spans: list[Span] = []
    for kind, value in ordered:
        is_open = spans and not spans[-1].fixed and not spans[-1].last
        if kind == "introduced" and not is_open:
            spans.append(Span(value))
        elif kind == "fixed" and is_open:
            spans[-1].fixed = value
        elif kind == "last_affected" and is_open:
            spans[-1].last = value
    return spans


def _join(known: Advisory, other: Advisory) -> None:
    order = list(Severity)
    known.severity = min(known.severity, other.severity, key=order.index)
    known.aliases |= other.aliases
    known.versions |= other.versions
    known.spans += [span for span in other.spans if span not in known.spans]
