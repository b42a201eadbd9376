"""Reports on disk: .slipway/releases/<sha>/reports/<gate>.json, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from tasks.lib import paths
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.models import Report


def folder(sha: str) -> Path:
    """Where the reports of a commit are."""
    return paths.release(sha) / "reports"


def write_text(dest: Path, text: str) -> None:
    """Writes a file that readers see complete or not at all. Raises Stop (4) when the disc does not take it."""
    scratch = ""
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=dest.parent, prefix=f".{dest.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(dest)
    except OSError as error:
        if scratch:
            Path(scratch).unlink(missing_ok=True)
        raise Stop(
            f"write {dest.name}: {error.strerror or error}", Code.COULD_NOT_RUN, f"df -h {dest.parent}"
        ) from error


def write(report: Report) -> Path:
    """Keeps a report where the verdict and the release record look for it."""
    dest = folder(report.commit) / f"{report.gate}.json"
    write_text(dest, report.model_dump_json(indent=2, exclude_defaults=False) + "\n")
    return dest


def discard(sha: str, gate: str) -> None:
    """Removes the last report of a gate, so that a run that dies cannot leave an older pass behind."""
    (folder(sha) / f"{gate}.json").unlink(missing_ok=True)


def read(sha: str, gate: str) -> Report:
    """The report of a gate. Raises Stop (4) when it is missing, damaged, or speaks of another commit or gate."""
    path = folder(sha) / f"{gate}.json"
    again = f"./inv scan.{gate}"
    try:
        report = Report.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Stop(f"no report of {gate} for commit {sha[:8]}: it was not scanned", Code.COULD_NOT_RUN, again) from None
    except (ValidationError, ValueError, OSError) as error:
        first = str(error).splitlines()[0]
        raise Stop(
            f"the report of {gate} for commit {sha[:8]} cannot be read: {first}", Code.COULD_NOT_RUN, again
        ) from error
    if report.commit != sha or report.gate != gate:
        found = f"{report.gate} of commit {report.commit[:8]}"
        raise Stop(f"the report {path.name} of commit {sha[:8]} is of {found}", Code.COULD_NOT_RUN, again)
    return report
