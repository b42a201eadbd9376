"""Objectives (alerts/slo.yaml) as recording rules and burn-rate alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tasks.lib.observe import files
from tasks.lib.observe.files import FOLDER, Links, Strict

Window = Annotated[str, Field(pattern=r"^\d+[mhd]$")]
ENVIRONMENT = '{{ reReplaceAll "^slipway-" "" $labels.namespace }}'
RELEASE = (
    '{{ range $i, $pods := query (printf "slipway:pods:by_release{namespace=%q}" $labels.namespace)'
    ' | sortByLabel "release" }}{{ if $i }}, {{ end }}{{ $pods.Labels.release }}{{ end }}'
)


class Objective(Strict):
    """What share of requests has to be good. Exactly one of good and bad counts the requests, beside total."""

    name: str = Field(pattern=r"^[A-Z][a-z]+$")
    says: str = Field(min_length=3)
    target_percent: float = Field(gt=0, lt=100)
    good: str = ""
    bad: str = ""
    total: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_of(self) -> Objective:
        if bool(self.good) == bool(self.bad):
            raise ValueError("needs either good or bad, and not both")
        return self

    @property
    def budget(self) -> float:
        """The share of requests that may be bad."""
        return round(1 - self.target_percent / 100, 9)

    def count(self, function: str, window: Window) -> str:
        """PromQL for the bad requests per namespace over a window, with rate or increase."""
        if self.bad:
            return f"sum by (namespace) ({function}({self.bad}[{window}]))"
        return f"{self.all(function, window)}\n- sum by (namespace) ({function}({self.good}[{window}]))"

    def all(self, function: str, window: Window) -> str:
        """PromQL for all requests per namespace over a window."""
        return f"sum by (namespace) ({function}({self.total}[{window}]))"


class Burn(Strict):
    """How fast the budget may be used up before somebody hears of it."""

    name: str = Field(pattern=r"^[A-Z][a-z]+$")
    factor: float = Field(gt=0)
    long: Window
    short: Window
    severity: Literal["critical", "warning"]


class Slo(Strict):
    service: str
    window_days: int = Field(ge=1, le=90)
    objectives: list[Objective] = Field(min_length=1)
    burn_rates: list[Burn] = Field(min_length=1)
    minimum_bad: int = Field(ge=1)


def read(folder: Path = FOLDER) -> Slo:
    """The objectives. Raises Stop (2)."""
    return files.model(Slo, folder / "slo.yaml")


def rules(slo: Slo, links: Links) -> str:
    """The rule file of the objectives."""
    made: list[dict[str, Any]] = []
    for objective in slo.objectives:
        made += _records(slo, objective)
        made += [_alert(slo, objective, burn, links) for burn in slo.burn_rates]
    data = {"groups": [{"name": "slipway-slo", "interval": "15s", "rules": made}]}
    return files.GENERATED.format(source="alerts/slo.yaml") + files.text(data)


def _records(slo: Slo, objective: Objective) -> list[dict[str, Any]]:
    windows = dict.fromkeys(window for burn in slo.burn_rates for window in (burn.short, burn.long))
    made = {
        f"slipway:slo_bad_ratio:rate{window}": f"(\n{objective.count('rate', window)}\n)\n"
        f"/ {objective.all('rate', window)}\n"
        for window in windows
    }
    for burn in slo.burn_rates:
        made[f"slipway:slo_bad:increase{burn.long}"] = f"{objective.count('increase', burn.long)}\n"
    return [{"record": name, "expr": expr, "labels": {"slo": objective.name.lower()}} for name, expr in made.items()]


def _alert(slo: Slo, objective: Objective, burn: Burn, links: Links) -> dict[str, Any]:
    limit = f"{burn.factor:g} * {objective.budget:g}"
    chosen = f'{{slo="{objective.name.lower()}"}}'
    name = f"{objective.name}BudgetBurn{burn.name}"
    return {
        "alert": name,
        "expr": f"slipway:slo_bad_ratio:rate{burn.long}{chosen} > {limit}\n"
        f"and slipway:slo_bad_ratio:rate{burn.short}{chosen} > {limit}\n"
        f"and slipway:slo_bad:increase{burn.long}{chosen} >= {slo.minimum_bad}\n",
        "labels": {
            "severity": burn.severity,
            "service": slo.service,
            "environment": ENVIRONMENT,
            "team": "slipway",
        },
        "annotations": {
            "summary": f"{ENVIRONMENT} uses up its {objective.name.lower()} budget",
            "description": f"{{{{ $value | humanizePercentage }}}} of the requests of the last {burn.long} were bad; "
            f"{objective.target_percent:g} % have to be good ({objective.says}). The limit is {burn.factor:g} times "
            f"what the budget allows: at that rate {slo.window_days} days of it last "
            f"{slo.window_days / burn.factor:.3g} days.",
            "release": RELEASE,
            "runbook_url": f"{links.runbooks}/{name}.md",
            "dashboard_url": f"{links.dashboards}/slipway-service?var-environment={ENVIRONMENT}",
        },
    }
