"""Range queries of Prometheus' HTTP API."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ValidationError

from tasks.lib.errors import Code, Stop

ASK_SECONDS = 30.0
POINTS = 360  # per curve: as many as can be told apart in a picture of this width
SHORTEST_STEP = 1.0


@dataclass(frozen=True)
class Prometheus:
    """A server and the span that it is asked about."""

    address: str
    begin: datetime
    end: datetime

    @property
    def step(self) -> float:
        """Seconds between two points."""
        return max((self.end - self.begin).total_seconds() / POINTS, SHORTEST_STEP)


@dataclass(frozen=True)
class Series:
    """One answer. points: (seconds since 1970, value); None where there is no number, such as 0/0."""

    name: str
    labels: dict[str, str]
    points: list[tuple[float, float | None]]


class _Found(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Data(BaseModel):
    result: list[_Found]


class _Answer(BaseModel):
    status: str
    data: _Data | None = None
    error: str = ""


def ask(server: Prometheus, expr: str, legend: str, at_end: bool = False) -> list[Series]:
    """The series that an expression has in the span; at_end: only those that it still has at its end.

    legend: their names, with {{label}} filled in; '': the label values. Raises Stop (4) when it is not answered.
    """
    answer = _get(server, expr)
    found = []
    for one in answer.result:
        points = [(at, _number(value)) for at, value in one.values]
        if at_end and (not points or points[-1][0] < server.end.timestamp() - server.step):
            continue
        if any(value is not None for _, value in points):
            found.append(Series(_name(legend, one.metric), one.metric, points))
    return found


def _get(server: Prometheus, expr: str) -> _Data:
    import requests

    words = {
        "query": expr,
        "start": f"{server.begin.timestamp():.3f}",
        "end": f"{server.end.timestamp():.3f}",
        "step": f"{server.step:.3f}",
    }
    try:
        got = requests.post(f"{server.address}/api/v1/query_range", data=words, timeout=ASK_SECONDS)
        answer = _Answer.model_validate_json(got.content)
    except (requests.RequestException, ValidationError) as error:
        why = type(error).__name__ if isinstance(error, requests.RequestException) else "it answers something else"
        raise Stop(
            f"ask Prometheus at {server.address}: {why}", Code.COULD_NOT_RUN, f"curl {server.address}/-/ready"
        ) from error
    if answer.data is None:
        raise Stop(f"ask Prometheus: {answer.error or answer.status}\n    {expr}", Code.COULD_NOT_RUN)
    return answer.data


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _name(legend: str, labels: Mapping[str, str]) -> str:
    if legend:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip()
    return " ".join(value for name, value in sorted(labels.items()) if name != "__name__")
