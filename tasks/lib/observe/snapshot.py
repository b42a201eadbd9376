"""The panels of the dashboards, asked of a Prometheus and drawn: PNG files and a page of HTML that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from invoke.context import Context
from pydantic import ValidationError

from tasks.lib import moments, paths, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.store import write_text
from tasks.lib.observe import panels, pictures, ranges, snapshot_page
from tasks.lib.observe.panels import Dashboard, Panel
from tasks.lib.observe.ranges import Prometheus, Series
from tasks.lib.observe.snapshot_page import Drawn, Mark
from tasks.lib.settings import Environment, Observe

SINCE = "./inv observe.snapshot --since 4h"


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
    at = address(env, prometheus)
    boards = panels.read()
    end = datetime.now(timezone.utc)
    server = Prometheus(at, end - since, end)
    with terminal.step("Ask Prometheus") as note:
        drawn = ask(server, boards, env, note)
        marks = _marks(server, boards, env)
    folder = folder or new_folder(env, end)
    with terminal.step("Draw the panels"):
        files = pictures.draw(c, every(drawn), marks, server, folder)
    page = folder / "index.html"
    write_text(page, snapshot_page.text(env, boards, drawn, files, marks, server))
    return Snapshot(page, every(drawn))


def address(env: Environment, given: str = "") -> str:
    """Where the environment's Prometheus is asked, without a slash at its end. given: instead of the environment's own.

    Raises Stop (2) when there is none, or when what was given is no address.
    """
    found = known_address(env, given)
    if not found:
        raise Stop(
            f"gitops/environments/{env.name}/environment.yaml names no Prometheus",
            Code.USAGE,
            f"./inv observe.snapshot --env {env.name} --prometheus http://127.0.0.1:9090",
        )
    return found


def known_address(env: Environment, given: str = "") -> str:
    """The same, and '' when there is none. An environment of the lab that names none has the lab's, where that runs."""
    from tasks.lib.lab import observing

    try:
        found = Observe(prometheus=given).prometheus or env.observe.prometheus
    except ValidationError as error:
        # Not quoted: an address that is refused may have a password in it.
        sentence = "that is no address of a Prometheus; one is http://127.0.0.1:9090, without a login"
        raise Stop(sentence, Code.USAGE, "./inv observe.snapshot --help") from error
    if not found and env.cluster.kind == "lab":
        found = observing.prometheus() or ""
    return found.rstrip("/")


def new_folder(env: Environment, now: datetime) -> Path:
    """Where pictures go when nobody says where."""
    return paths.work() / "snapshots" / f"{env.name}-{now:%Y%m%dT%H%M%SZ}"


def every(drawn: Mapping[str, Sequence[Drawn]]) -> list[Drawn]:
    """All panels in the order of the page."""
    return [one for found in drawn.values() for one in found]


def duration(text: str) -> timedelta:
    """How far back a person asks to look. Raises Stop (2)."""
    try:
        span = moments.duration(text)
    except ValueError as error:
        raise Stop(f"--since: {error}", Code.USAGE, SINCE) from error
    if not timedelta(minutes=1) <= span <= timedelta(days=90):
        raise Stop("--since: from 1m to 90d", Code.USAGE, SINCE)
    return span


def ask(server: Prometheus, boards: Sequence[Dashboard], env: Environment, note: Any) -> dict[str, list[Drawn]]:
    """What every panel has in the server's span, by its dashboard. Raises Stop (4) when Prometheus does not answer."""
    return {board.uid: [_ask(server, panel, env, note) for panel in board.panels] for board in boards}


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
