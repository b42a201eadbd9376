"""Everything that observe.alerts looks at, each check on its own, so that one that cannot run hides no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from invoke.context import Context

from tasks.lib.errors import Code, Stop
from tasks.lib.observe import existing, files, lint, programs, rules
from tasks.lib.observe.files import FOLDER, RUNBOOKS
from tasks.lib.quality import Result
from tasks.lib.settings import Environment

Check = Callable[[], str]


def alerts(
    c: Context, folder: Path = FOLDER, runbooks: Path = RUNBOOKS, against: tuple[str, Environment] | None = None
) -> list[Result]:
    """Runs all checks of the alerts, as many at a time as there are cores; the order is always the same.

    against: the address of a Prometheus that is asked for every series, and the environment whose panels are meant.
    """
    found: dict[str, Check] = {
        "rules (promtool)": partial(programs.check, c, folder),
        "Alertmanager (amtool)": partial(programs.check_config, c, folder),
        "routes (amtool)": partial(programs.routes, c, folder),
        "generated files": partial(_current, folder),
        "labels, links, series": partial(_linted, folder, runbooks),
    }
    if against:
        found["series in Prometheus"] = partial(existing.check, *against, folder)
    for path in sorted((folder / "tests").glob("*.yaml")):
        found[f"test {path.stem} (promtool)"] = partial(programs.test, c, path)
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(_run, found, found.values()))


def _run(name: str, check: Check) -> Result:
    began = time.monotonic()
    try:
        said = check()
    except Stop as stop:
        could_not = stop.code == Code.COULD_NOT_RUN
        return Result(name, "could not run" if could_not else "findings", time.monotonic() - began, stop.sentence)
    return Result(name, "ok", time.monotonic() - began, said)


def _current(folder: Path) -> str:
    if stale := rules.stale(folder):
        names = ", ".join(files.shown(path) for path in stale)
        raise Stop(f"not what their sources say: {names}", Code.FINDINGS, "./inv observe.alerts --fix")
    return "current"


def _linted(folder: Path, runbooks: Path) -> str:
    if problems := lint.alerts(folder, runbooks):
        raise Stop("\n".join(f"{one.where}: {one.what}: {one.why}" for one in problems), Code.FINDINGS)
    return f"{len(lint.series(folder))} series"
