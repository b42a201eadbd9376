"""Where advisories come from: the first source that can be reached, an earlier download, or the shipped snapshot."""

from __future__ import annotations

import hashlib
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.lib import locks, paths
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment

SNAPSHOT = paths.ROOT / "tools/advisories/pypi-advisories-2024-10.zip"
FRESH_HOURS = 6.0
CONNECT_SECONDS, READ_SECONDS, DOWNLOAD_SECONDS = 3.0, 10.0, 120.0
MINIMUM = 1000  # advisories; PyPI has had more since 2022, so fewer means a broken source


@dataclass(frozen=True)
class Source:
    """A zip of OSV files on this machine."""

    path: Path
    name: str
    digest: str
    snapshot: bool
    note: str = ""


def find(env: Environment) -> Source:
    """The best advisories that can be had: the first reachable source, an earlier download of one, the snapshot."""
    refused = []
    for url in env.gates.advisories:
        try:
            return _from(url)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            refused.append(f"{url}: {short(error)}")
    note = "; ".join(refused)
    kept = sorted(_folder().glob("*.zip"), key=lambda path: path.stat().st_mtime)
    for path in reversed(kept):
        return Source(path, f"{path.stem} (kept copy)", _digest(path), snapshot=False, note=note)
    if not SNAPSHOT.is_file():
        raise Stop(f"no advisories: {note}; and {SNAPSHOT.name} is missing", Code.COULD_NOT_RUN)
    return Source(SNAPSHOT, f"shipped snapshot {SNAPSHOT.stem}", _digest(SNAPSHOT), snapshot=True, note=note)


def short(error: Exception) -> str:
    """The cause of a failed download or read, in one line."""
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
