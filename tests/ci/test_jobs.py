"""The jobs themselves: gitlab-ci-local runs them in a clone, with the real gates and the real engine of the lab."""

from __future__ import annotations

import json

import pytest

from tasks.lib import record
from tasks.lib.gates import GATES, gitlab
from tests.ci.conftest import Clone

# The shell executor has no services; the lab's engine stands in. In a folder that Git ignores: the tree stays clean.
WITHOUT_SERVICES = "include: [{local: .gitlab-ci.yml}]\n.engine: {services: []}\n"
JOBS = ("lint", "scan:secrets", "scan:deps", "scan:config", "scan:code", "scan:gate", "build")


@pytest.mark.lab
@pytest.mark.slow
def test_lint_scans_and_build_really_run_and_hand_on_what_they_made(clone: Clone) -> None:
    overlay = clone.folder / ".slipway" / "pipeline.yml"
    overlay.parent.mkdir()
    overlay.write_text(WITHOUT_SERVICES)
    words = ["--file=.slipway/pipeline.yml", "--force-shell-executor", "--shell-isolation"]
    done = clone.run(*words, "--variable=SLIPWAY_ENV=local", *JOBS)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    made = clone.folder / ".slipway" / "releases" / clone.sha
    assert {file.name for file in (made / "reports").glob("gl-*.json")} == set(gitlab.NAMES.values())
    for gate in GATES:
        report = json.loads((made / "reports" / f"{gate}.json").read_text())
        assert report["commit"] == clone.sha
    written = record.load(made / record.FILE)
    assert written is not None
    record.check(written, clone.sha, "", dirty_ok=True)
    assert written.predicate.pipeline["job"] == "build"
    assert (made / "image.tar").stat().st_size > 10_000_000
