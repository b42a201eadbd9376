"""The generated dashboards as data: what each panel asks, and how it is to be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.lib import paths
from tasks.lib.errors import Code, Stop
from tasks.lib.settings import Environment

GENERATED = paths.ROOT / "alerts" / "dashboards" / "generated"


class Loose(BaseModel):
    """Grafana's own files hold much that is of no use here."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Target(Loose):
    """One query of a panel. legend: the name of each series, with {{label}}."""

    expr: str = Field(min_length=1)
    legend: str = Field("", alias="legendFormat")


class Panel(Loose):
    """One panel. unit: Grafana's name of it; limits: values that are marked with a line."""

    title: str = Field(min_length=1)
    kind: Literal["timeseries", "stat", "table"] = Field(alias="type")
    description: str = Field(min_length=1)
    targets: list[Target] = Field(min_length=1)
    options: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    transformations: list[dict[str, Any]] = []

    @property
    def unit(self) -> str:
        return str(self.defaults.get("unit", ""))

    @property
    def none(self) -> str:
        """What is said where there is no value."""
        return str(self.defaults.get("noValue", "no data"))

    @property
    def limits(self) -> list[float]:
        steps = self.defaults.get("thresholds", {}).get("steps", [])
        return [float(step["value"]) for step in steps if step.get("value") is not None]

    @property
    def columns(self) -> dict[str, str]:
        """The labels, and Value, that a table shows, with their headings, in this order."""
        for one in self.transformations:
            if one.get("id") == "organize":
                shape = one["options"]
                names = sorted(shape["indexByName"], key=lambda name: int(shape["indexByName"][name]))
                return {name: shape["renameByName"].get(name, name) for name in names}
        return {}


class Dashboard(Loose):
    """annotation: the expression whose values are the moments, in ms, at which releases were brought in."""

    uid: str
    title: str
    panels: list[Panel]
    annotation: str = ""


def read(folder: Path = GENERATED) -> list[Dashboard]:
    """The dashboards that are checked in, the service's first. Raises Stop (2) when one is not as it was generated."""
    found = [_read(path) for path in sorted(folder.glob("*.json"), reverse=True)]
    if not found:
        raise Stop(f"{folder} holds no dashboards", Code.USAGE, "./inv observe.dashboards")
    return found


def _read(path: Path) -> Dashboard:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        for panel in data["panels"]:
            panel["defaults"] = panel.get("fieldConfig", {}).get("defaults", {})
        ours = [one.get("expr", "") for one in data["annotations"]["list"] if one.get("expr")]
        return Dashboard.model_validate({**data, "annotation": ours[0] if ours else ""})
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        why = " ".join(str(error).split())[:200]
        raise Stop(f"{path.name} is no dashboard of ours: {why}", Code.USAGE, "./inv observe.dashboards") from error


def filled(expr: str, env: Environment) -> str:
    """The expression for one environment."""
    return expr.replace("$environment", env.name)
