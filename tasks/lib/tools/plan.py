"""Makes sure that programs are there: what is missing is installed in one plan that says how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from invoke.context import Context

from tasks.lib import locks, terminal, trace
from tasks.lib.errors import Code, Stop
from tasks.lib.paths import cache
from tasks.lib.tools import find, gobuild, packages, pins
from tasks.lib.tools.apt import debian

WAIT_SECONDS = 3600.0
SHOWN = 3  # programs that a progress line names; all stand in the announcement
WORTH_SAYING = 20.0  # seconds; a shorter plan is over before its announcement is read


def path(c: Context, name: str) -> Path:
    """The file of one external program, installed when it is missing. Raises Stop (4) when it cannot be had."""
    return paths(c, [name])[name]


def paths(c: Context, names: Iterable[str]) -> dict[str, Path]:
    """The files of several programs by name; those that are missing are installed in one plan.

    Raises Stop: usage (2) for a name without a pin, could not run (4) when a program cannot be had.
    """
    rows = [pins.pin(name) for name in dict.fromkeys(names)]
    looks = {row.name: find.look(c, row) for row in rows}
    missing = [row for row in rows if looks[row.name].found is None]
    if missing:
        install(c, missing)
        looks.update({row.name: find.look(c, row) for row in missing})
    return {name: _need(look) for name, look in looks.items()}


def _need(look: find.Look) -> Path:
    if look.found is not None:
        return look.found.path
    why = "; ".join(look.rejected) or "it is not there"
    fix = getattr(look.pin, "install", f"./inv tools.install --only {look.pin.name}")
    raise Stop(
        f"{look.pin.name} ({find.wanted(look.pin)}) is needed for {look.pin.needed_for}: {why}", Code.COULD_NOT_RUN, fix
    )


@trace.aside()
def install(c: Context, rows: Sequence[pins.AnyPin]) -> None:
    """Installs programs in the order of the pins; what another process installed meanwhile is taken as it is.

    A plan that was cut short goes on where it was: each finished program is in its place already. Raises Stop (4).
    """
    for row in rows:
        if isinstance(row, pins.PathPin):
            _need(find.look(c, row))
    if of_debian := [row.package for row in rows if isinstance(row, pins.DebPin)]:
        debian(c, of_debian)
    order = list(pins.known())
    ours = sorted(
        (row for row in rows if isinstance(row, pins.GoPin | pins.PypiPin | pins.NpmPin)),
        key=lambda row: order.index(row.name),
    )
    helpers = {"go": path(c, "go")} if any(isinstance(row, pins.GoPin) for row in ours) else {}
    if any(isinstance(row, pins.NpmPin) for row in ours):
        helpers["node"] = path(c, "node")
    if ours:
        _one_at_a_time(c, ours, helpers)


def _one_at_a_time(c: Context, rows: Sequence[pins.AnyPin], helpers: dict[str, Path]) -> None:
    lock = cache() / "tools" / "install.lock"
    doing = lock.with_suffix(".doing")
    other = doing.read_text(encoding="utf-8") if doing.exists() else ""
    with locks.exclusive(lock, f"the installation of external programs{other}", WAIT_SECONDS):
        todo = [row for row in rows if find.look(c, row).found is None]
        clock = Clock(todo)
        if clock.left(0) > WORTH_SAYING:
            names = ", ".join(row.name for row in todo)
            terminal.say(f"Installing {names}: {clock.words(0)} in all, once; later runs find them in {cache()}")
        try:
            done = 0
            for batch in gobuild.batches(todo):
                title = _title(batch, done, len(todo))
                doing.write_text(f" ({title})", encoding="utf-8")
                began = time.monotonic()
                with terminal.step(title) as note:
                    note(f"all there at about {clock.end(done)}")
                    _install(c, batch, helpers)
                clock.finished(done, len(batch), time.monotonic() - began)
                done += len(batch)
        finally:
            doing.unlink(missing_ok=True)


def _title(batch: Sequence[pins.AnyPin], done: int, of: int) -> str:
    what = [f"{row.name} {getattr(row, 'version', '')}" for row in batch]
    if len(what) > SHOWN:
        what[SHOWN - 1 :] = [f"{len(what) - SHOWN + 1} more"]
    last = f" to {done + len(batch)}" if len(batch) > 1 else ""
    return f"Install {', '.join(what)} ({done + 1}{last} of {of})"


def _install(c: Context, batch: Sequence[pins.AnyPin], helpers: dict[str, Path]) -> None:
    if compiled := [row for row in batch if isinstance(row, pins.GoPin)]:
        gobuild.build(c, compiled, helpers["go"])
    for row in batch:
        if isinstance(row, pins.PypiPin):
            packages.wheel(c, row)
        elif isinstance(row, pins.NpmPin):
            packages.node(c, row, helpers["node"])


class Clock:
    """Says how long the rest of a plan takes, from the pins' seconds and how fast this machine was so far."""

    def __init__(self, rows: Sequence[pins.AnyPin]) -> None:
        begun = {row.group for row in pins.known().values() if pins.home(row).is_dir()}
        self.estimates = []
        for row in rows:
            self.estimates.append(row.seconds if row.group in begun else row.alone or row.seconds)
            begun.add(row.group)
        self.expected = self.took = 0.0

    def finished(self, first: int, programs: int, seconds: float) -> None:
        """Notes how long the next programs took together."""
        self.expected += sum(self.estimates[first : first + programs])
        self.took += seconds

    def left(self, done: int) -> float:
        """Seconds for all but the first `done` programs."""
        pace = min(max(self.took / self.expected, 0.1), 10.0) if self.expected else 1.0
        return sum(self.estimates[done:]) * pace

    def end(self, done: int) -> str:
        """The time of day at which all will be there, if the first `done` programs are."""
        return time.strftime("%H:%M", time.localtime(time.time() + self.left(done)))

    def words(self, done: int) -> str:
        """How long all but the first `done` programs take, for a reader."""
        seconds = self.left(done)
        return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(seconds, 1):.0f} s"
