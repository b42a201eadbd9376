"""Structured logs: one JSON object per line on standard output, each with its release, request and trace."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

#: Keys that may be passed as logging's `extra` and appear in the line.
FIELDS = ("method", "path", "endpoint", "status", "duration_ms", "client", "revision", "faults")


_NONE: tuple[str | None, str | None, bool] = (None, None, False)
_current: ContextVar[tuple[str | None, str | None, bool]] = ContextVar("request", default=_NONE)
# json.dumps makes one for every line as soon as an option is not the default.
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def bind(request: str, trace: str | None, sampled: bool = False) -> None:
    """From here on, lines of this thread belong to this request and trace. sampled: whether the trace is sent."""
    _current.set((request, trace, sampled))


def unbind() -> None:
    """The request is answered: the thread goes back to the pool."""
    _current.set(_NONE)


def bound() -> tuple[str | None, str | None, bool]:
    """Ids of the request and the trace that this thread works for, and whether the trace is sent."""
    return _current.get()


def request_id(incoming: str | None) -> str:
    """The caller's id if it is short and harmless, else a new one."""
    if incoming and _SANE_ID.fullmatch(incoming):
        return incoming
    return secrets.token_hex(16)


@lru_cache(maxsize=2)  # lines come in the order of time
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; times are UTC with milliseconds. release: the full commit."""

    def __init__(self, release: str = "") -> None:
        super().__init__()
        self._release = release or None

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline in it whatever the message holds."""
        request, trace, _ = _current.get()
        line: dict[str, Any] = {
            "time": f"{_second(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "release": self._release,
            "request_id": request,
            "trace_id": trace,
        }
        for name in FIELDS:
            if name in record.__dict__:
                line[name] = record.__dict__[name]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


class Seldom(logging.Filter):
    """Lets what the exporters say pass once a minute each: a dead collector must not fill the log."""

    def __init__(self, seconds: float = 60) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a message of theirs that was there less than a minute ago."""
        if not record.name.startswith("opentelemetry"):
            return True
        last = self._last.get(str(record.msg))
        if last is not None and record.created - last < self._seconds:
            return False
        self._last[str(record.msg)] = record.created
        return True


def config(level: str, release: str = "") -> dict[str, Any]:
    """The logging.config dictionary for the service and for gunicorn itself."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "slipway_service.logs.JsonFormatter", "release": release}},
        "filters": {"seldom": {"()": "slipway_service.logs.Seldom"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "filters": ["seldom"],
                "stream": "ext://sys.stdout",
            }
        },
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": {
            "gunicorn.error": {
                "level": level,
                "handlers": ["stdout"],
                "propagate": False,
                "qualname": "gunicorn.error",
            },
            # At DEBUG it tells of every connection to the collector.
            "urllib3": {"level": "WARNING"},
            # The service writes its own access lines: gunicorn's do not know the request id.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False, "qualname": "gunicorn.access"},
        },
    }
