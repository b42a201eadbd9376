"""What docs/gates.md shows is so: its lines run, its entry holds, its tables name what is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import docs, paths
from tasks.lib.gates import ignore_files, reports, store, waiver_rules, waivers, waiving
from tests.gates import reporting
from tests.gates.conftest import Repo

PAGE = (paths.ROOT / "docs/gates.md").read_text(encoding="utf-8")
LINES = list(dict.fromkeys(line.text for line in docs.lines("gates.md", PAGE)))
LISTS = [
    "./inv scan.waivers          # what is accepted, by whom, and how many days are left",
    "./inv scan.waivers --json",
]


@pytest.mark.parametrize("line", LISTS)
@pytest.mark.slow
def test_the_lists_run(line: str) -> None:
    assert line in LINES
    words = shlex.split(line, comments=True)
    done = subprocess.run(words, cwd=paths.ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def entry() -> waivers.Waiver:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (found,) = waivers.parse(text).waivers
    return found


def test_the_entry_holds() -> None:
    shown = entry()
    assert waiver_rules.faults([shown], {"local"}, shown.created) == []
    shipped = (paths.ROOT / waivers.FILE).read_text(encoding="utf-8")
    commented = "\n".join(line[2:] for line in shipped.splitlines() if line.startswith("#   ") or line == "# waivers:")
    (other,) = waivers.parse(commented).waivers
    assert waiver_rules.faults([other], {"local"}, other.created) == []


def test_the_line_without_a_terminal_writes_the_entry(c: Context, repo: Repo) -> None:
    (line,) = (line for line in LINES if "--yes" in line)
    words = shlex.split(line)
    given = {name[2:]: value for name, value in zip(words[2:-1:2], words[3:-1:2], strict=True)}
    sha = repo.commit({"a": "1"})
    found = reporting.finding("CVE-2024-22195", package="jinja2")
    for gate in ("deps", "image"):
        store.write(reporting.report(gate, found, commit=sha))
    made = waiving.waive(c, sha, waiving.Wish(**given), yes=True, repo=repo.path)
    shown = entry()
    days = {"created": made.created, "expires": made.created + timedelta(days=30), "ticket": None}
    assert made == shown.model_copy(update=days)


def test_the_names_of_files_are_right(c: Context) -> None:
    for name in (*ignore_files.BY_HAND[:2], ignore_files.TRIVY, ignore_files.SAFETY):
        assert f"{name}`" in PAGE
    for name in (reports.DATA, reports.JUNIT, reports.SARIF, reports.PAGE):
        assert f"| `{name}` |" in PAGE
    assert f"at most {waiver_rules.LONGEST_DAYS} days, {waivers.LONGEST_CRITICAL_DAYS} for a critical" in PAGE
    assert Path("docs/gates.md").name in (paths.ROOT / "README.md").read_text()
