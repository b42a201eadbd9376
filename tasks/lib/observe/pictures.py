"""Panels as PNG files: what matplotlib is told, which runs in an environment of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from invoke.context import Context

from tasks.lib import tools
from tasks.lib.observe import drawing
from tasks.lib.observe.ranges import Prometheus
from tasks.lib.observe.snapshot_page import Drawn, Mark
from tasks.lib.runner import run

DRAW_SECONDS = 120.0


@dataclass(frozen=True)
class Look:
    """How pictures are drawn.

    width: inches. said: added to each title. tops: by the panel's place, a value that its axis reaches at least.
    end: where the axis of time ends, if not with the data.
    """

    width: float = drawing.WIDTH
    said: str = ""
    tops: Mapping[int, float] = field(default_factory=dict)
    end: datetime | None = None


def draw(
    c: Context,
    drawn: Sequence[Drawn],
    marks: Sequence[Mark],
    server: Prometheus,
    folder: Path,
    look: Look = Look(),
) -> Mapping[int, Path]:
    """One PNG for each panel that is a curve or a number, by the panel's place in `drawn`; drawn by matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    files = {}
    for place, one in enumerate(drawn):
        if one.panel.kind == "table":
            continue
        files[place] = folder / f"{place + 1:02}-{_name(f'{one.panel.title} {look.said}')}.png"
        jobs.append(
            {
                "file": str(files[place]),
                "kind": one.panel.kind,
                "title": f"{one.panel.title}, {look.said}" if look.said else one.panel.title,
                "unit": one.panel.unit,
                "limits": one.panel.limits,
                "none": one.panel.none,
                "top": look.tops.get(place, 0.0),
                "series": [asdict(series) for series in one.series],
            }
        )
    work = {
        "begin": server.begin.timestamp(),
        "end": (look.end or server.end).timestamp(),
        "width": look.width,
        "marks": [asdict(mark) for mark in marks],
        "panels": jobs,
    }
    argv = [tools.path(c, "drawing-python"), "-B", Path(__file__).with_name("drawing.py")]
    run(c, argv, step="draw the panels", timeout=DRAW_SECONDS, stdin=json.dumps(work), quiet=True)
    return files


def _name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
