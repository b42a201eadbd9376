"""The reports of a verdict, written beside those of its gates, whatever it says."""

from __future__ import annotations

import json
from pathlib import Path

from tasks.lib.gates import gitlab, junit, page, sarif, store
from tasks.lib.gates.models import Verdict

DATA, JUNIT, SARIF, PAGE = "verdict.json", "verdict.junit.xml", "verdict.sarif", "summary.html"


def write(verdict: Verdict) -> Path:
    """Writes a verdict as data, JUnit, SARIF and HTML; returns the HTML page. Raises Stop (4) when the disc does not.

    The last verdict over a commit is the one that stays: each names its environment.
    """
    folder = store.folder(verdict.commit)
    gates = [name for gate in verdict.gates for name in (f"{gate.gate}.json", gitlab.NAMES[gate.gate])]
    beside = [DATA, JUNIT, SARIF, *(name for name in gates if (folder / name).is_file())]
    store.write_text(folder / DATA, verdict.model_dump_json(indent=2) + "\n")
    store.write_text(folder / JUNIT, junit.of_verdict(verdict) + "\n")
    store.write_text(folder / SARIF, json.dumps(sarif.of_verdict(verdict), indent=2) + "\n")
    store.write_text(folder / PAGE, page.of_verdict(verdict, beside))
    return folder / PAGE
