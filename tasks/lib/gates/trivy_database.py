"""Trivy's vulnerability database: from a registry, URL or folder that can be reached, else made from advisories."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
import zlib
from datetime import datetime
from pathlib import Path

from invoke.context import Context

from tasks.lib import tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import databases, download, kept, store, trivy
from tasks.lib.gates.advisories import Advisory
from tasks.lib.gates.databases import Built
from tasks.lib.gates.kept import Kept
from tasks.lib.gates.models import Database
from tasks.lib.runner import run
from tasks.lib.settings import Environment

DOWNLOAD_SECONDS, LIST_SECONDS = 300.0, 120.0
PROBE_SECONDS = (3.0, 5.0)
MINIMUM = 1000  # vulnerabilities; an interrupted download leaves an empty file that Trivy takes for a clean bill
FILE = "db/trivy.db"
MEMBERS = ("trivy.db", "metadata.json")
NO_COVERAGE = ("data-source", "vulnerability", "Red Hat CPE", "trivy")  # buckets that name no ecosystem


def slot(place: str) -> Path:
    """Where the database of a place is kept."""
    return kept.slot("trivy-registry", place)


def find(c: Context, env: Environment, program: Path) -> Built:
    """The best database that can be had, in a folder for --cache-dir: the first place whose is new enough for this
    environment, else the newest that its places or kept copies of them have, else one made from the advisories.
    Raises Stop (4) when there is nothing, or when a kept copy is damaged and cannot be replaced."""
    had: list[tuple[Kept, Built]] = []
    refused: list[str] = []
    for place in env.gates.trivy_places:
        try:
            found = refresh(c, place, program)
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
        if current := kept.fresh(slot(place), _file(place)):
            had.append(current)
            if kept.new_enough(current, env.gates.max_database_age_days):
                return _identity(current)
        elif not kept.out_of_reach(slot(place), _file(place)):
            return None
    try:
        had += [one for _, one in _copies(env, had)]
    except Stop:
        return None
    return _identity(max(had, key=lambda one: one.date)) if had else ""


def refresh(c: Context, place: str, program: Path, always: bool = False, seconds: float = DOWNLOAD_SECONDS) -> Kept:
    """The database of a place, asked for where the kept one is not fresh. Raises OSError with the cause.

    place: `host/repository:tag` of a registry, or URL or path of a db.tar.gz as registries have it, or a folder with
    trivy.db and metadata.json. always: ask in any case. seconds: the longest that the download may take.
    """

    def fetch(home: Path, before: Kept | None) -> tuple[Path, Kept] | None:
        made = Path(tempfile.mkdtemp(dir=home, prefix=".made."))
        (made / "db").mkdir()
        validator = ""
        if _is_registry(place):
            _pull(c, program, place, made, seconds)
        elif _file(place) != place and (file := download.local(_file(place))):
            validator = download.mark(file)
            for name in MEMBERS:
                shutil.copyfile(file.with_name(name), made / "db" / name)
        else:
            arrived = download.fetch(place, home, seconds, before.validator if before else "")
            if arrived is None:
                return None
            validator = arrived.validator
            try:
                _unpack(arrived.path, made / "db")
            finally:
                download.forget(home)
        return made, _about(c, place, made, validator)

    return kept.obtain(slot(place), _file(place), fetch, always)


def _is_registry(place: str) -> bool:
    return not download.local(place) and not place.startswith(("http://", "https://"))


def _file(place: str) -> str:
    """A folder stands for the database in it, as Trivy's own cache has it or beside its metadata."""
    path = download.local(place)
    if not path or not path.is_dir():
        return place
    return str(next((file for file in (path / FILE, path / "trivy.db") if file.is_file()), path / "trivy.db"))


def _pull(c: Context, program: Path, repository: str, made: Path, seconds: float) -> None:
    import requests

    host = repository.partition("/")[0]
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    try:
        requests.get(f"{scheme}://{host}/v2/", timeout=PROBE_SECONDS)
    except requests.RequestException as error:
        raise OSError(download.short(error)) from None
    words: list[str | Path] = [*trivy.clean(), program, "image", "--download-db-only", "--db-repository", repository]
    words += ["--cache-dir", made, "--no-progress", "--skip-version-check", "--disable-telemetry"]
    run(c, words, step="fetch Trivy's database", timeout=seconds)


def _unpack(archive: Path, dest: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for name in MEMBERS:
                member = next(one for one in tar if one.isfile() and one.name.removeprefix("./") == name)
                content = tar.extractfile(member)
                with (dest / name).open("wb") as out:
                    shutil.copyfileobj(content, out)  # type: ignore[arg-type]  # a regular file has content
    except (tarfile.TarError, EOFError, zlib.error, StopIteration) as error:
        raise ValueError(f"it is not a db.tar.gz with {' and '.join(MEMBERS)}") from error


def _about(c: Context, place: str, made: Path, validator: str) -> Kept:
    """Looks at a database that arrived. Raises ValueError or Stop when Trivy would see nothing with it."""
    file = made / FILE
    try:
        metadata = json.loads((made / "db/metadata.json").read_text(encoding="utf-8"))
        date = datetime.fromisoformat(metadata["UpdatedAt"][:19] + "+00:00")
        schema = metadata["Version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its metadata.json cannot be read ({type(error).__name__})") from error
    if schema != 2:
        raise ValueError(f"it has schema {schema}, and Trivy reads 2")
    words = [tools.path(c, "trivydb"), "list", file.parent]
    listed = run(c, words, step="look into Trivy's database", timeout=LIST_SECONDS, quiet=True).stdout
    buckets: dict[str, int] = json.loads(listed)["buckets"]
    entries = buckets.get("vulnerability", 0)
    if entries < MINIMUM:
        raise ValueError(f"it has only {entries} vulnerabilities ({file.stat().st_size} bytes)")
    return Kept(
        place=place,
        file=FILE,
        digest=kept.sha256(file),
        size=file.stat().st_size,
        date=date,
        entries=entries,
        holds=holds(buckets),
        fetched=kept.now(),
        validator=validator,
    )


def holds(buckets: dict[str, int]) -> dict[str, int]:
    """Packages by ecosystem or operating system: 'pip::GitHub ...' is pip, 'debian 11' and 'debian 12' are debian."""
    found: dict[str, int] = {}
    for bucket, packages in sorted(buckets.items()):
        name = re.sub(r" [\d.]+(-.*)?$", "", bucket.partition("::")[0]).lower()
        if packages and bucket not in NO_COVERAGE:
            found[name] = found.get(name, 0) + packages
    return found


def _copies(env: Environment, known: list[Kept]) -> list[tuple[str, Kept]]:
    """What is kept of the environment's places beside `known`."""
    found = []
    for place in env.gates.trivy_places:
        try:
            current = kept.read(slot(place))
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
    return Built((slot(place) / current.file).parents[1], about, {}, current.holds)


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
