"""What a job does and what a person does who types its lines is the same; what would make it differ is seen."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import parity, paths
from tasks.lib.gates import SOURCE_GATES
from tests.ci.conftest import FILE, Clone

SCANS = [f"scan:{gate}" for gate in SOURCE_GATES]
Jobs = dict[str, dict[str, Any]]


def both(clone: Clone, jobs: Jobs, names: list[str], folder: Path) -> tuple[list[parity.Run], list[parity.Run], str]:
    """The traces of these jobs' lines, typed and run by a pipeline, and the pipeline's log."""
    typed, ran = folder / "typed.jsonl", folder / "ran.jsonl"
    lines = [line for name in names for line in jobs[name]["script"] if "tools.install" not in line]
    clone.by_hand("; ".join(lines), SLIPWAY_TRACE=str(typed))
    done = clone.pipeline(*names, SLIPWAY_TRACE=str(ran))
    assert set(done.codes) == set(names), done.log[-6000:]
    return parity.load(typed), parity.load(ran), done.log


@pytest.mark.slow
def test_a_job_does_what_its_lines_do(clone: Clone, jobs: Jobs, tmp_path: Path) -> None:
    typed, ran, log = both(clone, jobs, [*SCANS, "lint", "scan:gate"], tmp_path)
    assert parity.compare(typed, ran) == []
    assert parity.unaccounted(log, ran) == []
    made = {run.task: run for run in ran}
    assert set(made) == {"tools.install", "lint", "scan.gate", *(f"scan.{gate}" for gate in SOURCE_GATES)}
    for gate in SOURCE_GATES:
        run = made[f"scan.{gate}"]
        assert f"{clone.sha}/reports/{gate}.json" in run.outputs
        assert any(call["program"]["sha256"] and call["program"]["version"] for call in run.calls)
        assert (run.inputs["commit"], run.inputs["tree"], run.exit) == (clone.sha, "clean", 0)
    assert set(made["scan.deps"].databases) == {"deps"}
    assert made["scan.gate"].exit == 0, log[-3000:]  # the clean pipeline goes on


@pytest.mark.slow
def test_a_hidden_variable_and_a_raw_line_are_seen(clone: Clone, jobs: Jobs, tmp_path: Path) -> None:
    raw = "echo >>service/requirements.txt"
    text = FILE.read_text()
    hidden = "\nscan:deps:\n  variables: {SAFETY_STAGE: cicd}\n"
    line = "    - ./inv -e scan.config "
    bad = text.replace("\nscan:deps:\n", hidden).replace(line, f"    - {raw}\n{line}")
    assert bad.count(raw) == bad.count("SAFETY_STAGE") == 1
    (clone.folder / FILE.name).write_text(bad)
    clone.commit("Make the pipeline special", {})
    typed, ran, log = both(clone, jobs, ["scan:deps", "scan:config"], tmp_path)
    found = {(one.task, one.what): one for one in parity.compare(typed, ran)}
    assert found.keys() >= {("scan.deps", "input: variable SAFETY_STAGE"), ("scan.config", "input: tree")}
    assert found["scan.deps", "input: variable SAFETY_STAGE"].left == parity.ABSENT
    assert found["scan.config", "input: tree"].left == "clean"
    assert not [key for key in found if key[0] == "scan.deps" and key[1] != "input: variable SAFETY_STAGE"]
    assert parity.unaccounted(log, ran) == [raw]


@pytest.mark.slow
def test_the_lines_of_the_document_hold(clone: Clone) -> None:
    page = (paths.ROOT / "docs" / "parity.md").read_text()
    typed, compared = re.findall(r"^ *```sh\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    assert clone.by_hand(typed).returncode == 0
    shutil.copy(clone.folder / "mine.jsonl", clone.folder / "trace-scan-deps.jsonl")
    (clone.folder / "job.log").write_text("\x1b[32;1m$ ./inv -e scan.deps --env $SLIPWAY_ENV\x1b[0;m\n")
    done = clone.by_hand(compared)
    assert (done.returncode, done.stdout) == (0, "the same: scan.deps\n"), done.stderr
