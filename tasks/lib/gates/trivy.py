"""How Trivy is run by the gates: the same switches each time, nothing of the machine's own settings, JSON out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.gates import running
from tasks.lib.runner import run

SWITCHES = ["--format", "json", "--skip-version-check", "--disable-telemetry", "--exit-code", "0"]
SECONDS = 600.0
EMBEDDED = "Falling back to embedded checks"  # what --skip-check-update asks for


def version(answer: dict[str, Any]) -> str:
    """The version of the Trivy that gave this answer."""
    return str(answer.get("Trivy", {}).get("Version", "unknown"))


def ask(c: Context, program: Path, words: list[str | Path], scratch: Path, step: str) -> dict[str, Any]:
    """Runs Trivy in `scratch` and returns its JSON. Raises Stop (4) when it fails or its answer is no report.

    Ignore files and settings of a working folder and TRIVY_* variables were not reviewed, so they do not count.
    """
    nothing = scratch / "nothing"
    nothing.touch()
    out = scratch / f"{words[0]}-{abs(hash(tuple(map(str, words))))}.json"
    line: list[str | Path] = [*clean(), program, *words, *SWITCHES, "--ignorefile", nothing, "--output", out]
    result = run(c, line, step=step, timeout=SECONDS, cwd=scratch, env=running.FEWER_COLLECTIONS)
    for log in result.stderr.splitlines():
        if ("\tFATAL\t" in log or "\tERROR\t" in log) and EMBEDDED not in log:
            raise Stop(f"{step}: Trivy reported {log.split(chr(9), 2)[-1][:200]}", Code.COULD_NOT_RUN)
    answer = json.loads(out.read_text(encoding="utf-8"))
    if not isinstance(answer, dict) or answer.get("SchemaVersion") != 2:
        raise Stop(f"{step}: Trivy's answer is not a report of schema 2", Code.COULD_NOT_RUN)
    return answer


def shown(words: list[str | Path], scratch: Path) -> str:
    """The command for a report."""
    return running.shown(["trivy", *words, *SWITCHES], scratch)


def clean() -> list[str | Path]:
    """The start of a command line that hides TRIVY_* variables from Trivy."""
    found = sorted(name for name in os.environ if name.startswith("TRIVY_"))
    return ["env", *(word for name in found for word in ("-u", name))] if found else []
