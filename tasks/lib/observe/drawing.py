"""Draws panels as PNG files: what snapshot.py writes to standard input as JSON.

A program of its own, run by the Python of tools/drawing: matplotlib is not among the packages of the tasks.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import datetime, timezone
from typing import Any

# Okabe and Ito's colours without yellow, which is lost on white; the dashes tell curves apart where colours do not.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", (0, (5, 2)), "-.", (0, (1, 1.5)), (0, (8, 2, 1, 2, 1, 2)), (0, (3, 1)), "-")
INK, SOFT, LINE, PAPER = "#1b1f24", "#57606a", "#d5d9de", "#ffffff"
MARKS = {"deploy": ("#009E73", "▲"), "promote": ("#0072B2", "▲"), "rollback": ("#D55E00", "▼")}
WIDTH, DPI = 9.0, 144
SMALLEST_TOP = {"s": 0.001, "percent": 1.0, "reqps": 0.1}  # what zero is drawn in front of


def spoken(value: float, unit: str) -> str:
    """A value as a person says it: '240 ms', '3.2 %', '1.5 req/s', '2 d 3 h'."""
    if unit == "s":
        return _seconds(value)
    if unit == "percent":
        return f"{_short(value)} %"
    if unit == "reqps":
        return f"{_short(value)} req/s"
    return _short(value) + (f" {unit.removeprefix('suffix:').strip()}" if unit.startswith("suffix:") else "")


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g} {letter}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _seconds(value: float) -> str:
    if 0 < abs(value) < 1:
        return f"{value * 1e3:.3g} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.3g} µs"
    if abs(value) < 60:
        return f"{value:.3g} s"
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    place = next(place for place, (size, _) in enumerate(units) if abs(value) >= size)
    parts, left = [], round(value)
    for size, name in units[place : place + 2]:
        count, left = divmod(left, size)
        parts += [f"{count} {name}"] if count else []
    return " ".join(parts)


def main() -> None:
    """Reads the work from standard input and writes the files that it names."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "font.family": "sans-serif",
            "font.size": 10,
            "text.color": INK,
            "axes.edgecolor": LINE,
            "axes.labelcolor": SOFT,
            "xtick.color": SOFT,
            "ytick.color": SOFT,
            "figure.facecolor": PAPER,
        }
    )
    work = json.load(sys.stdin)
    for panel in work["panels"]:
        (_number if panel["kind"] == "stat" else _curves)(panel, work)


def _save(figure: Any, panel: dict[str, Any]) -> None:
    from matplotlib import pyplot

    figure.savefig(panel["file"], dpi=DPI)
    pyplot.close(figure)


