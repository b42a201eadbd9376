"""Trivy's vulnerability database: from a registry, URL or folder that can be reached, else made from advisories."""

from __future__ import annotations

import json
from pathlib import Path

from invoke.context import Context

from tasks.lib import tools, trace
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import databases, kept, store, trivy_places
from tasks.lib.gates.advisories import Advisory
from tasks.lib.gates.databases import Built
from tasks.lib.gates.kept import Kept
from tasks.lib.gates.models import Database
from tasks.lib.runner import run
from tasks.lib.settings import Environment


def find(
    c: Context,
    env: Environment,
    program: Path | None = None,
    always: bool = False,
    seconds: float = trivy_places.DOWNLOAD_SECONDS,
) -> Built:
    """The best database that can be had, in a folder for --cache-dir: the first place whose is new enough for this
    environment, else the newest that its places or kept copies of them have, else one made from the advisories.
    Raises Stop (4) when there is nothing, or when a kept copy is damaged and cannot be replaced.

    program: Trivy, where it is known already. always: ask the places in any case. seconds: the longest download.
    """
    had: list[tuple[Kept, Built]] = []
    refused: list[str] = []
    for place in env.gates.trivy_places:
        try:
            found = trivy_places.refresh(c, place, program, always, seconds)
        except OSError as error:
            refused.append(f"{place}: {error}")
            continue
        had.append((found, _built(place, found, place)))
        if kept.new_enough(found, env.gates.max_database_age_days):
            return had[-1][1]
    note = "; ".join(refused)
    had += [(one, _built(place, one, f"{place} (kept copy)")) for place, one in _copies(env, [one for one, _ in had])]
    if had:
        best = max(had, key=lambda pair: pair[0].date)[1]
        best.about.note = note
        return best
    return _own(c, env, note)


def settled(env: Environment) -> str | None:
    """Which database of a place `find` would return, '' when it would make one; None where it would have to ask."""
    had: list[Kept] = []
    for place in env.gates.trivy_places:
        if current := kept.fresh(trivy_places.slot(place), trivy_places.file(place)):
            had.append(current)
            if kept.new_enough(current, env.gates.max_database_age_days):
                return _identity(current)
        elif not kept.out_of_reach(trivy_places.slot(place), trivy_places.file(place)):
            return None
    try:
        had += [one for _, one in _copies(env, had)]
    except Stop:
        return None
    return _identity(max(had, key=lambda one: one.date)) if had else ""


def _copies(env: Environment, known: list[Kept]) -> list[tuple[str, Kept]]:
    """What is kept of the environment's places beside `known`."""
    found = []
    for place in env.gates.trivy_places:
        try:
            current = kept.read(trivy_places.slot(place))
        except ValueError as error:
            again = f"./inv scan.update --env {env.name}"
            raise Stop(f"Trivy's database: {error}", Code.COULD_NOT_RUN, again) from error
        if current and all(one.place != place for one in known):
            found.append((place, current))
    return found


def _identity(current: Kept) -> str:
    return f"trivy {current.digest}"


def _built(place: str, current: Kept, source: str) -> Built:
    about = Database(source=source, date=current.date, digest=current.digest, entries=current.entries)
    return Built((trivy_places.slot(place) / current.file).parents[1], about, {}, current.holds, current.systems)


@trace.aside()
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
