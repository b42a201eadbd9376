"""Advisories for Python packages in OSV form: where they come from and what they say."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tasks.lib import locks, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment, Severity

SNAPSHOT = paths.ROOT / "tools/advisories/pypi-advisories-2024-10.zip"
FRESH_HOURS = 6.0
CONNECT_SECONDS, READ_SECONDS, DOWNLOAD_SECONDS = 3.0, 10.0, 120.0
MINIMUM = 1000  # advisories; PyPI has had more since 2022, so fewer means a broken source
SPEECH = {"CRITICAL": Severity.CRITICAL, "HIGH": Severity.HIGH, "MODERATE": Severity.MEDIUM, "LOW": Severity.LOW}


@dataclass(frozen=True)
class Source:
    """A zip of OSV files on this machine."""

    path: Path
    name: str
    digest: str
    snapshot: bool
    note: str = ""


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


def find(env: Environment) -> Source:
    """The best advisories that can be had: the first reachable source, an earlier download of one, the snapshot."""
    refused = []
    for url in env.gates.advisories:
        try:
            return _from(url)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            refused.append(f"{url}: {_short(error)}")
    note = "; ".join(refused)
    kept = sorted(_folder().glob("*.zip"), key=lambda path: path.stat().st_mtime)
    for path in reversed(kept):
        return Source(path, f"{path.stem} (kept copy)", _digest(path), snapshot=False, note=note)
    if not SNAPSHOT.is_file():
        raise Stop(f"no advisories: {note}; and {SNAPSHOT.name} is missing", Code.COULD_NOT_RUN)
    return Source(SNAPSHOT, f"shipped snapshot {SNAPSHOT.stem}", _digest(SNAPSHOT), snapshot=True, note=note)


def _short(error: Exception) -> str:
    import requests

    if isinstance(error, requests.ConnectionError):
        return "not reachable"
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _folder() -> Path:
    return paths.cache() / "databases" / "osv"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _from(url: str) -> Source:
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        _check(path)
        return Source(path, url, _digest(path), snapshot=False)
    if parts.scheme not in ("http", "https"):
        raise ValueError("not an http(s):// or file:// URL")
    name = f"{parts.netloc}{parts.path}".replace("/", "_").removesuffix(".zip")
    dest = _folder() / f"{name}.zip"
    with locks.exclusive(_folder() / f"{name}.lock", "the download of advisories"):
        if not dest.exists() or time.time() - dest.stat().st_mtime > FRESH_HOURS * 3600:
            _download(url, dest)
    return Source(dest, url, _digest(dest), snapshot=False)


def _download(url: str, dest: Path) -> None:
    import requests

    deadline = time.monotonic() + DOWNLOAD_SECONDS
    with tempfile.NamedTemporaryFile(dir=dest.parent, prefix=".download.", delete=False) as scratch:
        try:
            with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
                answer.raise_for_status()
                for block in answer.iter_content(1 << 20):
                    scratch.write(block)
                    if time.monotonic() > deadline:
                        raise OSError(f"slower than {DOWNLOAD_SECONDS:g} s")
            scratch.flush()
            _check(Path(scratch.name))
            Path(scratch.name).replace(dest)
        finally:
            Path(scratch.name).unlink(missing_ok=True)


def _check(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (count := len(archive.namelist())) < MINIMUM:
            raise ValueError(f"only {count} advisories")


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
        raise Stop(f"the advisories of {source.name} cannot be read: {_short(error)}", Code.COULD_NOT_RUN) from error
    if len(joined) < MINIMUM:
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
