"""What advisories for Python packages say, read from their OSV form."""

from __future__ import annotations

import functools
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tasks.lib.errors import Code, Stop
from tasks.lib.gates import download, kept
from tasks.lib.settings import Severity

MINIMUM = 1000  # advisories; PyPI has had more since 2022, so fewer means a broken source
NO_ZIP = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
NO_OSV = (KeyError, ValueError, TypeError, AttributeError)
SPEECH = {"CRITICAL": Severity.CRITICAL, "HIGH": Severity.HIGH, "MODERATE": Severity.MEDIUM, "LOW": Severity.LOW}


parsed = functools.lru_cache(maxsize=1 << 18)(Version)  # the same versions are named by many advisories
_latest: dict[str, tuple[list[Advisory], datetime]] = {}  # of the zip read last: it is checked, then built from twice


@dataclass
class Span:
    """Affected versions: from `introduced` ('0': from the first) up to `fixed` (excluded) or `last` (included)."""

    introduced: str
    fixed: str = ""
    last: str = ""

    def holds(self, version: Version) -> bool:
        if self.introduced != "0" and version < parsed(self.introduced):
            return False
        if self.fixed:
            return version < parsed(self.fixed)
        return not self.last or version <= parsed(self.last)


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
        return sorted(found, key=parsed)

    def outliers(self) -> list[str]:
        """Versions that are named as affected but lie in no span."""
        return sorted(v for v in self.versions if not any(span.holds(parsed(v)) for span in self.spans))


def read(path: Path, name: str) -> tuple[list[Advisory], datetime]:
    """All advisories of a zip, those of one vulnerability joined under its CVE, and the time of the newest (UTC).

    name: what to call the zip. Raises Stop (4) when it is damaged or holds too few of them.
    """
    try:
        digest = kept.sha256(path)
        if digest not in _latest:
            joined = _joined(path)
            _latest.clear()
            _latest[digest] = joined
        found, newest = _latest[digest]
    except (*NO_ZIP, *NO_OSV) as error:
        raise Stop(f"{name} cannot be read: {download.short(error)}", Code.COULD_NOT_RUN) from error
    if len(found) < MINIMUM:
        raise Stop(f"{name} has only {len(found)} advisories", Code.COULD_NOT_RUN)
    return found, newest


def _joined(path: Path) -> tuple[list[Advisory], datetime]:
    joined: dict[tuple[str, str], Advisory] = {}
    newest = ""
    for entry in _entries(path):
        newest = max(newest, entry["modified"])
        for advisory in _advisories(entry):
            known = joined.setdefault((advisory.id, advisory.package), advisory)
            if known is not advisory:
                _join(known, advisory)
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
    vectors = [one for place in (entry, affected) for one in place.get("severity", [])]
    return min((_band(one) for one in vectors), key=list(Severity).index, default=Severity.UNKNOWN)


def _band(rating: dict[str, str]) -> Severity:
    """The band of a CVSS vector's base score: of the specification for 3 and 4, of the NVD for 2, which has none.

    A score of 0.0 ("None") counts as LOW: it was rated. What is no vector of a known version rates nothing.
    """
    import cvss

    kinds = {"CVSS_V2": cvss.CVSS2, "CVSS_V3": cvss.CVSS3, "CVSS_V4": cvss.CVSS4}
    try:
        band = kinds[rating["type"]](rating["score"]).severities()[0].upper()
    except (KeyError, cvss.exceptions.CVSSError):
        return Severity.UNKNOWN
    return Severity.LOW if band == "NONE" else Severity.__members__.get(band, Severity.UNKNOWN)


def _valid(version: str) -> bool:
    try:
        parsed(version)
    except InvalidVersion:
        return False
    return True


def _spans(events: list[dict[str, str]]) -> list[Span]:
    ordered = [(kind, value) for event in events for kind, value in event.items() if value == "0" or _valid(value)]
    ordered.sort(key=lambda pair: parsed(pair[1]))
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
