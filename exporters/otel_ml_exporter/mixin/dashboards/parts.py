"""What the dashboards share: colours, panels with a place, a unit and an explanation, variables, links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import barchart, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
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

BLACK: Final = "#595959"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
"""The palette of Okabe and Ito, which colour-blind people can tell apart."""

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN: Final = (equal(MODEL, "$model"), equal(VERSION, "$version"))
STATES: Final = {"0": ("OK", GREEN), "1": ("LOOK", ORANGE), "2": ("ACT", VERMILION)}

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


def lines(title: str, description: str, unit: str, place: Place, *drawn: Line, least: float | None = 0) -> Panel:
    """Lines over time; limits are dashed."""
    panel = _placed(timeseries.Panel(), title, description, unit, place).line_width(2).fill_opacity(0).legend(_legend())
    panel = panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)).no_value("no data")
    panel = panel if least is None else panel.min(least)
    for ref, line in zip("ABCDEFGH", drawn, strict=False):
        panel = panel.with_target(query(line.expr, ref, legend=line.legend))
        look = [fixed(line.color)] if line.color else []
        look += [DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]})] if line.dashed else []
        panel = panel.override_by_query(ref, look) if look else panel
    return panel


def number(title: str, description: str, unit: str, place: Place, expr: str, *, states: bool = False) -> Panel:
    """One number, or a state as text on its colour."""
    mode = BigValueColorMode.BACKGROUND if states else BigValueColorMode.NONE
    panel = _placed(stat.Panel(), title, description, unit, place).with_target(query(expr, "A", instant=True))
    panel = panel.color_mode(mode).graph_mode(BigValueGraphMode.NONE).no_value("no data")
    return panel.mappings([state_map()]) if states else panel


def state_map() -> ValueMap:
    """States as text and colour, so that no state is told by colour alone."""
    results = {value: ValueMappingResult(text=text, color=color, index=int(value)) for value, (text, color) in STATES.items()}
    return ValueMap(options=results)


def bars(title: str, description: str, place: Place, by: str, **columns: str) -> Panel:
    """Shares of bins side by side, each column a query."""
    panel = _placed(barchart.Panel(), title, description, "percentunit", place).x_field(by).legend(_legend()).min(0).no_value("no data")
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
    return _placed(table.Panel(), title, description, "short", place).no_value("none")


def colored_state() -> list[DynamicConfigValue]:
    """Field properties of a table's column of states."""
    mapping = {value: {"text": text, "color": color, "index": int(value)} for value, (text, color) in STATES.items()}
    return [
        DynamicConfigValue(id_val="mappings", value=[{"type": "value", "options": mapping}]),
        DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"}),
        DynamicConfigValue(id_val="custom.width", value=90),
    ]


def shares(counts: str, window: str) -> str:
    """The share of each bin of a counter over a window."""
    return f"sum by ({BIN}) (increase({counts}[{window}])) / on () group_left () (sum(increase({counts}[{window}])) > 0)"


def transformation(name: str, **options: Any) -> DataTransformerConfig:
    """A transformation of a panel's data."""
    return DataTransformerConfig(id_val=name, options=options)


def row(title: str, y: int) -> dashboard.Row:
    """A heading over the panels below it."""
    return dashboard.Row(title).grid_pos(GridPos(h=1, w=24, x=0, y=y))


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
    return dashboard.CustomVariable("window").label("Window").description("Over which the exporter compares.").values(windows)


def frame(uid: str, title: str, description: str, *, carry: bool = True) -> dashboard.Dashboard:
    """A dashboard with its data source, its links to the others, which `carry` the variables, and firing alerts as marks."""
    built = dashboard.Dashboard(title).uid(uid).description(f"{description} {MARK}").tags(["otel-ml"]).time("now-6h", "now").refresh("1m")
    built = built.tooltip(DashboardCursorSync.CROSSHAIR).editable().timezone("browser")
    links = dashboard.DashboardLink("Model dashboards").type(DashboardLinkType.DASHBOARDS).tags(["otel-ml"])
    built = built.link(links.include_vars(carry).keep_time(True))
    built = built.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    return built.annotation(_alert_marks()).annotation(_deployments())


def _alert_marks() -> dashboard.AnnotationQuery:
    firing = f'ALERTS{{alertstate="firing", {MODEL}=~"$model"}}'
    marks = dashboard.AnnotationQuery().name("Firing alerts").enable(True).datasource(DATASOURCE).icon_color(VERMILION)
    return marks.expr(firing)


def _deployments() -> dashboard.AnnotationQuery:
    """A version that reports, and did not a moment ago."""
    info = f'{names.MODEL_INFO.prometheus}{{{MODEL}=~"$model"}}'
    new = f"group by ({MODEL}, {VERSION}) ({info}) unless on ({MODEL}, {VERSION}) group by ({MODEL}, {VERSION}) ({info} offset 5m)"
    marks = dashboard.AnnotationQuery().name("Deployments").enable(True).datasource(DATASOURCE).icon_color(SKY)
    return marks.expr(new)
