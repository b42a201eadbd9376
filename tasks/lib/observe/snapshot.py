"""The panels of the dashboards, asked of a Prometheus and drawn: PNG files and a page of HTML that holds them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasks.lib import moments, paths, terminal, tools
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.store import write_text
from tasks.lib.observe import panels, ranges, snapshot_page
from tasks.lib.observe.panels import Dashboard, Panel
from tasks.lib.observe.ranges import Prometheus, Series
from tasks.lib.observe.snapshot_page import Drawn, Mark
from tasks.lib.runner import run
from tasks.lib.settings import Environment

DRAW_SECONDS = 120.0


@dataclass(frozen=True)
class Snapshot:
    """What was drawn: the page, and the panels in the order of the page."""

    page: Path
    panels: list[Drawn]

    @property
    def empty(self) -> list[str]:
        """Titles of the panels that have no data at all."""
        return [one.panel.title for one in self.panels if not one.series]


def take(c: Context, env: Environment, since: timedelta, prometheus: str = "", folder: Path | None = None) -> Snapshot:
    """Asks every query of every panel, draws the panels and writes the page.

    since: how far back. prometheus: its address instead of the environment's. folder: where to write instead of a
    folder of .slipway. Raises Stop (2) without an address, 4 when Prometheus does not answer.
    """
    address = prometheus or env.observe.prometheus
    if not address:
        raise Stop(
            f"gitops/environments/{env.name}/environment.yaml names no Prometheus",
            Code.USAGE,
            f"./inv observe.snapshot --env {env.name} --prometheus http://127.0.0.1:9090",
        )
    boards = panels.read()
    end = datetime.now(timezone.utc)
    server = Prometheus(address.rstrip("/"), end - since, end)
    with terminal.step("Ask Prometheus") as note:
        drawn = {board.uid: [_ask(server, panel, env, note) for panel in board.panels] for board in boards}
        marks = _marks(server, boards, env)
    folder = folder or paths.work() / "snapshots" / f"{env.name}-{end:%Y%m%dT%H%M%SZ}"
    every = [one for found in drawn.values() for one in found]
    with terminal.step("Draw the panels"):
        files = _draw(c, every, marks, server, folder)
    page = folder / "index.html"
    write_text(page, snapshot_page.text(env, boards, drawn, files, marks, server))
    return Snapshot(page, every)


def duration(text: str) -> timedelta:
    """How far back a person asks to look. Raises Stop (2)."""
    try:
        span = moments.duration(text)
    except ValueError as error:
        raise Stop(f"--since: {error}", Code.USAGE) from error
    if not timedelta(minutes=1) <= span <= timedelta(days=90):
        raise Stop("--since: from 1m to 90d", Code.USAGE)
    return span


def _ask(server: Prometheus, panel: Panel, env: Environment, note: Any) -> Drawn:
    note(panel.title)
    found: list[Series] = []
    missing = []
    for target in panel.targets:
        expr = panels.filled(target.expr, env)
        answer = ranges.ask(server, expr, target.legend, at_end=panel.kind != "timeseries")
        found += answer
        if not answer:
            missing.append(expr)
    return Drawn(panel, found, missing)


def _marks(server: Prometheus, boards: Sequence[Dashboard], env: Environment) -> list[Mark]:
    """The releases that were brought in meanwhile, as the dashboards' own annotation finds them; oldest first."""
    found: set[Mark] = set()
    for expr in {panels.filled(board.annotation, env) for board in boards if board.annotation}:
        for one in ranges.ask(server, expr, ""):
            for value in {value for _, value in one.points if value is not None}:
                found.add(Mark(value / 1000, one.labels.get("action", ""), one.labels.get("sha", "")))
    inside = (mark for mark in found if server.begin.timestamp() <= mark.time <= server.end.timestamp())
    return sorted(inside, key=lambda mark: mark.time)


def _draw(
    c: Context, drawn: Sequence[Drawn], marks: Sequence[Mark], server: Prometheus, folder: Path
) -> Mapping[int, Path]:
    """One PNG for each panel that is a curve or a number, by the panel's place in `drawn`; drawn by matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    files = {}
    for place, one in enumerate(drawn):
        if one.panel.kind == "table":
            continue
        files[place] = folder / f"{place + 1:02}-{_name(one.panel.title)}.png"
        jobs.append(
            {
                "file": str(files[place]),
                "kind": one.panel.kind,
                "title": one.panel.title,
                "unit": one.panel.unit,
                "limits": one.panel.limits,
                "none": one.panel.none,
                "series": [asdict(series) for series in one.series],
            }
        )
    work = {
        "begin": server.begin.timestamp(),
        "end": server.end.timestamp(),
        "marks": [asdict(mark) for mark in marks],
        "panels": jobs,
    }
    argv = [tools.path(c, "drawing-python"), "-B", Path(__file__).with_name("drawing.py")]
    run(c, argv, step="draw the panels", timeout=DRAW_SECONDS, stdin=json.dumps(work), quiet=True)
    return files


def _name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
