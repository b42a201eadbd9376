"""Something bad in a commit: its scan succeeds and reports it, the gate fails, and nothing after the gate runs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from tasks.lib.gates import SOURCE_GATES, gitlab
from tests.ci.conftest import Clone
from tests.gates.test_gitlab import validate

SCANS = [f"scan:{gate}" for gate in SOURCE_GATES]
LOGIN = "postgres://admin:{}@db.invalid/orders\n"
HASH = "sha256:" + "0" * 64
Files = Callable[[], dict[str, str]]

# By gate: what is added to which file, and what GitLab's report then names. The secret is made anew in each run.
PLANTED: dict[str, tuple[Files, str]] = {
    "secrets": (
        lambda: {"notes.txt": LOGIN.format(secrets.token_urlsafe(18))},
        "notes.txt",
    ),
    "deps": (lambda: {"service/requirements.txt": f"urllib3==1.24.1 --hash={HASH}\n"}, "urllib3"),
    "config": (lambda: {"service/Dockerfile": "USER root\n"}, "service/Dockerfile"),
    "code": (lambda: {"service/run.py": "import subprocess\nsubprocess.call(input(), shell=True)\n"}, "service/run.py"),
}


def test_each_gate_of_the_sources_has_something_planted() -> None:
    assert set(PLANTED) == set(SOURCE_GATES)


@pytest.mark.slow
@pytest.mark.parametrize("gate", PLANTED)
def test_a_planted_positive_stops_the_pipeline_at_the_gate(clone: Clone, gate: str) -> None:
    files, named = PLANTED[gate]
    text = files()
    clone.commit("Plant", text)
    ran = clone.pipeline(*SCANS, "scan:gate", "build", "scan:image", "gate", "record", "push")
    assert ran.codes == {**dict.fromkeys(SCANS, 0), "scan:gate": 3}, ran.log[-6000:]
    found = {}
    for other in SOURCE_GATES:
        report = json.loads((clone.made / "reports" / gitlab.NAMES[other]).read_text())
        validate(other, report)
        assert report["scan"]["status"] == "success"
        found[other] = json.dumps(report["vulnerabilities"])
    assert named in found[gate]
    assert [other for other in SOURCE_GATES if named in found[other]] == [gate]
    assert ElementTree.parse(clone.made / "reports" / "verdict.junit.xml").getroot().findall(".//failure")
    assert named in (clone.made / "reports" / "summary.html").read_text()
    assert not (clone.made / "record.json").exists()
    if gate == "secrets":
        value = text["notes.txt"].split(":")[2].partition("@")[0]
        kept = [path for path in clone.folder.rglob(".slipway/**/*") if path.is_file()]
        assert kept and value not in ran.log + "".join(path.read_text(errors="replace") for path in kept)


@pytest.mark.slow
def test_a_skipped_scan_is_no_pass(clone: Clone) -> None:
    ran = clone.pipeline("scan:code", "scan:gate")
    assert ran.codes == {"scan:code": 0, "scan:gate": 4}, ran.log[-6000:]
