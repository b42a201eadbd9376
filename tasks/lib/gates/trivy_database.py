"""Trivy's vulnerability database: from its registries where they can be reached, else made from the advisories here."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

from invoke.context import Context

from tasks.lib import locks, paths, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import databases, store
from tasks.lib.gates.advisories import Advisory
from tasks.lib.gates.databases import Built
from tasks.lib.gates.models import Database
from tasks.lib.runner import run
from tasks.lib.settings import Environment

FRESH_HOURS = 6.0
DOWNLOAD_SECONDS = 300.0
PROBE_SECONDS = (3.0, 5.0)
SMALLEST = 1_000_000  # bytes; an interrupted download leaves an empty file that Trivy takes for a clean bill


def find(c: Context, env: Environment, program: Path) -> Built:
    """The newest database that can be had, in a folder for --cache-dir. Raises Stop (4) when there is none."""
    home = paths.cache() / "databases" / "trivy-registry"
    refused = []
    with locks.exclusive(home / "lock", "the download of Trivy's database"):
        for repository in env.gates.trivy_databases:
            try:
                if not _fresh(home, repository):
                    _download(c, program, repository, home)
                return _registry(home, "")
            except Stop as stop:
                refused.append(f"{repository}: {stop.sentence.splitlines()[0]}")
        note = "; ".join(refused)
        if (home / "source").is_file() and (home / "db/metadata.json").is_file():
            return _registry(home, note)
    return _own(c, env, note)


def _fresh(home: Path, repository: str) -> bool:
    source = home / "source"
    if not source.is_file() or not (home / "db/trivy.db").is_file():
        return False
    recent = time.time() - source.stat().st_mtime < FRESH_HOURS * 3600
    return recent and source.read_text(encoding="utf-8") == repository


def _download(c: Context, program: Path, repository: str, home: Path) -> None:
    import requests

    host = repository.partition("/")[0]
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    try:
        requests.get(f"{scheme}://{host}/v2/", timeout=PROBE_SECONDS)
    except requests.RequestException:
        raise Stop("not reachable", Code.COULD_NOT_RUN) from None
    words: list[str | Path] = [
        program,
        "image",
        "--download-db-only",
        "--db-repository",
        repository,
        "--cache-dir",
        home,
        "--no-progress",
    ]
    run(c, words, step="fetch Trivy's database", timeout=DOWNLOAD_SECONDS)
    store.write_text(home / "source", repository)


def _registry(home: Path, note: str) -> Built:
    database = home / "db/trivy.db"
    again = f"rm -r {home}"
    try:
        metadata = json.loads((home / "db/metadata.json").read_text(encoding="utf-8"))
        date = datetime.fromisoformat(metadata["UpdatedAt"][:19] + "+00:00")
        if database.stat().st_size < SMALLEST:
            raise ValueError(f"it has only {database.stat().st_size} bytes")
        digest = databases.digest(database)
    except (OSError, ValueError, KeyError) as error:
        raise Stop(f"Trivy's database is damaged: {error}", Code.COULD_NOT_RUN, again) from error
    source = (home / "source").read_text(encoding="utf-8")
    kept = f"{source} (kept copy)" if note else source
    return Built(home, Database(source=kept, date=date, digest=digest, note=note), {})


def _own(c: Context, env: Environment, note: str) -> Built:
    def write(folder: Path, found: list[Advisory]) -> None:
        entries = folder / "entries.jsonl"
        lines = (json.dumps(entry) for entry in databases.trivy_entries(found))
        store.write_text(entries, "\n".join(lines) + "\n")
        run(c, [tools.path(c, "trivydb"), folder, entries], step="write Trivy's database", timeout=120, quiet=True)
        entries.unlink()

    built = databases.snapshot_for_trivy(env, write)
    built.about.note = "; ".join(part for part in (note, built.about.note) if part)
    return built
