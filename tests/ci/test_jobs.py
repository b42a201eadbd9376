"""The jobs themselves: gitlab-ci-local runs them in a clone, with the real gates and the real engine of the lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.lib import parity, record
from tasks.lib.gates import GATES, gitlab
from tests.ci.conftest import Clone
from tests.gates.test_gitlab import validate

SCANS = ("scan:secrets", "scan:deps", "scan:config", "scan:code")
JOBS = ("lint", *SCANS, "scan:gate", "build", "scan:image", "gate", "record")
# The files that pip leaves of a package; the sources name it nowhere else, so only the gate of the image can see it.
PLANTED = """
RUN mkdir /opt/planted-1.11.0.dist-info && \\
    printf 'Metadata-Version: 2.1\\nName: Django\\nVersion: 1.11.0\\n' >/opt/planted-1.11.0.dist-info/METADATA
"""


@pytest.mark.lab
@pytest.mark.beside
@pytest.mark.slow
def test_lint_scans_build_and_record_really_run_and_hand_on_what_they_made(clone: Clone, tmp_path: Path) -> None:
    typed, traced = tmp_path / "typed.jsonl", tmp_path / "ran.jsonl"
    assert clone.by_hand("./inv lab.up").returncode == 0  # whoever comes first brings it up: not what is compared
    by_hand = clone.by_hand("./inv -e image.build --env local scan.image --env local", SLIPWAY_TRACE=str(typed))
    assert by_hand.returncode == 0, by_hand.stderr
    ran = clone.pipeline(*JOBS, SLIPWAY_TRACE=str(traced))
    assert ran.codes == dict.fromkeys(JOBS, 0), ran.log[-8000:]
    reports = clone.made / "reports"
    assert {file.name for file in reports.glob("gl-*.json")} >= set(gitlab.NAMES.values())
    for gate in GATES:
        assert json.loads((reports / f"{gate}.json").read_text())["commit"] == clone.sha
        validate(gate, json.loads((reports / gitlab.NAMES[gate]).read_text()))
    written = record.load(clone.made / record.FILE)
    assert written is not None
    assert written.predicate.commit == clone.sha
    assert written.predicate.pipeline["job"] == "record"
    assert [(gate.name, gate.outcome) for gate in written.predicate.gates] == [(gate, "pass") for gate in GATES]
    assert (clone.made / "image.tar").stat().st_size > 10_000_000
    # The same commit is the same image on every machine, by the same calls.
    of_pipeline = [run for run in parity.load(traced) if run.task in ("image.build", "scan.image")]
    assert parity.compare(parity.load(typed), of_pipeline) == []
    assert f"{clone.sha}/built.json" in of_pipeline[0].outputs
    assert f"{clone.sha}/sbom.cdx.json" in of_pipeline[1].outputs


@pytest.mark.lab
@pytest.mark.beside
@pytest.mark.slow
def test_a_vulnerable_package_in_the_image_stops_the_pipeline_and_its_report_survives(clone: Clone) -> None:
    dockerfile = clone.folder / "service" / "Dockerfile"
    head, user, tail = dockerfile.read_text().rpartition("\nUSER ")
    dockerfile.write_text(f"{head}{PLANTED}{user}{tail}")
    clone.commit("Plant a package", {})
    ran = clone.pipeline(*JOBS[1:], "push")
    done = dict.fromkeys((*SCANS, "scan:gate", "build", "scan:image"), 0)
    assert ran.codes == {**done, "gate": 3}, ran.log[-8000:]
    report = json.loads((clone.made / "reports" / gitlab.NAMES["image"]).read_text())
    validate("image", report)
    assert "Django" in {one["location"]["dependency"]["package"]["name"] for one in report["vulnerabilities"]}
    assert (clone.made / "sbom.cdx.json").exists()
    assert not (clone.made / record.FILE).exists()
