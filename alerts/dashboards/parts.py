"""What both dashboards are made of: data source, environment variable, panels of three kinds, releases marked."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, VisibilityMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# Whoever has a Grafana has a data source already: the dashboards take any Prometheus, and start with its default one.
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Okabe and Ito's, in the order of the drawn snapshots.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
WIDE, HIGH = 24, 8

# On every panel: the moments at which releases were brought in, which are the values of this series. The SDK has no
# fields for Prometheus' own part of an annotation, so build.py adds it as it is.
RELEASES: dict[str, Any] = {
    "name": "Releases",
    "datasource": {"type": "prometheus", "uid": "${datasource}"},
    "enable": True,
    "hide": False,
    "iconColor": GREEN,
    "expr": '1000 * slipway_release_timestamp_seconds{environment="$environment"}',
    "useValueForTime": True,
    "titleFormat": "{{action}} {{sha}}",
    "tagKeys": "action",
    "step": "15s",
}


def board(uid: str, title: str, description: str, environments: str, since: str) -> dashboard.Dashboard:
    """An empty dashboard. environments: the query of the variable's values, of which `environment` is what matches."""
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    variable = (
        dashboard.QueryVariable("environment")
        .label("Environment")
        .datasource(SOURCE)
        .query(environments)
        .regex("/^(?:slipway-)?(.+)$/")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["slipway", "generated"])
        .readonly()
        .timezone("utc")
        .time(f"now-{since}", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(source)
        .with_variable(variable)
    )


def query(expr: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A query over the shown span."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).datasource(SOURCE).range()


def curves(title: str, says: str, unit: str, *queries: prometheus.Dataquery, limit: float | None = None) -> Any:
    """Curves over time. limit: a value that is marked with a line."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .line_width(2)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull"])
        )
        .height(HIGH)
        .span(WIDE // 2)
    )
    steps = [models.Threshold(color=BLUE, value=None)]
    if limit is not None:
        from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
        from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode

        steps.append(models.Threshold(color=VERMILLION, value=limit))
        panel = panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    panel = panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    for one in queries:
        panel = panel.with_target(one)
    return panel


def number(title: str, says: str, unit: str, expr: str, none: str) -> Any:
    """One number. none: what is said where there is none."""
    single = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE)
    return (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .no_value(none)
        .thresholds(single.steps([models.Threshold(color=BLUE, value=None)]))
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(query(expr, "").instant())
        .height(4)
        .span(WIDE // 4)
    )


def lines(title: str, says: str, unit: str, expr: str, columns: dict[str, str], none: str) -> Any:
    """A table. columns: labels, and Value, with their headings, in the order in which they are shown."""
    shape = {
        "excludeByName": {"Time": True},
        "indexByName": {name: place for place, name in enumerate(columns)},
        "renameByName": columns,
    }
    return (
        table.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .no_value(none)
        .with_target(query(expr, "").instant().format(PromQueryFormat.TABLE))
        .with_transformation(models.DataTransformerConfig(id_val="organize", options=shape))
        .height(HIGH)
        .span(WIDE)
    )
