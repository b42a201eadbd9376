"""The lab has one user at a time, except for those that keep to themselves; what damages it waits for all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.lib import paths, quality

# Named so that what damages would come first. THE_LAB: the mark itself would send this file to the lab's worker.
DAMAGES = """
from here import pytest, noted
pytestmark = [pytest.mark.THE_LAB, pytest.mark.alone]

@pytest.fixture(scope="module")
def damaged():
    yield
    noted("alone: cleans up", 0.3)

def test_one(damaged): noted("alone: one", 1.5)
def test_two(damaged): noted("alone: two", 0.3)
"""
USES = """
from here import pytest, noted
pytestmark = pytest.mark.THE_LAB

@pytest.mark.parametrize("number", range(5))
def test_uses(number): noted("uses", 0)
"""
BESIDE = """
from here import pytest, noted

@pytest.mark.THE_LAB
@pytest.mark.beside
def test_beside(): noted("beside", 1.5)

@pytest.mark.parametrize("number", range(2))
def test_of_none(number): noted("none", 0)

@pytest.mark.THE_LAB
@pytest.mark.beside
def test_beside_later(): noted("beside", 0.1)
"""
HERE = """
import json, os, pytest, time
from tasks.lib import lab, quality

lab.find = lambda: "a lab"
lab.down = lambda c: noted("down", 0)

def noted(what, seconds):
    began = time.monotonic()
    time.sleep(seconds)
    who = os.environ.get("PYTEST_XDIST_WORKER", "the run")
    what = what + " with the order to take the lab down" if quality.LAB_DOWN_AFTER in os.environ else what
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps([what, who, began, time.monotonic()]) + "\\n")
"""


PYTEST = (sys.executable, "-m", "pytest")


class Note(NamedTuple):
    what: str
    worker: str
    began: float
    ended: float


@pytest.fixture
def notes(tmp_path: Path) -> list[Note]:
    """What the tests of a small repository noted, which has this one's conftest and settings and two workers."""
    tests = tmp_path / "tests"
    tests.mkdir()
    for name, text in (("a_damages", DAMAGES), ("b_uses", USES), ("c_beside", BESIDE)):
        (tests / f"test_{name}.py").write_text(text.replace("THE_LAB", "lab"))
    (tests / "here.py").write_text(HERE)
    shutil.copy(paths.ROOT / "pyproject.toml", tmp_path)
    shutil.copy(paths.ROOT / "tests" / "conftest.py", tests)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    env |= {"PYTHONPATH": f"{paths.ROOT}:{tests}", "NOTES": str(tmp_path / "notes"), quality.LAB_DOWN_AFTER: "1"}
    line = [*PYTEST, "--numprocesses=2", "--dist=loadscope", "-p", "no:cacheprovider", "-p", "here"]
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert " 11 passed in " in done.stdout, done.stdout
    return [Note(*json.loads(row)) for row in (tmp_path / "notes").read_text().splitlines()]


@pytest.mark.slow
def test_who_damages_the_lab_is_alone_with_it_until_it_has_cleaned_up(notes: list[Note]) -> None:
    alone = [note for note in notes if note.what.startswith("alone")]
    beside = [note for note in notes if note.what == "beside"]
    uses = [note for note in notes if note.what == "uses"]
    assert {note.worker for note in alone} == {note.worker for note in uses}
    assert {note.worker for note in beside} - {note.worker for note in uses}, "those beside wait for the others"
    assert min(note.began for note in alone) >= max(note.ended for note in uses), "what damages comes last"
    first, last = min(note.began for note in alone), max(note.ended for note in alone)
    assert len(beside) == 2
    assert [note for note in beside if note.began < last and note.ended > first] == []


@pytest.mark.slow
def test_the_run_takes_the_lab_down_once_after_the_last_test_and_no_test_inherits_that(notes: list[Note]) -> None:
    assert [note.worker for note in notes if note.what == "down"] == ["the run"]
    assert notes[-1].what == "down"
    assert [note.what for note in notes if "order" in note.what] == []
