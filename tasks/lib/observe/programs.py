"""What Prometheus' promtool says about the rules, and Alertmanager's amtool about where alerts go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from invoke.context import Context
from invoke.runners import Result
from pydantic import Field, RootModel

from tasks.lib import tools
from tasks.lib.errors import Code, Stop
from tasks.lib.observe import files, rules
from tasks.lib.observe.files import FOLDER, Strict
from tasks.lib.runner import run, tail

SECONDS = 600.0
FOUND = (1, 3)  # promtool and amtool: something is wrong with the files; promtool's lint


class Route(Strict):
    """An alert, and the receiver that it is expected to reach."""

    labels: dict[str, str] = Field(min_length=1)
    receiver: str = Field(min_length=1)


class Routes(RootModel[list[Route]]):
    pass


def _ask(c: Context, argv: Sequence[object], step: str) -> Result:
    """Raises Stop: findings (3) when the program does not like the files, could not run (4) for all other trouble."""
    result = run(c, argv, step=step, timeout=SECONDS, ok=(0, *FOUND), quiet=True)
    if result.exited:
        raise Stop(tail(result), Code.FINDINGS)
    return result


def check(c: Context, folder: Path = FOLDER) -> str:
    """Syntax, templates and duplicates of the rules; returns how much was looked at."""
    argv = [tools.path(c, "promtool"), "check", "rules", "--lint=all", "--lint-fatal", *rules.sources(folder)]
    _ask(c, argv, "check the rules")
    return f"{len(rules.read(folder))} rules"


def test(c: Context, path: Path) -> str:
    """Runs one file of unit tests; returns its name."""
    _ask(c, [tools.path(c, "promtool"), "test", "rules", path], "test the rules")
    return files.shown(path)


def config(folder: Path = FOLDER) -> Path:
    """Alertmanager's configuration file."""
    return folder / "alertmanager" / "alertmanager.yaml"


def check_config(c: Context, folder: Path = FOLDER) -> str:
    """Syntax of Alertmanager's configuration and templates."""
    _ask(c, [tools.path(c, "amtool"), "check-config", config(folder)], "check Alertmanager's configuration")
    return files.shown(config(folder))


def routes(c: Context, folder: Path = FOLDER) -> str:
    """Asks for every row of routes.yaml where it goes; returns how many rows there are."""
    rows = files.model(Routes, folder / "alertmanager" / "routes.yaml").root
    amtool, wrong = tools.path(c, "amtool"), []
    for row in rows:
        labels = [f"{name}={value}" for name, value in row.labels.items()]
        argv = [amtool, "config", "routes", "test", f"--config.file={config(folder)}", *labels]
        reached = _ask(c, argv, "ask amtool for a route").stdout.strip()
        if reached != row.receiver:
            wrong.append(f"{' '.join(labels)} goes to {reached}, wanted {row.receiver}")
    if wrong:
        raise Stop("\n".join(wrong), Code.FINDINGS)
    return f"{len(rows)} routes"
