"""What the dashboards share: colours, panels with a place, a unit and an explanation, variables, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Final

from grafana_foundation_sdk.builders import barchart, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    GridPos,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.promql import BIN, MODEL, VERSION, Queries, equal
from otel_ml_exporter.mixin.yaml_text import MARK

GREY: Final = "#8C8C8C"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
"""The palette of Okabe and Ito, which colour-blind people can tell apart; grey for black, which no dark theme shows."""

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN: Final = (equal(MODEL, "$model"), equal(VERSION, "$version"))
STATES: Final = {"0": ("OK", GREEN), "1": ("LOOK", ORANGE), "2": ("ACT", VERMILION)}

SHARE: Final = "percentunit"
CALLS: Final = "reqps"
ROWS: Final = "suffix:rows/s"
PER_SECOND: Final = "suffix:/s"
_LEAST_TOP: Final = {SHARE: 0.01, CALLS: 0.1, ROWS: 0.1, PER_SECOND: 0.1, "short": 0.1}
"""How far up an axis reaches at least, by its unit: Grafana draws a line of zeros up to 10,000 % else."""

SHOWN: Final = 20
"""Lines in a panel: more would not be told apart."""

Panel = Any


@dataclass(frozen=True)
class Line:
    """One query of a panel: what it asks, what its results are called, and how it is drawn."""

    expr: str
    legend: str
    color: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Place:
    """Where a panel is on the grid of 24 columns."""

    x: int
    y: int
    w: int
    h: int

    @property
    def grid(self) -> GridPos:
        """The place as Grafana writes it."""
        return GridPos(x=self.x, y=self.y, w=self.w, h=self.h)


@dataclass(frozen=True)
class Section:
    """Panels under a heading, each with its place below it; a folded one asks nothing until it is opened."""

    title: str
    panels: Sequence[Panel]
    folded: bool = False


def assembled(built: dashboard.Dashboard, *sections: Section) -> models.Dashboard:
    """The dashboard with its sections one below the other; the first may be without a title."""
    top = 0
    for section in sections:
        row = dashboard.Row(section.title).grid_pos(GridPos(h=1, w=24, x=0, y=top))
        top += 1 if section.title else 0
        bottom = top
        for panel in section.panels:
            grid = panel.build().grid_pos
            bottom = max(bottom, top + grid.y + grid.h)
            panel.grid_pos(GridPos(x=grid.x, y=top + grid.y, w=grid.w, h=grid.h))
            row = row.with_panel(panel) if section.folded else row
        built = built.with_row(row) if section.title else built
        for panel in () if section.folded else section.panels:
            built = built.with_panel(panel)
        top = top if section.folded else bottom
    return built.build()


def query(expr: str, ref: str, *, legend: str = "", instant: bool = False, rows: bool = False) -> prometheus.Dataquery:
    """A query; `instant` asks for now, `rows` for a table."""
    built = prometheus.Dataquery().expr(expr).ref_id(ref).datasource(DATASOURCE).legend_format(legend or "__auto")
    built = built.instant().format(PromQueryFormat.TABLE) if rows else built.format(PromQueryFormat.TIME_SERIES)
    return built.instant() if instant or rows else built.range()


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)


def _placed(panel: Panel, title: str, description: str, unit: str, place: Place) -> Panel:
    return panel.title(title).description(description).unit(unit).datasource(DATASOURCE).grid_pos(place.grid)


def fixed(color: str) -> DynamicConfigValue:
    """A field property: one colour."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})


def lines(title: str, description: str, unit: str, place: Place, *drawn: Line, least: float | None = 0, empty: str = "") -> Panel:
    """Lines over time; limits are dashed. Without a `least` the axis shows where the lines are and not zero.

    `empty` is what no line at all means; Grafana says "No data" else. It would also stand at unlabelled ticks of a logarithmic axis.
    """
    panel = _placed(timeseries.Panel(), title, description, unit, place).line_width(2).fill_opacity(0).legend(_legend())
    panel = panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    panel = panel.no_value(empty) if empty else panel
    if least is not None:
        panel = panel.min(least)
        panel = panel.axis_soft_max(_LEAST_TOP[unit]) if unit in _LEAST_TOP else panel
    for ref, line in zip(ascii_uppercase, drawn, strict=False):
        panel = panel.with_target(query(line.expr, ref, legend=line.legend))
        look = [fixed(line.color)] if line.color else []
        look += [DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]})] if line.dashed else []
        panel = panel.override_by_query(ref, look) if look else panel
    return panel


def distance(title: str, description: str, place: Place, *drawn: Line) -> Panel:
    """Lines over time of a distance such as PSI, on a logarithmic axis, so that a limit shows beside what is far over it."""
    scale = common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
    return lines(title, description, "short", place, *drawn, least=None).scale_distribution(scale).decimals(3)


def number(title: str, description: str, unit: str, place: Place, expr: str, *, alarm: str = "", empty: str = "no data") -> Panel:
    """One number; in the colour `alarm`, if there is one, from 1 on."""
    panel = _placed(stat.Panel(), title, description, unit, place).with_target(query(expr, "A", instant=True))
    panel = panel.color_mode(BigValueColorMode.VALUE if alarm else BigValueColorMode.NONE).graph_mode(BigValueGraphMode.NONE)
    steps = [models.Threshold(value=None, color="text"), models.Threshold(value=1, color=alarm)]
    return panel.no_value(empty).thresholds(dashboard.ThresholdsConfig().steps(steps)) if alarm else panel.no_value(empty)


def state(title: str, description: str, place: Place, expr: str, states: Mapping[str, tuple[str, str]] = STATES) -> Panel:
    """A state as text on its colour, so that no state is told by colour alone."""
    panel = number(title, description, "short", place, expr).color_mode(BigValueColorMode.BACKGROUND)
    results = {
        value: ValueMappingResult(text=text, color=color, index=index) for index, (value, (text, color)) in enumerate(states.items())
    }
    return panel.mappings([ValueMap(options=results)])


