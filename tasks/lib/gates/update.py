"""Brings the scanners' databases up to date, says what there is, and hands them on to machines without a network."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Literal

from invoke.context import Context
from pydantic import BaseModel, Field

from tasks.lib import settings, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import databases, kept, policy, sources, store, trivy_database, trivy_places
from tasks.lib.gates.databases import Built
from tasks.lib.settings import Environment

SECONDS = 1800.0  # a person or a nightly job waits for it, so a slow line is no failure
SUMS = "SHA256SUMS"


class Row(BaseModel):
    """One database as a scan would use it now."""

    what: str
    gate: str = Field(description="the gate that compares with it")
    source: str
    state: Literal["new", "unchanged", "kept", "snapshot"]
    date: datetime = Field(description="UTC, of the newest entry")
    age_days: int
    bytes: int
    entries: int
    unrated: int | None = Field(description="entries without a severity, which block where they match; null: unknown")
    holds: dict[str, int] = Field(description="packages by ecosystem or operating system")
    digest: str
    note: str = Field("", description="which places could not be had, and why")
    refused: str = Field("", description="why the environment does not accept it")


def update(c: Context, env: Environment) -> list[Row]:
    """Asks the places of the environment in their order, builds what is built, and judges it by the policy.

    Only what arrived whole and was understood replaces what is kept. Raises Stop (4) when there is nothing at all.
    """
    before = _digests(env)
    with terminal.step("Advisories"):
        source = sources.find(env, always=True, seconds=SECONDS)
        safety = databases.safety(env)
    with terminal.step("Trivy's database"):
        trivy = trivy_database.find(c, env, always=True, seconds=SECONDS)
    rows = [
        _row("advisories (OSV)", "", safety, before, source.path),
        _row("Safety's files, made from them", "deps", safety, before, *safety.folder.glob("insecure*.json")),
        _row("Trivy's database", "image", trivy, before, trivy.folder / trivy_places.FILE),
    ]
    for row, built in ((rows[1], safety), (rows[2], trivy)):
        row.refused = policy.outdated(env, built.about) or _lacking(env, row.gate, built)
    return rows


def _digests(env: Environment) -> set[str]:
    found = set()
    homes = [sources.slot(place) for place in env.gates.advisory_places]
    for home in [*homes, *(trivy_places.slot(place) for place in env.gates.trivy_places)]:
        try:
            current = kept.read(home)
        except ValueError:
            continue
        found |= {current.digest} if current else set()
    return found


def _row(what: str, gate: str, built: Built, before: set[str], *files: Path) -> Row:
    about = built.about
    state: Literal["new", "unchanged", "kept", "snapshot"] = "unchanged" if about.digest in before else "new"
    if about.snapshot or about.source.endswith("(kept copy)"):
        state = "snapshot" if about.snapshot else "kept"
    return Row(
        what=what if not (gate == "image" and built.details) else f"{what}, made from them",
        gate=gate,
        source=about.source,
        state=state,
        date=about.date,
        age_days=(kept.now() - about.date).days,
        bytes=sum(file.stat().st_size for file in files),
        entries=about.entries,
        unrated=built.unrated,
        holds=built.holds,
        digest=about.digest,
        note=about.note,
    )


def _lacking(env: Environment, gate: str, built: Built) -> str:
    """As the verdict will see it, save that no image is at hand: any operating system counts as that of the image."""
    system = next(iter(built.systems), "")
    if gate == "image" and "os" in env.gates.required_coverage and not system:
        return f"the database covers {' and '.join(built.holds)} but {env.name} demands {policy.OS} too"
    return policy.uncovered(env, gate, built.holds, system)


def show(env: Environment, rows: list[Row]) -> None:
    """Prints the table, and everything that was not as it should be."""
    columns = ("what", "source", "state", "date", "age", "size", "entries", "not rated", "covers (packages)")
    terminal.table(f"Databases for {env.name}", columns, [_cells(row) for row in rows])
    for note in dict.fromkeys(note for row in rows for note in row.note.split("; ") if note):
        terminal.warn(f"not updated from {note}")
    for row in rows:
        if row.gate and not row.refused and row.state in ("kept", "snapshot"):
            which = "shipped snapshot" if row.state == "snapshot" else "kept copy"
            day = f"{row.date.date()}, {row.age_days} days old"
            terminal.warn(f"{row.what}: still the {which} of {day}, which {env.name} accepts")


def _cells(row: Row) -> tuple[str, ...]:
    covers = ", ".join(f"{name} {count}" for name, count in row.holds.items())
    unrated = "-" if row.unrated is None else str(row.unrated)
    amounts = (f"{row.age_days} d", f"{row.bytes / 1e6:.1f} MB", str(row.entries), unrated)
    return (row.what, row.source, row.state, str(row.date.date()), *amounts, covers)


def as_json(env: Environment, rows: list[Row]) -> str:
    """The same for programs: {"environment", "accepted", "databases": [...]}."""
    accepted = not any(row.refused for row in rows)
    said = {"environment": env.name, "accepted": accepted, "databases": [row.model_dump(mode="json") for row in rows]}
    return json.dumps(said, indent=2)


def conclude(env: Environment, rows: list[Row], quiet: bool = False) -> None:
    """Says that the environment accepts them (unless quiet); raises Stop (4) when not: its gates could not run."""
    why = dict.fromkeys(row.refused for row in rows if row.refused)
    refused = [f"{' and '.join(row.gate for row in rows if row.refused == one)}: {one}" for one in why]
    if refused:
        fix = (
            f"name a mirror in gates.mirrors of {env.folder}/environment.yaml, then ./inv scan.update --env {env.name}"
        )
        raise Stop(f"scan.update: {'; '.join(refused)}", Code.COULD_NOT_RUN, fix)
    if not quiet:
        terminal.good(f"scan.update: {env.name} accepts these databases")


def export(c: Context, env: Environment, folder: Path) -> list[Path]:
    """Writes what the environment's places gave into a folder that another machine names in gates.mirrors.

    Trivy's database is left out where it was made from the advisories: it is made there, too. The folder's older files
    stay until their successors are complete. Raises Stop (4) when there is only the shipped snapshot.
    """
    source = sources.find(env)
    if source.snapshot:
        raise Stop(
            "scan.update: there is only the shipped snapshot, which every machine has",
            Code.COULD_NOT_RUN,
            "./inv scan.update --help",
        )
    advisories = folder / settings.MIRRORED_ADVISORIES
    _whole(advisories, source.path)
    written = [advisories]
    trivy = trivy_database.find(c, env)
    archive = folder / settings.MIRRORED_TRIVY
    if not trivy.details:
        _whole(archive, trivy.folder / "db")
        written.append(archive)
    present = [path for path in (advisories, archive) if path.is_file()]
    lines = [f"{kept.sha256(path).removeprefix('sha256:')}  {path.relative_to(folder)}\n" for path in present]
    store.write_text(folder / SUMS, "".join(lines))
    return written


def _whole(dest: Path, content: Path) -> None:
    """Copies a file, or packs Trivy's folder as its registries do; `dest` is replaced when that is complete."""
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=dest.parent, prefix=".export.") as scratch:
            made = Path(scratch) / dest.name
            if content.is_file():
                shutil.copyfile(content, made)
            else:
                with tarfile.open(made, "w:gz", compresslevel=6) as tar:
                    for name in trivy_places.MEMBERS:
                        tar.add(content / name, name)
            made.replace(dest)
    except OSError as error:
        raise Stop(
            f"scan.update: write {dest}: {error.strerror or error}",
            Code.COULD_NOT_RUN,
            "./inv scan.update --export FOLDER",
        ) from error
