"""Which rows there are, and one run of some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from invoke.context import Context

from tasks.lib import terminal
from tasks.lib.bench import (
    alert_lab,
    alerting,
    building,
    downtime,
    listing,
    platform,
    scanning,
    signals,
    sizes,
    verifying,
    way,
)
from tasks.lib.bench.rows import Row
from tasks.lib.bench.stage import Stage
from tasks.lib.errors import Code, Stop

# In the order of a run: what needs an undisturbed machine first, what takes the lab away last.
MEASURES: dict[str, Callable[[Stage], Row]] = {
    "list": listing.listing,
    "signals": signals.throughput,
    "signals-p99": signals.slowest,
    "metrics": signals.scrape,
    "alert": alerting.alert,
    "scan": scanning.scan,
    "rescan": scanning.rescan,
    "secrets": scanning.history,
    "secrets-push": scanning.push,
    "image": sizes.added,
    "infra": building.apply,
    "infra-drift": building.drift,
    "verify": verifying.verify,
    "arrive": way.arrive,
    "rollback": way.rollback,
    "warm": way.warm,
    "memory": platform.memory,
    "downtime": downtime.downtime,
    "alert-lab": alert_lab.alert,  # the monitoring stays
    "lab-up": platform.lab_up,
}


def choose(names: Sequence[str]) -> list[str]:
    """The rows of these names in the order of a run; all when none is named. Raises Stop (2) for unknown ones."""
    unknown = sorted(set(names) - set(MEASURES))
    if unknown:
        raise Stop(
            f"unknown rows {', '.join(unknown)}; there are: {', '.join(MEASURES)}", Code.USAGE, "./inv bench --row list"
        )
    return [name for name in MEASURES if name in names or not names]


def refuse_strays(argv: Sequence[str], named: Sequence[str]) -> None:
    """`./inv bench rollback` would measure and then really roll back: Invoke takes the second word for a task.

    Raises Stop (2) when a word after `bench` is a row that was not named as one.
    """
    words = argv[argv.index("bench") + 1 :] if "bench" in argv else []
    strays = [word for word in words if word in MEASURES and word not in named]
    if strays:
        raise Stop(
            f"rows are named after two dashes, or {strays[0]} is a task",
            Code.USAGE,
            f"./inv bench -- {' '.join(strays)}",
        )


def measure(c: Context, names: Sequence[str], yes: bool = False) -> list[Row]:
    """Measures these rows. A row that could not be measured says why and does not keep the others from running."""
    chosen = choose(names)
    if "lab-up" in chosen:
        platform.agree(c, yes)
    stage = Stage(c)
    rows = []
    try:
        for name in chosen:
            rows.append(_one(stage, name))
    finally:
        _close(stage)
    return rows


def _close(stage: Stage) -> None:
    """What could not be tidied up takes nothing away from what was measured."""
    try:
        stage.close()
    except Stop as stop:
        terminal.warn(f"the benchmark's environment is still there in part: {stop.sentence}")


def _one(stage: Stage, name: str) -> Row:
    try:
        with terminal.step(f"Measure {name}"):
            return MEASURES[name](stage)
    except Stop as stop:
        what = (MEASURES[name].__doc__ or name).split(":")[0].split(",")[0].splitlines()[0]
        return Row(name=name, what=what, unit="", error=stop.sentence)
