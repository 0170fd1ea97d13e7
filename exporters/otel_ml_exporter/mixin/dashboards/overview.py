"""The overview: every model and version, the one in trouble first."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.parts import Line, Panel, Place
from otel_ml_exporter.mixin.groups.serving import FAILED
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, MODEL_VERSION, VERSION, Queries, equal

MODELS = (f'{MODEL}=~"$model"', f'{VERSION}=~"$version"')
LEGEND = f"{{{{{MODEL}}}}} {{{{{VERSION}}}}}"
DURATION = names.INFERENCE_DURATION


def overview(queries: Queries) -> models.Dashboard:
    """Every model and version, the one in trouble first."""
    built = parts.frame("otel-ml-overview", "Models: overview", "Every model and version, worst first.", carry=False)
    built = built.with_variable(_several("model", "Model", f"label_values({queries.series(names.MODEL_INFO)}, {MODEL})"))
    versions = queries.series(names.MODEL_INFO, MODELS[0])
    built = built.with_variable(_several("version", "Version", f"label_values({versions}, {VERSION})"))
    panels = (*_states(queries), _models(queries), _alerts(), *_serving(queries), parts.row("The monitor itself", 24), *_monitor(queries))
    for panel in (*panels, parts.row("Rollout and abstention", 35), *_rollout(queries)):
        built = built.with_row(panel) if isinstance(panel, dashboard.Row) else built.with_panel(panel)
    return built.build()


def _several(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = parts.chooser(name, label, f"{label}s to show.", query).multi(True).include_all(True).all_value(".*")
    return variable.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))


def _known(queries: Queries) -> str:
    info = queries.series(names.MODEL_INFO, *MODELS)
    return f"group by ({MODEL_VERSION}) (last_over_time({info}[{queries.knobs.absence_window}]))"


def _state(queries: Queries) -> str:
    """2 where a critical alert fires for the model or the version, 1 where a warning does, else 0."""
    known = _known(queries)
    levels = []
    for level, severity in ((2, names.CRITICAL), (1, names.WARNING)):
        firing = f'alertstate="firing", {equal(names.SEVERITY, severity)}'
        levels.append(f"{level} * ({known} and on ({MODEL_VERSION}) ALERTS{{{firing}}})")
        levels.append(f'{level} * ({known} and on ({MODEL}) ALERTS{{{firing}, {VERSION}=""}})')
    return "\nor\n".join([*levels, f"0 * {known}"])


def _states(queries: Queries) -> list[Panel]:
    texts = {
        0: ("Models that are fine", "Versions without a firing alert."),
        1: ("Models to look at", "Versions with a warning: read it today."),
        2: ("Models to act on", "Versions with a page: act now."),
    }
    panels = []
    for index, level in enumerate((2, 1, 0)):
        text, _ = parts.STATES[str(level)]
        title, description = texts[level]
        expr = f"count((\n{_state(queries)}\n) == {level}) or vector(0)"
        panels.append(parts.number(f"{title} ({text})", description, "short", Place(8 * index, 0, 8, 3), expr))
    return panels


def _calls(queries: Queries, window: str, *matchers: str) -> str:
    return f"sum by ({MODEL_VERSION}) (rate({queries.series(DURATION, *MODELS, *matchers, suffix='_count')}[{window}]))"


def _errors(queries: Queries, window: str) -> str:
    calls = _calls(queries, window)
    return f"{_calls(queries, window, FAILED)} / on ({MODEL_VERSION}) ({calls} > 0) or on ({MODEL_VERSION}) 0 * ({calls} > 0)"


def _latency(queries: Queries, quantile: float, window: str) -> str:
    buckets = queries.series(DURATION, *MODELS, suffix="_bucket")
    return f"histogram_quantile({quantile}, sum by ({MODEL_VERSION}, le) (rate({buckets}[{window}]))) >= 0"


def _models(queries: Queries) -> Panel:
    window = queries.knobs.rate_window
    known = _known(queries)
    firing = f'count by ({MODEL}) (ALERTS{{alertstate="firing", {MODEL}=~"$model"}})'
    columns = {
        "State": _state(queries),
        "Calls": _calls(queries, window),
        "Errors": _errors(queries, window),
        "p50": _latency(queries, 0.5, window),
        "p99": _latency(queries, 0.99, window),
        "Drifted features": queries.score(names.DRIFTED_FEATURES_RATIO, queries.knobs.short_window, *MODELS),
        "Firing alerts": f"{known} * on ({MODEL}) group_left () {firing} or on ({MODEL_VERSION}) 0 * {known}",
    }
    description = (
        "One row a model and version, worst first. ACT: a page fires; LOOK: a warning fires. "
        f"Rates over {window}, drift over {queries.knobs.short_window}. A click on a model opens its drift, on a version its quality."
    )
    panel = parts.grid_table("Models", description, Place(0, 3, 24, 9))
    for ref, expr in zip("ABCDEFG", columns.values(), strict=True):
        panel = panel.with_target(parts.query(expr, ref, rows=True))
    panel = panel.with_transformation(parts.transformation("merge"))
    renamed = {MODEL: "Model", VERSION: "Version", **{f"Value #{ref}": title for ref, title in zip("ABCDEFG", columns, strict=True)}}
    order = {name: index for index, name in enumerate(["Value #A", MODEL, VERSION, *(f"Value #{ref}" for ref in "BCDEFG")])}
    panel = panel.with_transformation(
        parts.transformation("organize", excludeByName={"Time": True}, renameByName=renamed, indexByName=order)
    )
    panel = panel.sort_by([common.TableSortByFieldState().display_name("State").desc(True)])
    for title, unit in {"Calls": "reqps", "Errors": "percentunit", "p50": "s", "p99": "s", "Drifted features": "percentunit"}.items():
        panel = panel.override_by_name(title, [DynamicConfigValue(id_val="unit", value=unit)])
    panel = panel.override_by_name("Model", [_link("otel-ml-drift", "Drift")]).override_by_name(
        "Version", [_link("otel-ml-quality", "Quality")]
    )
    return panel.override_by_name("State", parts.colored_state())


def _link(uid: str, title: str) -> DynamicConfigValue:
    chosen = "var-model=${__data.fields.Model}&var-version=${__data.fields.Version}"
    url = f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}&{chosen}"
    return DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}])


def _alerts() -> Panel:
    shown = f"alertname, severity, category, {MODEL}, {VERSION}, {FEATURE}"
    firing = f'group by ({shown}) (ALERTS{{alertstate="firing", alertname=~"Model.*", {MODEL}=~"$model|all"}})'
    panel = parts.grid_table("Firing alerts", "What fires now, silenced or not; the runbook of each has its name.", Place(0, 12, 24, 6))
    renamed = {"alertname": "Alert", "severity": "Severity", "category": "Category", MODEL: "Model", VERSION: "Version", FEATURE: "Feature"}
    hidden = {"Time": True, "Value": True, "Value #A": True}
    panel = panel.with_target(parts.query(firing, "A", rows=True))
    return panel.with_transformation(parts.transformation("organize", excludeByName=hidden, renameByName=renamed))


def _serving(queries: Queries) -> list[Panel]:
    interval = "$__rate_interval"
    budget = queries.limit(names.SIGNAL_ERROR_BUDGET, names.CRITICAL, *MODELS)
    return [
        parts.lines("Traffic", "Calls of the model each second.", "reqps", Place(0, 18, 8, 6), Line(_calls(queries, interval), LEGEND)),
        parts.lines(
            "Failed calls",
            "Share of calls that raised an error; the dashed line is the budget.",
            "percentunit",
            Place(8, 18, 8, 6),
            Line(_errors(queries, interval), LEGEND),
            Line(budget, f"budget {LEGEND}", parts.BLACK, dashed=True),
        ),
        parts.lines(
            "Latency p99", "One call in a hundred is slower.", "s", Place(16, 18, 8, 6), Line(_latency(queries, 0.99, interval), LEGEND)
        ),
    ]


def _monitor(queries: Queries) -> list[Panel]:
    last = f"time() - max({queries.series(names.EXPORTER_LAST_EVALUATION)})"
    duration = f"max({queries.series(names.EXPORTER_EVALUATION_DURATION)})"
    failed = f"sum(increase({queries.series(names.EXPORTER_EVALUATION_ERRORS)}[$__range])) or vector(0)"

    def total(metric: names.Metric) -> str:
        return f"sum(rate({queries.series(metric, *MODELS)}[$__rate_interval])) or vector(0)"

    return [
        parts.number("Last evaluation", "How long ago the exporter ended its last evaluation.", "s", Place(0, 25, 6, 4), last),
        parts.number("Evaluation time", "How long the last evaluation took.", "s", Place(6, 25, 6, 4), duration),
        parts.number("Failed evaluations", "In the shown time.", "short", Place(12, 25, 6, 4), failed),
        parts.number(
            "Sources of counts that answer",
            "Share of the exporter's sources that answered its last query.",
            "percentunit",
            Place(18, 25, 6, 4),
            f"avg({queries.series(names.EXPORTER_SOURCE_UP)})",
        ),
        parts.lines(
            "Rows not counted, faults of the monitor",
            "Rows that the monitor could not count and faults inside it, each second; both should be zero.",
            "short",
            Place(0, 29, 24, 6),
            Line(total(names.MONITOR_DROPPED), "rows not counted", parts.ORANGE),
            Line(total(names.MONITOR_ERRORS), "faults", parts.VERMILION),
        ),
    ]


def _rollout(queries: Queries) -> list[Panel]:
    interval = "$__rate_interval"

    def rows(metric: names.Metric, *matchers: str) -> str:
        return f"sum by ({MODEL_VERSION}) (rate({queries.series(metric, *MODELS, *matchers)}[{interval}]))"

    def compared(result: str) -> str:
        return rows(names.SHADOW_COMPARISONS, equal(names.prometheus(names.SHADOW_RESULT), result))

    both = f"({compared(names.SHADOW_AGREE)} + on ({MODEL_VERSION}) {compared(names.SHADOW_DISAGREE)} > 0)"
    failed = f"{compared(names.SHADOW_ERROR)} + on ({MODEL_VERSION}) {compared(names.SHADOW_DROPPED)}"
    withheld = f"{rows(names.PREDICTION_ABSTENTIONS)} / on ({MODEL_VERSION}) ({rows(names.INFERENCE_ROWS)} > 0)"
    return [
        parts.lines(
            "Shadows that disagree",
            "Share of compared rows for which a shadow answers otherwise than the version that serves.",
            "percentunit",
            Place(0, 36, 8, 6),
            Line(f"{compared(names.SHADOW_DISAGREE)} / on ({MODEL_VERSION}) {both}", LEGEND),
        ),
        parts.lines(
            "Rows not compared",
            "Rows each second for which a shadow raised an error, or was left out because it was busy or late.",
            "rps",
            Place(8, 36, 8, 6),
            Line(failed, LEGEND),
        ),
        parts.lines(
            "Withheld predictions",
            "Share of rows for which the caller got the fallback.",
            "percentunit",
            Place(16, 36, 8, 6),
            Line(withheld, LEGEND),
        ),
    ]
