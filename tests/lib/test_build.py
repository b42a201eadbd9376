"""The record of what other jobs built and scanned: only of one image, and only when nothing is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from invoke.context import Context

from tasks.lib import build, git, image, paths, record, settings
from tasks.lib.errors import Code, Stop
from tasks.lib.gates import GATES, store
from tasks.lib.gates.models import Canary, Covered, Database, Finding, Outcome, Report
from tasks.lib.settings import Severity

ENV = settings.load("local")
THIS, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
BUILT = image.Built("slipway.local/x:1", THIS, "base", "sha256:base", "lock")
BAD = Finding(id="CVE-2030-1", severity=Severity.HIGH, title="bad", package="p", installed="1", file="f")


def keep(sha: str, gate: str, subject: str = "", findings: tuple[Finding, ...] = ()) -> None:
    now = datetime.now(timezone.utc)
    covers = ["pip", "debian"]
    report = Report(gate=gate, commit=sha, tool="t", version="1", ended=now, findings=list(findings), subject=subject)
    report.outcome = Outcome.FINDINGS if findings else Outcome.PASS
    report.canary = Canary(planted=covers, caught=covers)
    report.covered = Covered(os="debian 12", packages=1, commits=1, files=["f"])
    report.database = Database(source="test", date=now, digest="sha256:0", entries=9, covers=covers)
    store.write(report)


def keep_sbom(sha: str, image_id: str) -> None:
    described = [{"name": "aquasecurity:trivy:ImageID", "value": image_id}]
    text = json.dumps({"metadata": {"component": {"properties": described}}})
    (paths.release(sha) / build.SBOM).write_text(text)


@pytest.fixture
def sha(c: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A commit that was built and scanned by others: all is there."""
    monkeypatch.setattr(paths, "work", lambda: tmp_path)
    found = git.head(c)
    for gate in GATES:
        keep(found, gate, subject=THIS if gate == "image" else "")
    keep_sbom(found, THIS)
    made = build.Made(started=datetime.now(timezone.utc), built=BUILT)
    (paths.release(found) / build.BUILT).write_text(made.model_dump_json())
    return found


def file(sha: str) -> Path:
    return paths.release(sha) / record.FILE


def test_the_record_is_about_what_is_there(c: Context, sha: str) -> None:
    made = build.write_record(c, ENV, sha)
    assert (made.predicate.image_id, made.predicate.commit) == (THIS, sha)
    assert made.predicate.inputs.base_image == "base"
    assert [gate.name for gate in made.predicate.gates] == list(GATES)
    assert record.load(file(sha)) == made


@pytest.mark.parametrize(
    ("spoil", "code", "reason"),
    [
        (lambda sha: (paths.release(sha) / build.BUILT).unlink(), Code.COULD_NOT_RUN, "does not say what was built"),
        (lambda sha: (paths.release(sha) / build.BUILT).write_text("{}"), Code.COULD_NOT_RUN, "does not say what"),
        (lambda sha: (paths.release(sha) / build.SBOM).unlink(), Code.COULD_NOT_RUN, "SBOM is of image nothing"),
        (lambda sha: keep_sbom(sha, OTHER), Code.COULD_NOT_RUN, "SBOM is of image 222222222222, but 111111111111"),
        (lambda sha: keep(sha, "image", subject=OTHER), Code.COULD_NOT_RUN, "the gate scanned image 222222222222"),
        (lambda sha: keep(sha, "image"), Code.COULD_NOT_RUN, "the gate scanned image nothing"),
        (lambda sha: (store.folder(sha) / "config.json").unlink(), Code.COULD_NOT_RUN, "could not run"),
        (lambda sha: keep(sha, "deps", findings=(BAD,)), Code.FINDINGS, "finding"),
    ],
)
def test_anything_missing_or_of_another_image_leaves_no_record(
    c: Context, sha: str, spoil: Callable[[str], None], code: Code, reason: str
) -> None:
    file(sha).write_text("an older record")
    spoil(sha)
    with pytest.raises(Stop, match=reason) as caught:
        build.write_record(c, ENV, sha)
    assert caught.value.code == code
    assert not file(sha).exists()
