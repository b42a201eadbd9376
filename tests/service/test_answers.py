"""What the endpoints say, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.service.harness import Server, spawn

Start = Callable[..., Server]


def test_version_and_index_name_the_release(start: Start) -> None:
    server = start(
        SLIPWAY_REVISION="a" * 40, SLIPWAY_BUILD_TIME="2026-11-23T04:00:00Z", SLIPWAY_IMAGE_DIGEST="sha256:1"
    )
    assert server.get("/version").json() == {
        "service": "slipway-service",
        "commit": "a" * 40,
        "build_time": "2026-11-23T04:00:00Z",
        "image_digest": "sha256:1",
    }
    index = server.get("/").json()
    assert index["release"] == "a" * 40
    assert {"/", "/health", "/ready", "/api/time", "/version", "/metrics"} == set(index["endpoints"])


def test_what_is_not_known_is_null(service: Server) -> None:
    version = service.get("/version").json()
    assert (version["commit"], version["build_time"], version["image_digest"]) == (None, None, None)


def test_the_image_outranks_what_the_deployment_claims(start: Start) -> None:
    server = start(SLIPWAY_IMAGE_REVISION="b" * 40, SLIPWAY_REVISION="a" * 40)
    assert server.get("/version").json()["commit"] == "b" * 40
    assert server.wait_for_line("another revision")["level"] == "ERROR"


def test_time_in_a_zone(service: Server) -> None:
    answer = service.get("/api/time?zone=Europe/Berlin")
    told = datetime.fromisoformat(answer.json()["time"])
    assert answer.status == 200
    assert abs((datetime.now(timezone.utc) - told).total_seconds()) < 5
    offset = datetime.now(ZoneInfo("Europe/Berlin")).utcoffset()
    assert offset is not None
    assert answer.json()["utc_offset_seconds"] == offset.total_seconds()


def test_bad_zones_are_problems(service: Server) -> None:
    queries = ["", "?zone=", "?zone=Nowhere/Atlantis", "?zone=../../etc/passwd", "?zone=/etc/localtime"]
    queries += ["?zone=europe/berlin", "?zone=UTC&zone=Europe/Berlin", "?zone=" + "x" * 2000, "?zone=%00", "?zone=%ff"]
    for query in queries:
        answer = service.get("/api/time" + query)
        assert answer.status == 400, query
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Bad Request", 400)
        assert problem["instance"] == "/api/time"
        assert problem["detail"]
    assert service.get("/api/time?zone=UTC").status == 200


def test_unknown_path_and_method_are_problems(service: Server) -> None:
    missing = service.get("/nothing")
    assert (missing.status, missing.headers["content-type"]) == (404, "application/problem+json")
    refused = service.get("/health", method="POST")
    assert (refused.status, refused.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in refused.headers["allow"]


def test_request_ids(service: Server) -> None:
    kept = service.get("/", {"X-Request-ID": "trace-1.a:b_c"})
    assert kept.headers["x-request-id"] == "trace-1.a:b_c"
    assert service.wait_for_line('"request_id": "trace-1.a:b_c"')["endpoint"] == "/"
    for hostile in ('a"b', "x" * 129, "a b", "-rf", "é".encode().decode("latin-1"), ""):
        given = service.get("/nothing", {"X-Request-ID": hostile})
        assert len(given.headers["x-request-id"]) == 32, hostile
        assert given.json()["request_id"] == given.headers["x-request-id"]
    assert service.get("/").headers["x-request-id"] != service.get("/").headers["x-request-id"]


@pytest.mark.slow
def test_every_log_line_is_json_and_probes_are_quiet(start: Start) -> None:
    server = start()
    server.get("/ready")
    server.get("/nothing%0Aforged")
    server.get("/api/time?zone=UTC", {"X-Request-ID": "last"})
    server.wait_for_line('"request_id": "last"')
    server.terminate()
    assert server.process.wait(10) == 0
    lines = server.lines()
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    requests = [line for line in lines if line["message"] == "request"]
    assert [line["endpoint"] for line in requests] == ["unmatched", "/api/time"]
    assert requests[1]["status"] == 200
    assert requests[1]["duration_ms"] >= 0
    assert any(line["logger"] == "gunicorn.error" for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLIPWAY_FAULT_ERRORS", "1.5"),
        ("SLIPWAY_FAULT_ERRORS", "nan"),
        ("SLIPWAY_FAULT_LATENCY_MS", "soon"),
        ("SLIPWAY_FAULT_UNREADY", "maybe"),
        ("SLIPWAY_WORKERS", "0"),
        ("SLIPWAY_LOG_LEVEL", "loud"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
        ("OTEL_SDK_DISABLED", "perhaps"),
    ],
)
def test_a_bad_setting_refuses_to_start_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    server = spawn(tmp_path, **{name: value})
    try:
        assert server.process.wait(15) == 2
        (line,) = server.lines()
        assert name in line["message"]
    finally:
        server.close()
