"""The release record: what it refuses, each time naming the field."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tasks.lib import record
from tasks.lib.errors import Code, Stop
from tasks.lib.record import REQUIRED_GATES, BuildInputs, GateEntry, Predicate, Record

SHA, DIGEST = "a" * 40, "sha256:" + "d" * 64


def entry(name: str, outcome: str = "pass") -> GateEntry:
    return GateEntry(
        name=name, outcome=outcome, tool="t", version="1", report_sha256="e" * 64, started="then", ended="now"
    )


def made(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "service": "slipway-service",
        "commit": SHA,
        "inputs": BuildInputs(base_image="b", base_image_id="i", requirements_sha256="r", source_date_epoch=1),
        "image_id": "sha256:" + "c" * 64,
        "sbom_sha256": "f" * 64,
        "gates": [entry(name) for name in REQUIRED_GATES],
        "by": "Ann <ann@example.com>",
        "built": datetime(2026, 1, 1, tzinfo=timezone.utc),
        **changes,
    }
    return Record(predicate=Predicate(**fields)).about("registry.example.com/s", DIGEST)


def refuses(what: Record, *words: str, digest: str = DIGEST, **options: bool) -> None:
    with pytest.raises(Stop) as caught:
        record.check(what, SHA, digest, **options)
    assert caught.value.code == Code.REFUSED
    for word in words:
        assert word in caught.value.sentence


def test_a_whole_record_is_taken_before_and_after_the_push() -> None:
    record.check(made(), SHA, DIGEST)
    record.check(made(), SHA, "")


def test_another_commit_or_image_is_refused() -> None:
    refuses(made(commit="b" * 40), "predicate.commit", "bbbbbbbbbbbb")
    refuses(made(), "subject.digest", digest="sha256:" + "0" * 64)
    refuses(made().model_copy(update={"subject": []}), "subject.digest")


@pytest.mark.parametrize("name", REQUIRED_GATES)
def test_each_gate_must_be_there_and_have_passed(name: str) -> None:
    others = [entry(other) for other in REQUIRED_GATES if other != name]
    refuses(made(gates=others), f"predicate.gates.{name}", "missing")
    for outcome in ("findings", "could_not_run", "", "PASS"):
        refuses(made(gates=[*others, entry(name, outcome)]), f"predicate.gates.{name}.outcome")
    record.check(made(gates=[*others, entry(name, "waived")]), SHA, DIGEST)


def test_uncommitted_changes_only_where_they_are_allowed() -> None:
    refuses(made(dirty=True), "predicate.dirty")
    record.check(made(dirty=True), SHA, DIGEST, dirty_ok=True)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert record.load(path) is None
    path.write_text(made().text())
    again = record.load(path)
    assert again == made()
    assert again
    assert again.text() == made().text()
    assert '"_type": "https://in-toto.io/Statement/v1"' in path.read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:-20], "does not hold"),
        (lambda text: text.replace('"commit"', '"comit"'), "predicate.com"),
        (lambda text: text.replace('"service"', '"extra": 1, "service"'), "predicate.extra"),
    ],
)
def test_a_record_that_cannot_be_read_is_no_record(change: Any, told: str) -> None:
    with pytest.raises(Stop, match=told) as caught:
        record.parse(change(made().text()), "of a test")
    assert caught.value.code == Code.REFUSED
