"""The page of a snapshot: one file of HTML with the pictures in it, nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tasks.lib import moments
from tasks.lib.observe import drawing, panels
from tasks.lib.observe.panels import Dashboard, Panel
from tasks.lib.observe.ranges import Prometheus, Series
from tasks.lib.settings import Environment

TEMPLATE = "snapshot.html.j2"


@dataclass(frozen=True)
class Mark:
    """A moment at which another release was brought in. action: deploy, promote or rollback."""

    time: float
    action: str
    sha: str


@dataclass(frozen=True)
class Drawn:
    """One panel with what Prometheus answered. missing: expressions that returned nothing."""

    panel: Panel
    series: list[Series]
    missing: list[str]


def text(
    env: Environment,
    boards: Sequence[Dashboard],
    drawn: Mapping[str, Sequence[Drawn]],
    files: Mapping[int, Path],
    marks: Sequence[Mark],
    server: Prometheus,
) -> str:
    """The page. drawn: by the dashboard's uid; files: pictures, by the place of the panel among all of them."""
    end = moments.shown(server.end)
    return render(
        TEMPLATE,
        title=f"{env.name}, {end}",
        environment=env.name,
        begin=moments.shown(server.begin),
        end=end,
        length=moments.length(server.end - server.begin),
        marks=listed(marks),
        sections=sections(env, boards, drawn, files),
    )


def render(template: str, **words: object) -> str:
    """A page of this folder's templates."""
    from jinja2 import Environment as Pages
    from jinja2 import FileSystemLoader, StrictUndefined

    pages = Pages(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(template).render(**words)


def sections(
    env: Environment, boards: Sequence[Dashboard], drawn: Mapping[str, Sequence[Drawn]], files: Mapping[int, Path]
) -> list[dict[str, Any]]:
    """Each dashboard's title and figures, as the templates want them."""
    place, found = 0, []
    for board in boards:
        figures = []
        for one in drawn[board.uid]:
            image = base64.b64encode(files[place].read_bytes()).decode() if place in files else ""
            asked = [panels.filled(target.expr, env) for target in one.panel.targets]
            figures.append(
                {"panel": one.panel, "image": image, "rows": _rows(one), "asked": asked, "missing": one.missing}
            )
            place += 1
        found.append({"title": board.title.removeprefix("Slipway: ").capitalize(), "figures": figures})
    return found


def listed(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """The releases with their moments for people."""
    return [{"at": moments.shown(datetime.fromtimestamp(one.time, timezone.utc)), "mark": one} for one in marks]


def _rows(one: Drawn) -> list[dict[str, str]]:
    """A table's lines: each column's label, or the value as a person says it."""
    if one.panel.kind != "table":
        return []
    rows = []
    for series in one.series:
        value = next(value for _, value in reversed(series.points) if value is not None)
        said = {**series.labels, "Value": drawing.spoken(value, one.panel.unit)}
        rows.append({name: said.get(name, "") for name in one.panel.columns})
    return rows
