"""Whether a Prometheus has what rules and panels ask for: an alert on a series that is not there never fires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, RootModel

from tasks.lib.errors import Code, Stop
from tasks.lib.observe import files, lint, panels, queries, ranges, rules
from tasks.lib.observe.files import FOLDER, Strict
from tasks.lib.observe.lint import Problem
from tasks.lib.observe.panels import Dashboard
from tasks.lib.observe.queries import Selector
from tasks.lib.observe.ranges import Prometheus
from tasks.lib.settings import SERVICE, Environment

WINDOW = timedelta(hours=1)
LATER = "later.yaml"


class Later(Strict):
    """A selection that may be empty.

    missing: `values` where the series and its labels are there and the values come later; `series` where it may all be
    absent.
    """

    selector: str = Field(min_length=1)
    missing: Literal["values", "series"]
    reason: str = Field(min_length=3)


class _Laters(RootModel[list[Later]]):
    pass


def later(folder: Path = FOLDER) -> dict[str, Later]:
    """The selections that may be empty, as they are written. Raises Stop (2)."""
    return {one.selector: one for one in files.model(_Laters, folder / LATER).root}


def check(address: str, env: Environment, folder: Path = FOLDER, boards: Sequence[Dashboard] | None = None) -> str:
    """Asks for every selection of the rules and panels; returns how many there are.

    env: whose panels. Raises Stop: findings (3) when one is missing, could not run (4) when Prometheus does not answer.
    """
    now = datetime.now(timezone.utc)
    server = Prometheus(address, now - WINDOW, now)

    @cache
    def there(selection: str) -> bool:
        return bool(ranges.ask(server, panels.filled(f"count({selection})", env), ""))

    asked = list(_asked(folder, panels.read() if boards is None else boards))
    declared = later(folder)
    whose: dict[tuple[str, str], list[str]] = {}
    for where, what, expr in asked:
        for why in dict.fromkeys(_all(expr, declared, there)):
            whose.setdefault((where, panels.filled(why, env)), []).append(what)
    found = [Problem(where, ", ".join(dict.fromkeys(names)), why) for (where, why), names in whose.items()]
    selections = {one.text for _, _, expr in asked for one in queries.selectors(expr)}
    found += [
        Problem(files.shown(folder / LATER), text, "neither a rule nor a panel asks for it")
        for text in sorted(declared.keys() - selections)
    ]
    if found:
        raise Stop("\n".join(f"{one.where}: {one.what}: {one.why}" for one in found), Code.FINDINGS)
    empty = sum(not there(text) for text in selections)
    return f"{len(selections)} selections, {empty} of them empty for a declared reason"


def scraped(address: str, env: Environment) -> bool:
    """Whether this Prometheus knows the environment's service at all. Raises Stop (4) when it does not answer."""
    now = datetime.now(timezone.utc)
    server = Prometheus(address, now - WINDOW, now)
    return bool(ranges.ask(server, f'up{{job="{SERVICE}", namespace="{env.namespace}"}}', ""))


def _asked(folder: Path, boards: Sequence[Dashboard]) -> Iterator[tuple[str, str, str]]:
    """File, alert or panel, expression."""
    for path, rule in rules.read(folder):
        yield files.shown(path), rule.alert or rule.record, rule.expr
    for board in boards:
        where = files.shown(panels.GENERATED / f"{board.uid}.json")
        for panel in board.panels:
            for target in panel.targets:
                yield where, panel.title, target.expr
        if board.annotation:
            yield where, "releases", board.annotation


def _all(expr: str, declared: Mapping[str, Later], there: Callable[[str], bool]) -> Iterator[str]:
    """What is missing of an expression."""
    selectors = [one for one in queries.selectors(expr) if one.name]  # the lint refuses those without a name
    reasons = [why for one in selectors if (why := _missing(one, declared.get(one.text), there))]
    yield from reasons
    if reasons or any(one.text in declared for one in selectors):
        return
    for label in sorted(queries.grouped_by(expr) - lint.EVERYWHERE):
        if not any(there(f'{one.name}{{{label}!=""}}') for one in selectors):
            yield f"groups by {label}, which none of its series has"


def _missing(selector: Selector, declared: Later | None, there: Callable[[str], bool]) -> str:
    if there(selector.text) or (declared and declared.missing == "series"):
        return ""
    if not there(selector.name):
        return f"there is no series {selector.name}"
    if absent := [label for label in sorted(selector.labels) if not there(f'{selector.name}{{{label}!=""}}')]:
        return f"{selector.name} has no label {', '.join(absent)}"
    return "" if declared else f"there is no {selector.text}, only others of that name"
