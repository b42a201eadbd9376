"""Structured logs: one JSON object per line on standard output, each with the id of its request."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from typing import Any

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

#: Keys that may be passed as logging's `extra` and appear in the line.
FIELDS = ("request_id", "method", "path", "endpoint", "status", "duration_ms", "client", "revision", "faults")


def request_id(incoming: str | None) -> str:
    """The caller's id if it is short and harmless, else a new one."""
    if incoming and _SANE_ID.fullmatch(incoming):
        return incoming
    return secrets.token_hex(16)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; times are UTC with milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline in it whatever the message holds."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            if name in record.__dict__:
                line[name] = record.__dict__[name]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def config(level: str) -> dict[str, Any]:
    """The logging.config dictionary for the service and for gunicorn itself."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "slipway_service.logs.JsonFormatter"}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": {
            "gunicorn.error": {
                "level": level,
                "handlers": ["stdout"],
                "propagate": False,
                "qualname": "gunicorn.error",
            },
            # The service writes its own access lines: gunicorn's do not know the request id.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False, "qualname": "gunicorn.access"},
        },
    }
