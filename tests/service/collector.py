"""An OTLP receiver on loopback that really decodes what it gets, and one that takes connections and never answers."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

KINDS: dict[str, Callable[[], Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


def plain(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a dictionary."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@dataclass
class Collector:
    """What was received, as pairs of resource attributes and span, metric or log record."""

    endpoint: str = ""
    spans: list[tuple[dict[str, Any], Any]] = field(default_factory=list)
    metrics: list[tuple[dict[str, Any], Any]] = field(default_factory=list)
    records: list[tuple[dict[str, Any], Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        message = KINDS[path]()
        message.ParseFromString(body)
        if path == "/v1/traces":
            self.spans += [
                (plain(r.resource.attributes), one)
                for r in message.resource_spans
                for s in r.scope_spans
                for one in s.spans
            ]
        elif path == "/v1/metrics":
            self.metrics += [
                (plain(r.resource.attributes), one)
                for r in message.resource_metrics
                for s in r.scope_metrics
                for one in s.metrics
            ]
        else:
            self.records += [
                (plain(r.resource.attributes), one)
                for r in message.resource_logs
                for s in r.scope_logs
                for one in s.log_records
            ]

    def wait(self, found: Callable[[], Any], seconds: float = 15) -> Any:
        """What `found` returns once that is something."""
        end = time.monotonic() + seconds
        while not (value := found()):
            assert time.monotonic() < end, f"not received: {len(self.spans)} spans, {len(self.records)} records"
            time.sleep(0.05)
        return value


def serve() -> tuple[Collector, Callable[[], None]]:
    """A running receiver and what ends it."""
    collector = Collector()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}"

    def end() -> None:
        server.shutdown()
        server.server_close()

    return collector, end


def refusing() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def blackhole() -> tuple[str, Callable[[], None]]:
    """An address that takes connections and bytes and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    return f"http://127.0.0.1:{listener.getsockname()[1]}", listener.close
