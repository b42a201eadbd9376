"""Where advisories come from: the first place that has them new enough, a kept copy, or the shipped snapshot."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from tasks.lib import paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import advisories, download, kept
from tasks.lib.gates.kept import Kept
from tasks.lib.settings import Environment, Severity

SNAPSHOT = paths.ROOT / "tools/advisories/pypi-advisories-2024-10.zip"
DOWNLOAD_SECONDS = 120.0  # while a scan waits for it; scan.update has more patience
FILE = "advisories.zip"


@dataclass(frozen=True)
class Source:
    """A zip of OSV files on this machine. kept: what is known of it without reading it; None for the snapshot."""

    path: Path
    name: str
    digest: str
    snapshot: bool
    note: str = ""
    kept: Kept | None = None


def slot(place: str) -> Path:
    """Where the advisories of a place are kept."""
    return kept.slot("osv", place)


def find(env: Environment, always: bool = False, seconds: float = DOWNLOAD_SECONDS) -> Source:
    """The best advisories that can be had: the first place whose are new enough for this environment, else the newest
    that its places or kept copies of them have, else the shipped snapshot. Raises Stop (4) when there is nothing.

    always: ask the places in any case. seconds: the longest that one download may take.
    """
    had: list[Source] = []
    refused: list[str] = []
    for place in env.gates.advisory_places:
        try:
            found = refresh(place, always, seconds)
        except OSError as error:
            refused.append(f"{place}: {error}")
            continue
        had.append(_source(place, found, place))
        if kept.new_enough(found, env.gates.max_database_age_days):
            return had[-1]
    return _second_choice(env, had, "; ".join(refused))


def settled(env: Environment) -> Source | None:
    """What `find` would return, where that is known without asking any place; else None."""
    had: list[Source] = []
    for place in env.gates.advisory_places:
        if current := kept.fresh(slot(place), _zip(place)):
            had.append(_source(place, current, place))
            if kept.new_enough(current, env.gates.max_database_age_days):
                return had[-1]
        elif not kept.out_of_reach(slot(place), _zip(place)):
            return None
    try:
        return _second_choice(env, had, "")
    except Stop:
        return None


def refresh(place: str, always: bool = False, seconds: float = DOWNLOAD_SECONDS) -> Kept:
    """The advisories of a place, asked for where the kept ones are not fresh. Raises OSError with the cause.

    always: ask in any case. seconds: the longest that the download may take.
    """

    def fetch(home: Path, before: Kept | None) -> tuple[Path, Kept] | None:
        arrived = download.fetch(_zip(place), home, seconds, before.validator if before else "")
        if arrived is None:
            return None
        try:
            found, newest = advisories.read(arrived.path, "the zip")
        except Stop:
            download.forget(home)
            raise
        about = Kept(
            place=place,
            file=FILE,
            digest=kept.sha256(arrived.path),
            size=arrived.path.stat().st_size,
            date=newest,
            entries=len(found),
            holds={"pip": len({one.package for one in found})},
            unrated=sum(one.severity is Severity.UNKNOWN for one in found),
            fetched=kept.now(),
            validator=arrived.validator,
        )
        made = Path(tempfile.mkdtemp(dir=home, prefix=".made."))
        arrived.path.replace(made / FILE)
        download.forget(home)
        return made, about

    return kept.obtain(slot(place), _zip(place), fetch, always)


def _zip(place: str) -> str:
    """A folder stands for the zip in it, under the name that OSV gives it."""
    path = download.local(place)
    return str(path / "all.zip") if path and path.is_dir() else place


def _source(place: str, about: Kept, name: str) -> Source:
    return Source(slot(place) / about.file, name, about.digest, snapshot=False, kept=about)


def _second_choice(env: Environment, had: list[Source], note: str) -> Source:
    asked = {source.name for source in had}
    for place in env.gates.advisory_places:
        try:
            current = kept.read(slot(place))
        except ValueError as error:
            note = "; ".join(filter(None, (note, str(error))))
            continue
        if current and place not in asked:
            had.append(_source(place, current, f"{place} (kept copy)"))
    dated = [(source.kept.date, source) for source in had if source.kept]
    if dated:
        return replace(max(dated, key=itemgetter(0))[1], note=note)
    if not SNAPSHOT.is_file():
        raise Stop(f"no advisories: {note}; and {SNAPSHOT.name} is missing", Code.COULD_NOT_RUN)
    return Source(SNAPSHOT, f"shipped snapshot {SNAPSHOT.stem}", kept.sha256(SNAPSHOT), snapshot=True, note=note)
