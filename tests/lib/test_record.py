"""The release record as a document: read as it was written, and refused when it is not whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.lib import gates, record
from tasks.lib.errors import Code, Stop
from tests.lib.signed import entry, made


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert record.load(path) is None
    path.write_text(made().text())
    again = record.load(path)
    assert again == made()
    assert again
    assert again.text() == made().text()
    assert '"_type": "https://in-toto.io/Statement/v0.1"' in path.read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:-20], "does not hold"),
        (lambda text: text.replace('"commit"', '"comit"'), "predicate.com"),
        (lambda text: text.replace('"service"', '"extra": 1, "service"'), "predicate.extra"),
        (lambda text: text.replace('"planted": 2', '"planted": "two"'), r"predicate.gates.0.canary.planted"),
    ],
)
def test_a_record_that_cannot_be_read_is_no_record(change: Any, told: str) -> None:
    with pytest.raises(Stop, match=told) as caught:
        record.parse(change(made().text()), "of a test")
    assert caught.value.code == Code.REFUSED


def test_the_required_gates_are_those_that_there_are() -> None:
    assert record.REQUIRED_GATES == gates.GATES


def test_what_no_waiver_covers_is_left() -> None:
    waiver = {"id": "CVE-1", "package": "p", "expires": "2030-01-01", "findings": {"HIGH": 1}}
    left = entry("deps", counts={"HIGH": 2, "LOW": 3}, waivers=[waiver]).open
    assert left == {"HIGH": 1, "LOW": 3}
