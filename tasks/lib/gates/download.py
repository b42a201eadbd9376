"""Fetches one file from a URL or a path, going on where an earlier attempt ended."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tasks.lib.errors import Stop

if TYPE_CHECKING:
    from requests import Response

CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
ATTEMPTS = 3
BUSY = (429, 500, 502, 503, 504)
BLOCK = 1 << 16


@dataclass(frozen=True)
class Arrived:
    """A complete file, and by what its place tells it from a later one."""

    path: Path
    validator: str


class Interrupted(OSError):
    """It began and broke off, so another attempt can go on."""


def local(place: str) -> Path | None:
    """The file or folder that a file:// URL or an absolute path names; None for everything else."""
    if place.startswith("/"):
        return Path(place)
    parts = urlsplit(place)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def mark(path: Path) -> str:
    """Changes when the file is written. Raises OSError when it is not there."""
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns}"


def short(error: Exception) -> str:
    """The cause of a failed download or read, in one line."""
    import requests

    if isinstance(error, Stop):
        return error.sentence.splitlines()[0]
    if isinstance(error, requests.ConnectionError):
        return "not reachable"
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_SECONDS:g} s"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}".strip()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


def fetch(place: str, folder: Path, seconds: float, known: str = "") -> Arrived | None:
    """The file of a place, whole, as `folder`/partial; None when the place still has the one of validator `known`.

    What arrives before it breaks off stays there, and the next call asks only for the rest (HTTP Range with If-Range).
    Raises OSError with the cause; `seconds` is the longest that it may take.
    """
    if path := local(place):
        told = mark(path)
        if told == known:
            return None
        shutil.copyfile(path, folder / "partial")
        return Arrived(folder / "partial", told)
    return _attempts(place, folder, time.monotonic() + seconds, known)


def forget(folder: Path) -> None:
    """Drops what has arrived: it was no good, so there is nothing to go on from."""
    (folder / "partial.json").unlink(missing_ok=True)
    (folder / "partial").unlink(missing_ok=True)


def _attempts(url: str, folder: Path, deadline: float, known: str) -> Arrived | None:
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

    again = retry(
        retry=retry_if_exception_type(Interrupted),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(0.5, max=4),
        reraise=True,
    )
    found: Arrived | None = again(_once)(url, folder, deadline, known)
    return found


def _once(url: str, folder: Path, deadline: float, known: str) -> Arrived | None:
    import requests

    kept = _begun(url, folder)
    # One byte less than there is: a server refuses to send nothing, and a complete file still has to be confirmed.
    start = max(0, (folder / "partial").stat().st_size - 1) if kept else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": kept}
    elif known:
        headers |= {"If-Modified-Since" if known.endswith("GMT") else "If-None-Match": known}
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
        if answer.status_code == 304:
            return None
        if answer.status_code in BUSY:
            raise Interrupted(f"the server answered {answer.status_code}")
        if answer.status_code == 416:
            forget(folder)
            raise Interrupted("the server has less than had arrived")
        answer.raise_for_status()
        if answer.status_code != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0
        return _receive(answer, url, folder, start, deadline)


def _begun(url: str, folder: Path) -> str:
    """The validator of what has arrived of this URL; '' when there is nothing to go on from."""
    try:
        noted: dict[str, Any] = json.loads((folder / "partial.json").read_text(encoding="utf-8"))
        whole = noted["url"] == url and (folder / "partial").is_file()
        return str(noted["validator"]) if whole else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _receive(answer: Response, url: str, folder: Path, start: int, deadline: float) -> Arrived:
    import requests

    etag = answer.headers.get("ETag", "")
    validator = etag or answer.headers.get("Last-Modified", "")
    if not start:
        forget(folder)
        (folder / "partial").touch()
        if validator and not etag.startswith("W/"):  # a weak one does not promise the same bytes
            (folder / "partial.json").write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")
    with (folder / "partial").open("r+b") as out:
        out.truncate(start)
        out.seek(start)
        try:
            for block in answer.iter_content(BLOCK):
                out.write(block)
                if time.monotonic() > deadline:
                    raise OSError(f"too slow; {out.tell()} bytes have arrived and the next attempt goes on from there")
        except requests.RequestException as error:
            raise Interrupted(f"it broke off after {out.tell()} bytes") from error
    return Arrived(folder / "partial", validator)