def bars(title: str, description: str, place: Place, by: str, columns: Mapping[str, str]) -> Panel:
    """Shares of bins side by side, a query for each name in the legend."""
    panel = _placed(barchart.Panel(), title, description, SHARE, place).x_field(by).legend(_legend()).min(0).no_value("no data")
    for ref, expr in zip("ABC", columns.values(), strict=False):
        panel = panel.with_target(query(expr, ref, rows=True))
    panel = panel.with_transformation(transformation("joinByField", byField=by, mode="outer"))
    hidden = {"Time": True, **{f"Time {number}": True for number in range(1, len(columns) + 1)}}
    named = {f"Value #{ref}": name for ref, name in zip("ABC", columns, strict=False)}
    panel = panel.with_transformation(transformation("organize", excludeByName=hidden, renameByName=named))
    panel = panel.with_transformation(transformation("sortBy", sort=[{"field": by}]))
    for name, color in zip(columns, (BLUE, ORANGE, GREEN), strict=False):
        panel = panel.override_by_name(name, [fixed(color)])
    return panel


def heat(title: str, description: str, place: Place, expr: str, legend: str) -> Panel:
    """Shares of bins over time, darker where there are fewer."""
    colors = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Viridis").scale(HeatmapColorScale.LINEAR).steps(64)
    panel = _placed(heatmap.Panel(), title, description, "percentunit", place).calculate(False)
    cells = heatmap.CellValues().unit("percentunit")
    return (
        panel.color(colors.reverse(False).fill("dark-blue").exponent(0.5)).cell_values(cells).with_target(query(expr, "A", legend=legend))
    )


def grid_table(title: str, description: str, place: Place) -> Panel:
    """An empty table; queries become its columns by `column`."""
    return _placed(table.Panel(), title, description, "short", place).no_value("-").min_width(70)


def colored(states: Mapping[str, tuple[str, str]] = STATES) -> list[DynamicConfigValue]:
    """Field properties of a table's column of states: the text and the colour of each value."""
    mapping = {value: {"text": text, "color": color, "index": index} for index, (value, (text, color)) in enumerate(states.items())}
    return [
        DynamicConfigValue(id_val="mappings", value=[{"type": "value", "options": mapping}]),
        DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"}),
        DynamicConfigValue(id_val="custom.align", value="center"),
        width(90),
    ]


def width(pixels: int) -> DynamicConfigValue:
    """A field property of a table: how wide the column is."""
    return DynamicConfigValue(id_val="custom.width", value=pixels)


def shares(counts: str, window: str) -> str:
    """The share of each bin of a counter over a window."""
    return f"sum by ({BIN}) (increase({counts}[{window}])) / on () group_left () (sum(increase({counts}[{window}])) > 0)"


def transformation(name: str, **options: Any) -> DataTransformerConfig:
    """A transformation of a panel's data."""
    return DataTransformerConfig(id_val=name, options=options)


def chooser(name: str, label: str, description: str, asked: str, *, regex: str = "") -> dashboard.QueryVariable:
    """A variable whose values Prometheus knows; one value at a time."""
    sort = VariableSort.DISABLED if regex else VariableSort.ALPHABETICAL_ASC
    variable = dashboard.QueryVariable(name).label(label).description(description).query({"query": asked, "refId": name})
    variable = variable.datasource(DATASOURCE).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(sort)
    return variable.regex(regex) if regex else variable


def window_chooser(queries: Queries) -> dashboard.CustomVariable:
    """The windows that the exporter evaluates."""
    knobs = queries.knobs
    windows = ",".join(dict.fromkeys((knobs.short_window, knobs.long_window)))
    return dashboard.CustomVariable("window").label("Window").description("Window over which the exporter compares.").values(windows)


def frame(uid: str, title: str, description: str, *, carry: bool = True) -> dashboard.Dashboard:
    """A dashboard with its data source, its links to the others, and firing alerts as marks.

    One of a single model has links that `carry` it. Its name is no pattern: Grafana escapes only what may be several.
    """
    of_model = equal(MODEL, "$model") if carry else f'{MODEL}=~"$model"'
    built = dashboard.Dashboard(title).uid(uid).description(f"{description} {MARK}").tags(["otel-ml"]).time("now-6h", "now").refresh("1m")
    built = built.tooltip(DashboardCursorSync.CROSSHAIR).editable().timezone("browser")
    links = dashboard.DashboardLink("Model dashboards").type(DashboardLinkType.DASHBOARDS).tags(["otel-ml"])
    built = built.link(links.include_vars(carry).keep_time(True))
    built = built.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    return built.annotation(_alert_marks(of_model)).annotation(_deployments(of_model))


def _alert_marks(of_model: str) -> dashboard.AnnotationQuery:
    firing = f'ALERTS{{alertstate="firing", {of_model}}}'
    marks = dashboard.AnnotationQuery().name("Firing alerts").enable(True).datasource(DATASOURCE).icon_color(VERMILION)
    return marks.expr(firing)


def _deployments(of_model: str) -> dashboard.AnnotationQuery:
    """A version that reports, and did not a moment ago."""
    info = f"{names.MODEL_INFO.prometheus}{{{of_model}}}"
    new = f"group by ({MODEL}, {VERSION}) ({info}) unless on ({MODEL}, {VERSION}) group by ({MODEL}, {VERSION}) ({info} offset 5m)"
    marks = dashboard.AnnotationQuery().name("Deployments").enable(True).datasource(DATASOURCE).icon_color(SKY)
    return marks.expr(new)
