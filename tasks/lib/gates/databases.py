"""The databases that the scanners compare with, built once per state of their source and kept in the user's cache."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.lib import locks, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import advisories, sources, store
from tasks.lib.gates.advisories import Advisory
from tasks.lib.gates.models import Database
from tasks.lib.gates.sources import Source
from tasks.lib.settings import Environment, Severity

BUILD = 2  # raise when the built files change, so that caches are made anew
PIP_BUCKET = "pip::Open Source Vulnerability"
UNUSED_DAYS = 14  # then a built database is removed; it can be built again


@dataclass(frozen=True)
class Built:
    """A database in a folder, and what is known about it.

    details: per advisory, where the file was made here; empty where it came as it is. holds: packages by ecosystem or
    operating system. systems: those with their versions, such as debian 12. unrated: entries without any severity;
    None: not known.
    """

    folder: Path
    about: Database
    details: dict[str, dict[str, Any]]
    holds: dict[str, int] = field(default_factory=dict)
    systems: list[str] = field(default_factory=list)
    unrated: int | None = None


def safety(env: Environment) -> Built:
    """Safety's files (schema 2.0.0) made from the best advisories. Raises Stop (4) when there are none."""
    return _built(env, "safety", _write_safety)


def snapshot_for_trivy(env: Environment, write: Callable[[Path, list[Advisory]], None]) -> Built:
    """Trivy's database made from the best advisories; `write` turns entries into the file."""

    def files(folder: Path, found: list[Advisory], newest: datetime) -> None:
        (folder / "db").mkdir()
        write(folder / "db", found)
        stamp = newest.isoformat().replace("+00:00", "Z")
        metadata = {"Version": 2, "NextUpdate": stamp, "UpdatedAt": stamp, "DownloadedAt": stamp}
        store.write_text(folder / "db/metadata.json", json.dumps(metadata))

    return _built(env, "trivy", files)


def identity(env: Environment, gate: str) -> str:
    """Says in milliseconds, and without a network, which database a scan would use now.

    The same answer means the same database. 'none': the gate compares with none. '': it takes a scan to know, because
    a place has to be asked again or because there is no database.
    """
    from tasks.lib.gates import trivy_database

    if gate == "image":
        registry = trivy_database.settled(env)
        if registry is None or registry:
            return registry or ""
    elif gate != "deps":
        return "none"
    source = sources.settled(env)
    if source is None:
        return ""
    return f"{'snapshot' if source.snapshot else 'advisories'} {source.digest} build {BUILD}"


def settle(env: Environment, gate: str) -> str:
    """`identity`, after asking the advisories' places where that takes asking: the first thing that a scan does, too.

    Without it, nothing could be said of an unchanged commit once the places have to be asked again; most answer at once
    that nothing has changed, or not at all. Trivy's registries are not asked: they cannot say it without a download.
    Raises Stop (4) when there are no advisories.
    """
    known = identity(env, gate)
    if known or gate != "deps":
        return known
    sources.find(env)
    return identity(env, gate)


def _built(env: Environment, name: str, write: Callable[[Path, list[Advisory], datetime], None]) -> Built:
    source = sources.find(env)
    home = paths.cache() / "databases" / name
    folder = home / f"{source.digest.removeprefix('sha256:')[:16]}-{BUILD}"
    if not (folder / "about.json").is_file():
        with locks.exclusive(home / "lock", f"the {name} database"):
            if not (folder / "about.json").is_file():
                _build(source, folder, write)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        database = Database(
            source=source.name,
            date=about["date"],
            digest=source.digest,
            entries=about["entries"],
            snapshot=source.snapshot,
            note=source.note,
        )
        return Built(folder, database, about["details"], about["holds"], [], about["unrated"])
    except (OSError, ValueError, KeyError) as error:
        raise Stop(f"the {name} database is damaged: {error}", Code.COULD_NOT_RUN, f"rm -r {folder}") from error


def _build(source: Source, folder: Path, write: Callable[[Path, list[Advisory], datetime], None]) -> None:
    for left in folder.parent.iterdir():
        unused = time.time() - left.stat().st_mtime > UNUSED_DAYS * 86400
        if left.is_dir() and (unused or left.name.startswith(".") or left == folder):
            shutil.rmtree(left, ignore_errors=True)
    found, newest = advisories.read(source.path, f"the zip of {source.name}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build.") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        write(made, found, newest)
        details = {
            advisory.id: {
                "severity": advisory.severity.value,
                "title": advisory.title,
                "url": advisory.url,
                "aliases": sorted(advisory.aliases),
            }
            for advisory in found
        }
        about = {
            "date": newest.isoformat(),
            "entries": len(found),
            "holds": {"pip": len({advisory.package for advisory in found})},
            "unrated": sum(advisory.severity is Severity.UNKNOWN for advisory in found),
            "details": details,
        }
        store.write_text(made / "about.json", json.dumps(about))
        made.replace(folder)


