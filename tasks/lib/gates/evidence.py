"""What a gate reported before, answered again while nothing that could change the report has changed.

Evidence is kept in the user's cache beside the scanners themselves, not in the checkout, where any job or test of the
repository could write it. The verdict is never kept: policy and waivers are read anew each time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

from invoke.context import Context
from pydantic import ValidationError

from tasks.lib import paths, tools, trace
from tasks.lib.errors import Stop
from tasks.lib.gates import code_gate, commit_range, databases, store
from tasks.lib.gates.models import FORMAT, Model, Outcome, Report
from tasks.lib.settings import Environment
from tasks.lib.tools import pins

LONGEST = timedelta(hours=24)  # what a secret's own service says of it may change without any of the inputs
DATABASE = "database"
ONE_AT_A_TIME = threading.Lock()


class Evidence(Model):
    """A report with everything that decided it, and a digest over both."""

    inputs: dict[str, str]
    report: Report
    digest: str = ""

    def digest_now(self) -> str:
        """The digest that this evidence should have."""
        body = [self.inputs, self.report.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def folder() -> Path:
    """Where evidence is kept."""
    return paths.cache() / "evidence"


def inputs(c: Context, env: Environment, gate: str, sha: str, programs: Sequence[str]) -> dict[str, str]:
    """Everything that decides the report of a gate, by name; {} when something of it is missing.

    `programs`: the scanners of the gate. The database is '' where it takes a scan to know it.
    """
    try:
        database = databases.settle(env, gate)
        found = {"format": str(FORMAT), "gate": gate, "commit": sha, "python": sys.version, DATABASE: database}
        found |= {f"program {name}": _program(c, name) for name in programs}
        git = shutil.which("git")
        found |= {"git": _state(Path(git)) if git else "", "code": _own_code()}
        if gate == "secrets":
            span = commit_range.choose(c, sha)
            found |= {"base": span.base, "base from": span.base_from}
    except (Stop, OSError):
        return {}  # the gate itself says what is wrong
    return found


def find(wanted: Mapping[str, str]) -> Report | None:
    """The report that was made of exactly these inputs, if there is one that can be trusted."""
    if not wanted or trace.on():  # a trace compares what machines do, not what they did before
        return None
    try:
        kept = Evidence.model_validate_json(_file(wanted).read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError):
        return None
    report = kept.report
    if kept.inputs != dict(wanted) or kept.digest != kept.digest_now():
        return None
    if (report.gate, report.commit) != (wanted["gate"], wanted["commit"]) or not _conclusive(report):
        return None
    age = datetime.now(timezone.utc) - report.started
    return report if timedelta(0) <= age <= LONGEST else None


def keep(before: Mapping[str, str], report: Report, database: str) -> None:
    """Keeps a report for the next time. `database`: its identity after the scan, which may have fetched a new one."""
    if not before or not database:
        return
    if report.database and report.database.digest not in database:
        return
    evidence = Evidence(inputs={**before, DATABASE: database}, report=report)
    evidence.digest = evidence.digest_now()
    store.write_text(_file(evidence.inputs), evidence.model_dump_json() + "\n")
    _sweep()


def _conclusive(report: Report) -> bool:
    looked = bool(report.canary.planted) and not report.canary.missed and report.ended is not None
    return looked and report.outcome in (Outcome.PASS, Outcome.FINDINGS) and not report.reason


def _file(wanted: Mapping[str, str]) -> Path:
    name = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return folder() / f"{name}.json"


def _sweep() -> None:
    """Removes what is too old to answer from."""
    oldest = (datetime.now(timezone.utc) - LONGEST).timestamp()
    for path in folder().glob("*.json"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            continue  # another scan was faster


def _program(c: Context, name: str) -> str:
    row = pins.pin(name)
    return f"{_state(tools.path(c, name))} {pins.digest(row)}"


def _state(path: Path) -> str:
    """Changes whenever the file does: ctime cannot be set, and reading 200 MB takes longer than a gate may answer."""
    real = path.resolve()
    state = real.stat()
    return f"{path} {real} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def _own_code() -> str:
    """Digest of our own code and of the configuration that it gives to the scanners."""
    with ONE_AT_A_TIME:  # the gates ask at the same moment, and the first answer is everybody's
        return _read_own_code()


@lru_cache(maxsize=1)
def _read_own_code() -> str:
    found = hashlib.sha256()
    for path in [*sorted((paths.ROOT / "tasks/lib").rglob("*.py")), paths.ROOT / code_gate.CONFIG, pins.file()]:
        found.update(f"{path.relative_to(paths.ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()
