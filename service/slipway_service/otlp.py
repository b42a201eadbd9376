"""Traces, metrics and logs over OTLP (http/protobuf), with the OpenTelemetry SDK.

Imported only where a collector is named. A request never waits for it: what is observed goes into bounded queues,
threads send it, and when a queue is full the oldest is dropped. Every request is counted and logged on standard output;
traced, and its line sent, are the first of every second (sampling.py). The standard OTEL_* variables say the rest.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextvars import Token

import requests  # noqa: F401 - the exporters load it when they are made: in every worker, after the fork
from flask import Request
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from . import logs, metrics, sampling
from .config import SERVICE

#: How long one attempt to send may take, retries included, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise.
SEND_SECONDS = 2
#: How long a worker that is leaving sends what is left; gunicorn's graceful timeout ends it earlier if it must.
STOP_SECONDS = 2.0

_SCOPE = "slipway.service"
_SEVERITY = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
_NOBODY = Context()
_propagator = TraceContextTextMapPropagator()


class Otlp:
    """The three signals of one worker. release: the full commit, told as service.version."""

    def __init__(self, release: str) -> None:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", str(SEND_SECONDS))
        resource = Resource.create(
            {
                "service.name": os.environ.get("OTEL_SERVICE_NAME") or SERVICE,
                "service.version": release,
                # Each worker counts for itself: with one name for all, their sums would overwrite each other.
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            }
        )
        self._traces = TracerProvider(sampling.default(os.environ), resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._meters = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource, shutdown_on_exit=False
        )
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        # Whoever adds a span or a counter inside of a request finds these by OpenTelemetry's own functions.
        trace.set_tracer_provider(self._traces)
        self._tracer = self._traces.get_tracer(_SCOPE, release)
        self._duration = self._meters.get_meter(_SCOPE, release).create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=list(metrics.BUCKETS[:-1]),
        )
        self._handler = Handler(self._logs, release)
        for name in (None, "gunicorn.error"):
            logging.getLogger(name).addHandler(self._handler)

    def begin(self, request: Request, request_id: str) -> Traced:
        """A server span, child of the caller's if the request brings a valid traceparent."""
        parent = _propagator.extract(request.headers, _NOBODY) if "HTTP_TRACEPARENT" in request.environ else _NOBODY
        method = metrics.method_label(request.method)
        name = "HTTP" if method == "other" else method
        route = request.url_rule.rule if request.url_rule else None
        span = self._tracer.start_span(f"{name} {route}" if route else name, parent, SpanKind.SERVER)
        attributes: dict[str, str | int] = {"http.request.method": "_OTHER" if method == "other" else method}
        attributes["url.scheme"] = request.scheme
        if route:
            attributes["http.route"] = route
        if span.is_recording():
            span.set_attributes(attributes)
            span.set_attribute("url.path", request.path[:256])
            span.set_attribute("client.address", request.remote_addr or "")
            span.set_attribute("slipway.request_id", request_id)
        return Traced(self, span, attributes)

    def observe(self, seconds: float, attributes: dict[str, str | int]) -> None:
        """One answered request, in OpenTelemetry's terms."""
        self._duration.record(seconds, attributes)

    def stop(self) -> None:
        """Sends what is left, all three at the same time; what is not sent in STOP_SECONDS is lost."""
        for name in (None, "gunicorn.error"):
            logging.getLogger(name).removeHandler(self._handler)
        end = time.monotonic() + STOP_SECONDS
        leaving = [
            threading.Thread(target=provider.shutdown, daemon=True)
            for provider in (self._traces, self._meters, self._logs)
        ]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join(max(0.0, end - time.monotonic()))


class Traced:
    """The span of one request, current in its thread until close()."""

    __slots__ = ("_attributes", "_otlp", "_span", "_token", "sampled", "trace_id")

    def __init__(self, otlp: Otlp, span: Span, attributes: dict[str, str | int]) -> None:
        self._otlp, self._span, self._attributes = otlp, span, attributes
        ids = span.get_span_context()
        self.trace_id = f"{ids.trace_id:032x}"
        self.sampled = (ids.trace_id, ids.span_id) if ids.trace_flags.sampled else None
        self._token: Token[Context] | None = contexts.attach(trace.set_span_in_context(span, _NOBODY))

    def answered(self, status: int, seconds: float) -> None:
        """Ends the span and counts the request; 5xx are errors, 4xx are the caller's."""
        self._attributes["http.response.status_code"] = status
        if status >= 500:
            self._attributes["error.type"] = str(status)
        if self._span.is_recording():
            self._span.set_attributes(self._attributes)
            if status >= 500:
                self._span.set_status(Status(StatusCode.ERROR))
        self._otlp.observe(seconds, self._attributes)
        self._span.end()

    def close(self) -> None:
        """The thread's context is what it was before; a span that got no answer ends here."""
        if self._token is not None:
            contexts.detach(self._token)
            self._token = None
        if self._span.is_recording():
            self._span.end()


class Handler(logging.Handler):
    """Sends the lines of the log, with the fields that they have on standard output."""

    def __init__(self, provider: LoggerProvider, release: str) -> None:
        super().__init__()
        self._logger = provider.get_logger(_SCOPE, release)

    def handle(self, record: logging.LogRecord) -> bool:
        """False for what is not sent, before a lock is taken for it."""
        # Of the requests that are not traced only the failed ones are sent: their line is all there is.
        if record.levelno < logging.WARNING and record.__dict__.get("status", 500) < 500 and not logs.bound()[2]:
            return False
        # What the exporters say about a dead collector must not be sent to it.
        if record.name.startswith(("opentelemetry", "urllib3")):
            return False
        return bool(super().handle(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Puts one record into the queue."""
        attributes = {name: record.__dict__[name] for name in logs.FIELDS if name in record.__dict__}
        request = logs.bound()[0]
        if request:
            attributes["request_id"] = request
        attributes["logger"] = record.name
        if record.exc_info and record.exc_info[1]:
            attributes["exception.type"] = type(record.exc_info[1]).__qualname__
            attributes["exception.message"] = str(record.exc_info[1])
            attributes["exception.stacktrace"] = logging.Formatter().formatException(record.exc_info)
        self._logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                severity_text=record.levelname,
                severity_number=_SEVERITY.get(record.levelno, SeverityNumber.UNSPECIFIED),
                body=record.getMessage(),
                attributes=attributes,
            )
        )