def safety_specs(advisory: Advisory) -> list[str]:
    """Version specifiers of an advisory as Safety reads them.

    `>=0.dev0` makes the set admit pre-releases, and `<=F,!=F` holds 2.0rc1 where `<2.0` by PEP 440 does not; without
    both, Safety passes every pinned pre-release.
    """
    specs = []
    for span in advisory.spans:
        parts = [">=0.dev0"] if span.introduced == "0" else [">=0.dev0", f">={span.introduced}"]
        if span.fixed:
            parts += [f"<={span.fixed}", f"!={span.fixed}"]
        elif span.last:
            parts.append(f"<={span.last}")
        specs.append(",".join(parts))
    return specs + [f"=={version}" for version in advisory.outliers()]


def _write_safety(folder: Path, found: list[Advisory], newest: datetime) -> None:
    short: dict[str, list[str]] = {}
    full: dict[str, list[dict[str, Any]]] = {}
    for advisory in found:
        specs = safety_specs(advisory)
        if not specs:
            continue
        short.setdefault(advisory.package, []).extend(spec for spec in specs if spec not in short[advisory.package])
        cves = [name for name in sorted({advisory.id, *advisory.aliases}) if name.startswith("CVE-")]
        full.setdefault(advisory.package, []).append(
            {
                "specs": specs,
                "advisory": advisory.title,
                "ids": [{"type": "pyup", "id": advisory.id}, *({"type": "cve", "id": cve} for cve in cves)],
                "fixed_versions": advisory.fixed,
                "transitive": False,
                "more_info_path": "",
                "published_date": advisory.published or None,
            }
        )
    nothing = {"insecure_versions": [], "secure_versions": [], "latest_version": "", "more_info_path": ""}
    meta: dict[str, Any] = {"schema_version": "2.0.0", "timestamp": int(newest.timestamp())}
    meta |= {"advisory": "OSV advisories of PyPI", "base_domain": "https://osv.dev"}
    store.write_text(folder / "insecure.json", json.dumps({"meta": meta, "vulnerable_packages": short}))
    meta = {**meta, "packages": dict.fromkeys(full, nothing)}
    store.write_text(folder / "insecure_full.json", json.dumps({"meta": meta, "vulnerable_packages": full}))


def trivy_entries(found: list[Advisory]) -> list[dict[str, Any]]:
    """Entries of Trivy's database, schema 2: versions per package, and the vulnerabilities."""
    about = {"ID": "osv", "Name": "Open Source Vulnerabilities, PyPI", "URL": "https://osv.dev"}
    entries: list[dict[str, Any]] = [{"path": ["data-source"], "key": PIP_BUCKET, "value": about}]
    for advisory in found:
        versions = _trivy_versions(advisory)
        if not versions:
            continue
        # Trivy lowers names and turns _ into -, but leaves dots; PyPI's advisories use the canonical name.
        for name in {advisory.package, advisory.package.replace("-", ".")}:
            value = {"VulnerableVersions": versions}
            entries.append({"path": [PIP_BUCKET, name], "key": advisory.id, "value": value})
        text = {"Title": advisory.title, "Severity": advisory.severity.value, "References": [advisory.url]}
        entries.append({"path": ["vulnerability"], "key": advisory.id, "value": text})
    return entries


def _trivy_versions(advisory: Advisory) -> list[str]:
    versions = []
    for span in advisory.spans:
        parts = [] if span.introduced == "0" else [f">={span.introduced}"]
        parts += [f"<{span.fixed}"] if span.fixed else [f"<={span.last}"] if span.last else []
        versions.append(", ".join(parts or [">=0.dev0"]))
    early = [version for version in advisory.versions if advisories.parsed(version).is_prerelease]
    return versions + [f"=={version}" for version in sorted({*advisory.outliers(), *early})]


def severity(text: str) -> Severity:
    """A scanner's word for a severity; words that are not known count as UNKNOWN, which blocks."""
    return Severity.__members__.get(text.upper(), Severity.UNKNOWN)
