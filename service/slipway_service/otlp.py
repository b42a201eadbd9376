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
from functools import cache

import requests  # noqa: F401 - the exporters load it when they are made: in every worker, after the fork
from flask import Request
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from . import durations, logs, metrics, sampling
from .config import SERVICE
from .durations import Durations, Kind

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
_NOT_SAMPLED = TraceFlags(TraceFlags.RANDOM_TRACE_ID)
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
        self._limit = sampling.default(os.environ)
        sampler = ParentBased(self._limit) if self._limit else None
        self._traces = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.durations = durations.Durations(metrics.BUCKETS[:-1])
        exporter = durations.Exporter(self.durations, InstrumentationScope(_SCOPE, release))
        self._meters = MeterProvider(
            [PeriodicExportingMetricReader(exporter)], resource=resource, shutdown_on_exit=False
        )
        # It must measure something itself: a reader that finds nothing in the SDK asks its exporter for nothing.
        self._meters.get_meter(_SCOPE, release).create_observable_counter(
            "process.cpu.time", [durations.processor], unit="s", description="Processor time of the worker."
        )
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        # Whoever adds a span or a counter inside of a request finds these by OpenTelemetry's own functions.
        trace.set_tracer_provider(self._traces)
        self._tracer = self._traces.get_tracer(_SCOPE, release)
        self._handler = Handler(self._logs, release)
        for name in (None, "gunicorn.error"):
            logging.getLogger(name).addHandler(self._handler)

    def begin(self, request: Request, request_id: str) -> Traced:
        """A server span, child of the caller's if the request brings a valid traceparent."""
        route = request.url_rule.rule if request.url_rule else None
        kind = _kind(metrics.method_label(request.method), route, request.scheme)
        called = "HTTP_TRACEPARENT" in request.environ
        if self._limit and not called and self._limit.exhausted():
            return Traced(self.durations, self._dropped(), kind)
        parent = _propagator.extract(request.headers, _NOBODY) if called else _NOBODY
        span = self._tracer.start_span(kind.span, parent, SpanKind.SERVER, kind.attributes)
        traced = Traced(self.durations, span, kind)
        if traced.recording:
            of_this = {
                "url.path": request.path[:256],
                "client.address": request.remote_addr or "",
                "slipway.request_id": request_id,
            }
            span.set_attributes(of_this)
        return traced

    def _dropped(self) -> Span:
        """What the tracer makes of a request that is not sampled, in half the time: under load that is nearly all."""
        ids = self._traces.id_generator
        return NonRecordingSpan(SpanContext(ids.generate_trace_id(), ids.generate_span_id(), False, _NOT_SAMPLED))

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


@cache  # as bounded as the label set
def _kind(method: str, route: str | None, scheme: str) -> Kind:
    name, known = ("HTTP", "_OTHER") if method == "other" else (method, method)
    attributes: dict[str, str | int] = {"http.request.method": known, "url.scheme": scheme}
    if route:
        attributes["http.route"] = route
    return Kind(f"{name} {route}" if route else name, attributes)


class Traced:
    """The span of one request, current in its thread until close()."""

    __slots__ = ("_durations", "_kind", "_span", "_token", "recording", "sampled", "trace_id")

    def __init__(self, counted: Durations, span: Span, kind: Kind) -> None:
        self._durations, self._span, self._kind = counted, span, kind
        ids = span.get_span_context()
        self.trace_id = f"{ids.trace_id:032x}"
        self.sampled = (ids.trace_id, ids.span_id) if ids.trace_flags.sampled else None
        self.recording = span.is_recording()
        self._token: Token[Context] | None = contexts.attach(trace.set_span_in_context(span, _NOBODY))

    def answered(self, status: int, seconds: float) -> None:
        """Ends the span and counts the request; 5xx are errors, 4xx are the caller's."""
        self._durations.add(self._kind, status, seconds, self.sampled)
        if self.recording:
            self._span.set_attribute("http.response.status_code", status)
            if status >= 500:
                self._span.set_attribute("error.type", str(status))
                self._span.set_status(Status(StatusCode.ERROR))
            self._span.end()

    def close(self) -> None:
        """The thread's context is what it was before; a span that got no answer ends here."""
        if self._token is not None:
            contexts.detach(self._token)
            self._token = None
        if self.recording and self._span.is_recording():
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
