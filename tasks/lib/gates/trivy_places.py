"""Fetches Trivy's vulnerability database from a registry, a URL or a folder, and looks at it before it is kept."""

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

from tasks.lib import tools, trace
from tasks.lib.gates import download, kept, trivy
from tasks.lib.gates.kept import Kept
from tasks.lib.runner import run

DOWNLOAD_SECONDS, LIST_SECONDS = 300.0, 120.0
PROBE_SECONDS = (3.0, 5.0)
MINIMUM = 1000  # vulnerabilities; an interrupted download leaves an empty file that Trivy takes for a clean bill
FILE = "db/trivy.db"
MEMBERS = ("trivy.db", "metadata.json")
NO_COVERAGE = ("data-source", "vulnerability", "Red Hat CPE", "trivy")  # buckets that name no ecosystem


def slot(place: str) -> Path:
    """Where the database of a place is kept."""
    return kept.slot("trivy-registry", place)


def refresh(
    c: Context, place: str, program: Path | None = None, always: bool = False, seconds: float = DOWNLOAD_SECONDS
) -> Kept:
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
        elif file(place) != place and (found := download.local(file(place))):
            validator = download.mark(found)
            for name in MEMBERS:
                shutil.copyfile(found.with_name(name), made / "db" / name)
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

    return kept.obtain(slot(place), file(place), fetch, always)


def _is_registry(place: str) -> bool:
    return not download.local(place) and not place.startswith(("http://", "https://"))


def file(place: str) -> str:
    """A folder stands for the database in it, as Trivy's own cache has it or beside its metadata."""
    path = download.local(place)
    if not path or not path.is_dir():
        return place
    return str(next((one for one in (path / FILE, path / "trivy.db") if one.is_file()), path / "trivy.db"))


@trace.aside()
def _pull(c: Context, program: Path | None, repository: str, made: Path, seconds: float) -> None:
    import requests

    host = repository.partition("/")[0]
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    try:
        requests.get(f"{scheme}://{host}/v2/", timeout=PROBE_SECONDS)
    except requests.RequestException as error:
        raise OSError(download.short(error)) from None
    words: list[str | Path] = [*trivy.clean(), program or tools.path(c, "trivy"), "image", "--download-db-only"]
    words += [
        "--db-repository",
        repository,
        "--cache-dir",
        made,
        "--no-progress",
        "--skip-version-check",
        "--disable-telemetry",
    ]
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


@trace.aside()
def _about(c: Context, place: str, made: Path, validator: str) -> Kept:
    """Looks at a database that arrived. Raises ValueError or Stop when Trivy would see nothing with it."""
    database = made / FILE
    try:
        metadata = json.loads((made / "db/metadata.json").read_text(encoding="utf-8"))
        date = datetime.fromisoformat(metadata["UpdatedAt"][:19] + "+00:00")
        schema = metadata["Version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its metadata.json cannot be read ({type(error).__name__})") from error
    if schema != 2:
        raise ValueError(f"it has schema {schema}, and Trivy reads 2")
    words = [tools.path(c, "trivydb"), "list", database.parent]
    listed = run(c, words, step="look into Trivy's database", timeout=LIST_SECONDS, quiet=True).stdout
    buckets: dict[str, int] = json.loads(listed)["buckets"]
    entries = buckets.get("vulnerability", 0)
    if entries < MINIMUM:
        raise ValueError(f"it has only {entries} vulnerabilities ({database.stat().st_size} bytes)")
    return Kept(
        place=place,
        file=FILE,
        digest=kept.sha256(database),
        size=database.stat().st_size,
        date=date,
        entries=entries,
        holds=holds(buckets),
        systems=sorted(name.lower() for name, count in buckets.items() if count and _is_system(name)),
        fetched=kept.now(),
        validator=validator,
    )


def _is_system(bucket: str) -> bool:
    return "::" not in bucket and bucket not in NO_COVERAGE


def holds(buckets: dict[str, int]) -> dict[str, int]:
    """Packages by ecosystem or operating system: 'pip::GitHub ...' is pip, 'debian 11' and 'debian 12' are debian."""
    found: dict[str, int] = {}
    for bucket, packages in sorted(buckets.items()):
        name = re.sub(r" [\d.]+(-.*)?$", "", bucket.partition("::")[0]).lower()
        if packages and bucket not in NO_COVERAGE:
            found[name] = found.get(name, 0) + packages
    return found
