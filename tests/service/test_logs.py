"""The line that is written for a record."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from service.slipway_service import logs


def test_the_time_is_that_of_the_record() -> None:
    formatter = logs.JsonFormatter()
    for created in (1e9 + 0.25, 1e9 + 0.5, 1e9 + 1.75, 1e9 + 3601.125, 1e9 + 0.25):
        record = logging.makeLogRecord({"created": created, "msecs": created % 1 * 1000, "msg": "x"})
        told = datetime.fromisoformat(json.loads(formatter.format(record))["time"].replace("Z", "+00:00"))
        assert told == datetime.fromtimestamp(created, timezone.utc)


def test_whatever_a_message_holds_is_one_line_of_json() -> None:
    record = logging.makeLogRecord({"msg": 'é "\n\x00 %s', "args": (object,), "faults": {1}})
    line = logs.JsonFormatter("f" * 40).format(record)
    assert "\n" not in line
    assert "é" in line
    assert json.loads(line)["release"] == "f" * 40


def test_a_thread_that_is_free_belongs_to_no_request() -> None:
    logs.bind("r", "t", True)
    assert logs.bound() == ("r", "t", True)
    logs.unbind()
    assert logs.bound() == (None, None, False)