def _number(panel: dict[str, Any], work: dict[str, Any]) -> None:
    """One large number for each series."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(WIDTH / 4, 1.35))
    figure.text(0.07, 0.83, panel["title"], fontsize=9.5, color=SOFT, va="center")
    found = [(one["name"], _last(one)) for one in panel["series"]]
    said = "  ".join(spoken(value, panel["unit"]) for _, value in found)
    size = 22 if len(said) < 11 else 19 if len(said) < 13 else 13
    if found:
        figure.text(0.07, 0.40, said, fontsize=size, fontweight="bold", color=COLOURS[0], va="center")
    else:  # a sentence: it goes on in the next line where the picture ends
        figure.text(0.07, 0.40, panel["none"], fontsize=10, color=SOFT, va="center", wrap=True)
    _save(figure, panel)


def _last(series: dict[str, Any]) -> float:
    return float(next(value for _, value in reversed(series["points"]) if value is not None))


def _curves(panel: dict[str, Any], work: dict[str, Any]) -> None:
    """Curves over time, with the releases that were brought in."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(work["width"], 3.1))
    figure.subplots_adjust(left=0.105 * WIDTH / work["width"], right=0.985, top=0.72, bottom=0.13)
    figure.text(0.018, 0.94, panel["title"], fontsize=13, fontweight="bold", va="center")
    figure.text(0.018, 0.04, "UTC", fontsize=8, color=SOFT)
    top = max(SMALLEST_TOP.get(panel["unit"], 1.0), *_values(panel), *panel["limits"], panel["top"])
    counts = panel["unit"] == "short"
    steps = "steps-post" if counts else "default"
    for number, one in enumerate(panel["series"]):
        times = [_moment(at) for at, _ in one["points"]]
        values = [math.nan if value is None else value for _, value in one["points"]]
        colour = COLOURS[number % len(COLOURS)]
        label = f"{one['name']}  {spoken(_last(one), panel['unit'])}"
        dashes = DASHES[number % len(DASHES)]
        axes.plot(times, values, color=colour, linestyle=dashes, linewidth=2, label=label, drawstyle=steps)
        if len(panel["series"]) == 1:
            step = "post" if counts else None
            axes.fill_between(times, 0, values, color=colour, alpha=0.10, linewidth=0, step=step)
    for limit in panel["limits"]:
        axes.axhline(limit, color=SOFT, linewidth=1, linestyle=(0, (2, 2)))
        place = (0.004, limit)
        axes.annotate(
            f"limit {spoken(limit, panel['unit'])}", place, xycoords=axes.get_yaxis_transform(),
            xytext=(0, 3), textcoords="offset points", fontsize=8, color=SOFT,
        )  # fmt: skip
    axes.set_xlim(_moment(work["begin"]), _moment(work["end"]))
    axes.set_ylim(-0.015 * top, top * 1.12)
    _axes(axes, panel)
    _marks(axes, work)
    columns = 4 if work["width"] >= WIDTH else 3
    if panel["series"]:
        figure.legend(
            loc="upper left", bbox_to_anchor=(0.01, 0.895), ncols=min(len(panel["series"]), columns), frameon=False,
            fontsize=9, handlelength=2.2, columnspacing=1.6,
        )  # fmt: skip
    else:
        axes.yaxis.set_major_formatter("")
        ground = {"facecolor": PAPER, "edgecolor": "none"}
        place = (0.5, 0.45)
        axes.text(*place, panel["none"], transform=axes.transAxes, ha="center", fontsize=14, color=SOFT, bbox=ground)
    _save(figure, panel)


def _values(panel: dict[str, Any]) -> list[float]:
    return [value for one in panel["series"] for _, value in one["points"] if value is not None]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=timezone.utc)


def _axes(axes: Any, panel: dict[str, Any]) -> None:
    """Times in UTC below, values with their unit at the side, no more ink than that."""
    from matplotlib import dates, ticker

    place = dates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(place)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(place, show_offset=True))
    axes.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=panel["unit"] == "short"))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: spoken(value, panel["unit"])))
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9)
    axes.xaxis.get_offset_text().set(fontsize=8, color=SOFT)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)


def _marks(axes: Any, work: dict[str, Any]) -> None:
    """A line and a flag for every release, in two rows; flags that would still cover each other go without a name."""
    from matplotlib import dates

    wide = (work["end"] - work["begin"]) * 0.15 * WIDTH / work["width"]  # as much of the axis as a name takes
    taken = [-math.inf, -math.inf]
    for mark in work["marks"]:
        colour, sign = MARKS.get(mark["action"], (SOFT, "▲"))
        axes.axvline(_moment(mark["time"]), color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
        late = work["end"] - mark["time"] < wide
        begins = mark["time"] - wide if late else mark["time"]
        row = next((row for row, end in enumerate(taken) if end <= begins), None)
        text = f"{sign} {mark['action']} {mark['sha'][:7]}" if row is not None else sign
        if row is not None:
            taken[row] = begins + wide
        axes.annotate(
            text,
            (dates.date2num(_moment(mark["time"])), 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3 + 10 * (row or 0)),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            ha="center" if row is None else "right" if late else "left",
        )


if __name__ == "__main__":
    main()
