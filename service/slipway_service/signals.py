"""Each request is observed once, here: its log line, both metrics, its exemplar and its span come from that.

Without OTEL_EXPORTER_OTLP_ENDPOINT there is no span, and nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask import Request

from . import logs, metrics

if TYPE_CHECKING:
    from .otlp import Otlp, Traced

log = logging.getLogger("slipway.service")

#: Asked every second by the platform: counted, but logged at DEBUG only and never traced.
QUIET = frozenset({"/health", "/ready", "/metrics"})

_otlp: Otlp | None = None


def preload(endpoint: str) -> None:
    """In the master: loads the SDK, if it is needed at all, into memory that the workers share. Starts nothing."""
    if endpoint:
        with _answering_anyway():
            from . import otlp  # noqa: F401

            log.info("traces, metrics and logs go to %s", endpoint)


def start(endpoint: str, release: str) -> None:
    """In a worker, after the fork: threads that send what is observed from now on."""
    global _otlp
    if endpoint:
        with _answering_anyway():
            from .otlp import Otlp

            _otlp = Otlp(release)


@contextmanager
def _answering_anyway() -> Iterator[None]:
    """An OTEL_* variable that the SDK cannot read is no reason to answer nobody."""
    try:
        yield
    except Exception as error:
        log.error("traces, metrics and logs are not sent: %s", error)


def stop() -> None:
    """In a worker that is leaving: sends what is left, within a deadline of its own."""
    global _otlp
    if _otlp:
        leaving, _otlp = _otlp, None
        leaving.stop()


class Observation:
    """One request, from its first moment to its answer."""

    __slots__ = ("_began", "_request", "_traced", "endpoint", "request_id")

    def __init__(self, request: Request) -> None:
        self._began = time.perf_counter()
        self._request = request
        self.endpoint = request.url_rule.rule if request.url_rule else metrics.UNMATCHED
        self.request_id = logs.request_id(request.headers.get("X-Request-ID"))
        self._traced: Traced | None = None
        if _otlp and request.path not in QUIET:
            self._traced = _otlp.begin(request, self.request_id)
        if self._traced:
            logs.bind(self.request_id, self._traced.trace_id, self._traced.sampled is not None)
        else:
            logs.bind(self.request_id, None)

    def answered(self, status: int) -> None:
        """The answer is made: counts it, writes its line and ends its span."""
        seconds = time.perf_counter() - self._began
        request = self._request
        sampled = self._traced.sampled if self._traced else None
        metrics.observe(request.method, self.endpoint, status, seconds, sampled)
        log.log(
            logging.DEBUG if request.path in QUIET else logging.INFO,
            "request",
            extra={
                "method": request.method[:16],
                "path": request.path[:256],
                "endpoint": self.endpoint,
                "status": status,
                "duration_ms": round(seconds * 1000, 2),
                "client": request.remote_addr,
            },
        )
        if self._traced:
            self._traced.answered(status, seconds)

    def close(self) -> None:
        """Whatever happened: the thread belongs to no request any more."""
        if self._traced:
            self._traced.close()
        logs.unbind()
