"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import json
from http import HTTPStatus

from flask import Response, request

from . import logs


def problem(status: int, detail: str) -> Response:
    """An application/problem+json answer. detail: one sentence for whoever called, without internals."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.path,
        "request_id": logs.bound()[0] or "",
    }
    return Response(json.dumps(body) + "\n", status=status, content_type="application/problem+json")
