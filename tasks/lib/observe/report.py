"""What a deploy, promotion or rollback did: every panel of the service before and after, on a page that can be sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from invoke.context import Context

from tasks.lib import desired, moments, target, terminal
from tasks.lib.errors import Code, Stop
from tasks.lib.gates.store import write_text
from tasks.lib.history import MOVES, Event
from tasks.lib.observe import panels, pictures, snapshot, snapshot_page
from tasks.lib.observe.pictures import Look
from tasks.lib.observe.ranges import Prometheus
from tasks.lib.observe.snapshot_page import Drawn, Mark
from tasks.lib.settings import Environment

TEMPLATE = "report.html.j2"
SHORTEST = timedelta(minutes=5)  # less is no picture of what was usual
EXAMPLE = "add --report --watch 5m to the line that you typed"
LONGEST_WATCH = timedelta(hours=1)
WIDTH = 5.2  # inches: two stand side by side


def watch(text: str) -> timedelta:
    """How long a person wants the release looked at. Raises Stop (2)."""
    try:
        span = moments.duration(text)
    except ValueError as error:
        raise Stop(f"--watch: {error}", Code.USAGE, EXAMPLE) from error
    if span > LONGEST_WATCH:
        raise Stop("--watch: at most 1h", Code.USAGE, EXAMPLE)
    return span


@contextmanager
def around(c: Context, env: Environment, watching: timedelta | None) -> Iterator[None]:
    """Writes the report when the block has brought something in, also when it was taken back again.

    watching: how long the release is looked at first; None: no report. What becomes of the report changes nothing about
    how the block ends: that none could be made is a warning.
    """
    began = datetime.now(timezone.utc)
    try:
        yield
    except Stop as stop:
        if watching is not None and stop.code == Code.UNHEALTHY:
            _tell(c, env, began, watching, stop)
        raise
    if watching is not None:
        _tell(c, env, began, watching)


def _tell(c: Context, env: Environment, began: datetime, watching: timedelta, ended: Stop | None = None) -> None:
    fix = f"./inv observe.snapshot --env {env.name}"
    try:
        page = write(c, env, began, watching, ended)
    except Stop as stop:
        terminal.warn(f"no report: {' '.join(stop.sentence.split())}; nothing else suffers. next: {stop.fix or fix}")
    except (Exception, KeyboardInterrupt) as error:  # whatever it is, what ended well ended well
        terminal.warn(f"no report: {type(error).__name__} {error}".rstrip() + f"; nothing else suffers. next: {fix}")
    else:
        terminal.say(f"  before and after: {page}" if page else "  no report: no release was brought in")


def write(c: Context, env: Environment, began: datetime, watching: timedelta, ended: Stop | None = None) -> Path | None:
    """Writes the page about what was brought in since `began`, or returns None when nothing was.

    ended: how it ended, None for well. Raises Stop (2 without an address of Prometheus, 4 when it or Git is silent).
    """
    address = snapshot.address(env)
    moves = _moves(c, env)
    new = [one for one in moves if one.time >= began.replace(microsecond=0)]  # Git counts in seconds
    if not new:
        return None
    moment = new[0].time
    span = max(datetime.now(timezone.utc) + watching - moment, SHORTEST)
    boards = panels.read()
    before = Prometheus(address, moment - span, moment)
    with terminal.step("Ask Prometheus about before") as note:
        was = snapshot.ask(before, boards, env, note)
    _wait(watching)
    after = Prometheus(address, moment, datetime.now(timezone.utc))
    with terminal.step("Ask Prometheus about after") as note:
        now = snapshot.ask(after, boards, env, note)
    folder = snapshot.new_folder(env, after.end)
    first, second = snapshot.every(was), snapshot.every(now)
    tops = {place: max(_top(one), _top(second[place])) for place, one in enumerate(first)}
    marks = [Mark(one.time.timestamp(), one.action.value, one.release) for one in moves]
    old = [one for one in marks if before.begin.timestamp() <= one.time < moment.timestamp()]
    since = [one for one in marks if one.time >= moment.timestamp()]
    with terminal.step("Draw the panels"):
        left = pictures.draw(c, first, old, before, folder, Look(WIDTH, "before", tops))
        right = pictures.draw(c, second, since, after, folder, Look(WIDTH, "after", tops, moment + span))
    pairs = zip(
        snapshot_page.sections(env, boards, was, left), snapshot_page.sections(env, boards, now, right), strict=True
    )
    page = folder / "index.html"
    words = {
        "title": f"{env.name}, {new[0].action.value} of {new[0].release[:12] or 'nothing'}",
        "well": ended is None,
        "said": ended.sentence if ended else "It arrived and is healthy.",
        "marks": snapshot_page.listed([*old, *since]),
        "length": moments.length(span),
        "moment": moments.shown(moment),
        "end": moments.shown(after.end),
        "sections": list(pairs),
    }
    write_text(page, snapshot_page.render(TEMPLATE, **words))
    return page


def _moves(c: Context, env: Environment) -> Sequence[Event]:
    """What was brought in, oldest first, as Git has it."""
    state = desired.fetch(c, target.of(c, env, up=False))
    return [event for event in reversed(state.events) if event.action in MOVES]


def _wait(watching: timedelta) -> None:
    """Gives Prometheus time to see the release; Ctrl-C is enough of it."""
    end = time.monotonic() + watching.total_seconds()
    if not watching:
        return
    with terminal.step(f"Look at the release for {moments.length(watching)}") as note:
        try:
            while (left := end - time.monotonic()) > 0:
                note(f"({left:.0f} s, Ctrl-C ends it)")
                time.sleep(min(left, 1.0))
        except KeyboardInterrupt:
            note("(that was enough)")


def _top(one: Drawn) -> float:
    """The highest value of a panel: the axes before and after are the same."""
    return max((value for series in one.series for _, value in series.points if value is not None), default=0.0)
