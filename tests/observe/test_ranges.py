"""What a server answers to a range query, as series."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.lib.errors import Code, Stop
from tasks.lib.observe import ranges

END = datetime(2026, 3, 1, tzinfo=timezone.utc)
NOW = END.timestamp()


@contextmanager
def answering(status: int, body: str) -> Iterator[ranges.Prometheus]:
    """A server that answers everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield ranges.Prometheus(f"http://127.0.0.1:{server.server_address[1]}", END - timedelta(hours=1), END)
    server.shutdown()
    server.server_close()


def told(*series: list[tuple[float, str]], **more: bool) -> list[ranges.Series]:
    result = [{"metric": {"__name__": "m", "pod": "a", "job": "b"}, "values": values} for values in series]
    with answering(200, json.dumps({"status": "success", "data": {"result": result}})) as server:
        return ranges.ask(server, "m", "", **more)


def test_what_is_no_number_is_a_gap_and_a_series_of_gaps_is_none() -> None:
    (found,) = told([(NOW - 1, "NaN"), (NOW, "2")], [(NOW, "NaN")], [(NOW, "+Inf")])
    assert (found.name, found.points) == ("b a", [(NOW - 1, None), (NOW, 2.0)])


def test_a_number_of_now_is_not_one_of_then() -> None:
    old, new = [(NOW - 600, "1")], [(NOW, "2")]
    assert [series.points[0][1] for series in told(old, new)] == [1.0, 2.0]
    assert [series.points[0][1] for series in told(old, new, at_end=True)] == [2.0]


def test_points_are_no_more_than_can_be_seen() -> None:
    assert ranges.Prometheus("", END - timedelta(days=1), END).step == 240
    assert ranges.Prometheus("", END - timedelta(minutes=1), END).step == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "it answers something else"),
        (502, "", "it answers something else"),
        (400, '{"status": "error", "error": "parse error"}', "parse error"),
    ],
)
def test_a_wrong_answer_is_one_sentence(status: int, body: str, said: str) -> None:
    with answering(status, body) as server, pytest.raises(Stop, match=said) as stopped:
        ranges.ask(server, "m", "")
    assert stopped.value.code == Code.COULD_NOT_RUN
