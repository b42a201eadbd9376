"""Downloads in the user's cache: one slot per place they come from, replaced whole or not at all.

A slot holds generations, `current.json` that names the one in use, `failure.json` after a failed attempt, and what has
arrived of a download. A reader follows `current.json`; it is replaced last, by a rename, so a process that dies at any
moment leaves the old state or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.lib import locks, paths
from tasks.lib.errors import Stop
from tasks.lib.gates import download, store

FRESH = timedelta(hours=6)
RETRY = timedelta(minutes=15)  # a place that failed is not asked again before
IN_USE = timedelta(hours=1)  # no scan takes longer, so an older generation has no readers left
TOLERANCE = timedelta(days=1)  # between clocks; what is dated later would count as new for ever
SHRUNK = 0.5  # of the entries before: less is a broken source, not a good day


class Kept(BaseModel):
    """What is known of the generation in use."""

    model_config = ConfigDict(extra="forbid")

    place: str
    file: str = Field(description="the database, below the slot")
    digest: str = Field(description="of that file")
    size: int = Field(description="bytes of that file")
    mark: int = Field(0, description="its mtime in ns; while it stands, the digest need not be computed again")
    date: datetime = Field(description="UTC, of the newest entry")
    entries: int
    holds: dict[str, int] = Field(description="packages by ecosystem or operating system")
    systems: list[str] = Field([], description="operating systems with their versions, such as debian 12")
    unrated: int = Field(0, description="entries without any rating")
    fetched: datetime = Field(description="UTC, when the place last said that this is its state")
    validator: str = Field("", description="ETag or Last-Modified of a URL, size and mtime of a file")


class Failure(BaseModel):
    """The last attempt, where it failed."""

    model_config = ConfigDict(extra="forbid")

    when: datetime
    why: str


# (slot, what is kept) -> a folder in the slot and what it holds, or None when the place still has what is kept.
Fetch = Callable[[Path, "Kept | None"], "tuple[Path, Kept] | None"]


def now() -> datetime:
    return datetime.now(timezone.utc)


def slot(kind: str, place: str) -> Path:
    """The folder of one place; its name can be read by people and is the place's own."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", place.rpartition("://")[2])[-60:].strip("-.")
    return paths.cache() / "databases" / kind / f"{readable}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return f"sha256:{found.hexdigest()}"


def read(home: Path) -> Kept | None:
    """What a slot holds; None when nothing. Raises ValueError when it is not what was put there."""
    try:
        kept = Kept.model_validate_json((home / "current.json").read_text(encoding="utf-8"))
        state = (home / kept.file).stat()
    except FileNotFoundError as error:
        if Path(error.filename).name == "current.json":
            return None
        raise ValueError(f"the kept copy of {place_of(home)} is gone") from None
    except (OSError, ValidationError) as error:
        raise ValueError(f"{home.name}/current.json cannot be read") from error
    if state.st_size == kept.size and state.st_mtime_ns == kept.mark:
        return kept
    if state.st_size != kept.size or sha256(home / kept.file) != kept.digest:
        raise ValueError(f"the kept copy of {kept.place} is damaged: {state.st_size} bytes of {kept.size}")
    return kept


def place_of(home: Path) -> str:
    return home.name.rpartition("-")[0]


def fresh(home: Path, place: str) -> Kept | None:
    """What a slot holds where the place need not be asked: looked at a short while ago, or a file that is the same."""
    try:
        kept = read(home)
        if kept and (local := download.local(place)):
            return kept if kept.validator == download.mark(local) else None
    except (OSError, ValueError):
        return None
    return kept if kept and timedelta(0) <= now() - kept.fetched < FRESH else None


def failure(home: Path) -> str:
    """Why the place could not be had a short while ago; '' when it may be asked."""
    try:
        last = Failure.model_validate_json((home / "failure.json").read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return ""
    age = now() - last.when
    if not timedelta(0) <= age < RETRY:
        return ""
    minutes = int(age.total_seconds() // 60)
    return f"{last.why} ({minutes} min ago)" if minutes else last.why


def out_of_reach(home: Path, place: str) -> bool:
    """Whether asking the place is known to be in vain: a file that is not there, a failure a short while ago."""
    path = download.local(place)
    return not path.exists() if path else bool(failure(home))


def new_enough(kept: Kept, days: int) -> bool:
    """Whether its newest entry is at most so many days old."""
    return (now() - kept.date).days <= days


def obtain(home: Path, place: str, fetch: Fetch, always: bool = False) -> Kept:
    """The state of a place, asked where it is not fresh (always: in any case); what it sends is checked first.

    Raises OSError or ValueError with the cause, and then the slot is as before.
    """
    if not always:
        if found := fresh(home, place):
            return found
        if not download.local(place) and (why := failure(home)):
            raise OSError(why)
    with locks.exclusive(home / "lock", f"the download of {place}"):
        if not always and (found := fresh(home, place)):
            return found
        try:
            kept = _obtain(home, place, fetch)
        except (OSError, ValueError, Stop) as error:
            last = Failure(when=now(), why=download.short(error))
            with contextlib.suppress(Stop):  # a full disc is no reason not to use what is kept
                store.write_text(home / "failure.json", last.model_dump_json())
            raise OSError(last.why) from error
        (home / "failure.json").unlink(missing_ok=True)
        return kept


def _obtain(home: Path, place: str, fetch: Fetch) -> Kept:
    try:
        before = read(home)
    except ValueError:
        before = None
    _sweep(home, before)
    try:
        made = fetch(home, before)
        if before and (made is None or (made[1].digest, made[1].date) == (before.digest, before.date)):
            after = before.model_copy(update={"fetched": now(), "mark": (home / before.file).stat().st_mtime_ns})
            after.validator = made[1].validator if made else before.validator
        elif made is None:
            raise ValueError("it says that nothing changed, and nothing is kept")
        else:
            after = _publish(home, made[0], made[1], before)
    finally:
        _sweep(home, before)
    store.write_text(home / "current.json", after.model_dump_json(indent=2) + "\n")
    return after


def _publish(home: Path, made: Path, about: Kept, before: Kept | None) -> Kept:
    """Moves a checked folder to its name in the slot; nobody reads it before current.json names it."""
    if about.date > now() + TOLERANCE:
        raise ValueError(f"it is dated in the future, {about.date.date()}")
    if before and about.date < before.date:
        raise ValueError(
            f"it is of {about.date:%Y-%m-%d %H:%M}, older than the kept one of {before.date:%Y-%m-%d %H:%M}"
        )
    if before and about.entries < before.entries * SHRUNK:
        raise ValueError(f"it has {about.entries} entries and the kept one {before.entries}")
    generation = f"{about.digest.removeprefix('sha256:')[:16]}-{time.time_ns()}"
    with (made / about.file).open("rb") as stream:
        os.fsync(stream.fileno())
    os.utime(made)  # a long download must not look like a generation of long ago
    made.replace(home / generation)
    file = home / generation / about.file
    if before:
        os.utime(home / before.file.partition("/")[0])  # from now on it waits for its last readers
    return about.model_copy(update={"file": f"{generation}/{about.file}", "mark": file.stat().st_mtime_ns})


def _sweep(home: Path, current: Kept | None) -> None:
    """Removes what dead processes left and generations that nobody can be reading. The caller holds the lock."""
    used = current.file.partition("/")[0] if current else ""
    for folder in (entry for entry in home.iterdir() if entry.is_dir() and entry.name != used):
        # A generation keeps the time at which it was replaced; a new one has that of now.
        if folder.name.startswith(".") or time.time() - folder.stat().st_mtime > IN_USE.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)
