"""The overview: every model and version, the one in trouble first."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.parts import Line, Panel, Place
from otel_ml_exporter.mixin.promql import ACCEPTED, FAILED, FEATURE, MODEL, MODEL_VERSION, VERSION, Queries, equal

MODELS = (f'{MODEL}=~"$model"', f'{VERSION}=~"$version"')
LEGEND = f"{{{{{MODEL}}}}} {{{{{VERSION}}}}}"
DURATION = names.INFERENCE_DURATION


def overview(queries: Queries) -> models.Dashboard:
    """Every model and version, the one in trouble first."""
    built = parts.frame("otel-ml-overview", "Models: overview", "Every model and version, worst first.", carry=False)
    built = built.with_variable(several("model", "Model", f"label_values({queries.series(names.MODEL_INFO)}, {MODEL})"))
    versions = queries.series(names.MODEL_INFO, MODELS[0])
    built = built.with_variable(several("version", "Version", f"label_values({versions}, {VERSION})"))
    panels = (*_states(queries), _models(queries), _alerts(), *_serving(queries))
    for panel in panels:
        built = built.with_row(panel) if isinstance(panel, dashboard.Row) else built.with_panel(panel)
    return built.build()


def several(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable of which several values, or all, are shown at once."""
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
    calls = _calls(queries, window, ACCEPTED)
    return f"{_calls(queries, window, FAILED)} / on ({MODEL_VERSION}) ({calls} > 0) or on ({MODEL_VERSION}) 0 * ({calls} > 0)"


def _latency(queries: Queries, quantile: float, window: str) -> str:
    buckets = queries.series(DURATION, *MODELS, ACCEPTED, suffix="_bucket")
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
