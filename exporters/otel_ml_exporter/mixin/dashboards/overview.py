"""The overview: every model and version, the one in trouble first."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.parts import Line, Panel, Place, Section
from otel_ml_exporter.mixin.knobs import Knobs
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
    return parts.assembled(
        built,
        Section("", [*_states(queries), _models(queries), _alerts(queries)]),
        Section("Serving, the 20 highest", _serving(queries)),
    )


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
        firing = f'alertstate="firing", {equal(names.SEVERITY, queries.knobs.severity(severity))}'
        levels.append(f"{level} * ({known} and on ({MODEL_VERSION}) ALERTS{{{firing}}})")
        levels.append(f'{level} * ({known} and on ({MODEL}) ALERTS{{{firing}, {VERSION}=""}})')
    return "\nor\n".join([*levels, f"0 * {known}"])


def _states(queries: Queries) -> list[Panel]:
    texts = {
        0: ("Models that are fine", "Versions with no alert firing."),
        1: ("Models to look at", "Versions with a warning firing: read it today."),
        2: ("Models to act on", "Versions with a page firing: act now."),
    }
    panels = []
    for index, level in enumerate((2, 1, 0)):
        text, color = parts.STATES[str(level)]
        title, description = texts[level]
        expr = f"count((\n{_state(queries)}\n) == {level}) or vector(0)"
        panels.append(parts.number(f"{title} ({text})", description, "short", Place(8 * index, 0, 8, 3), expr, alarm=color))
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
        "One row per model and version, worst first. ACT: a page is firing; LOOK: a warning is firing. "
        f"Rates over {window}, drift over {queries.knobs.short_window}. Click a model for its drift, a version for its quality."
    )
    panel = parts.grid_table("Models", description, Place(0, 3, 24, 8))
    for ref, expr in zip("ABCDEFG", columns.values(), strict=True):
        panel = panel.with_target(parts.query(expr, ref, rows=True))
    panel = panel.with_transformation(parts.transformation("merge"))
    renamed = {MODEL: "Model", VERSION: "Version", **{f"Value #{ref}": title for ref, title in zip("ABCDEFG", columns, strict=True)}}
    order = {name: index for index, name in enumerate(["Value #A", MODEL, VERSION, *(f"Value #{ref}" for ref in "BCDEFG")])}
    panel = panel.with_transformation(
        parts.transformation("organize", excludeByName={"Time": True}, renameByName=renamed, indexByName=order)
    )
    panel = panel.sort_by([common.TableSortByFieldState().display_name(title).desc(True) for title in ("State", "Firing alerts")])
    for title, unit in {"Calls": parts.CALLS, "Errors": parts.SHARE, "p50": "s", "p99": "s", "Drifted features": parts.SHARE}.items():
        panel = panel.override_by_name(title, [DynamicConfigValue(id_val="unit", value=unit)])
    panel = panel.override_by_name("Model", [_link("otel-ml-drift", "Drift")]).override_by_name(
        "Version", [_link("otel-ml-quality", "Quality")]
    )
    return panel.override_by_name("State", parts.colored())


def _link(uid: str, title: str) -> DynamicConfigValue:
    chosen = "var-model=${__data.fields.Model:percentencode}&var-version=${__data.fields.Version:percentencode}"
    url = f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}&{chosen}"
    return DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}])


def _alerts(queries: Queries) -> Panel:
    """What fires, pages first; a click on an alert opens its runbook."""
    columns = {"alertname": "Alert", MODEL: "Model", VERSION: "Version", FEATURE: "Feature", "category": "Category"}
    shown = ", ".join(columns)
    knobs = queries.knobs
    critical, warning = (knobs.severity(level) for level in (names.CRITICAL, names.WARNING))
    levels: list[str] = []
    for level, severity in enumerate((f'!~"{critical}|{warning}"', f'="{warning}"', f'="{critical}"')):
        firing = f'ALERTS{{alertstate="firing", alertname=~"{knobs.prefix}.*", {names.SEVERITY}{severity}, {MODEL}=~"$model|all"}}'
        levels.insert(0, f"{level} * group by ({shown}) ({firing})")
    description = "What is firing now, silenced or not, pages first. Click an alert to open its runbook."
    panel = parts.grid_table("Firing alerts", description, Place(0, 11, 24, 8)).no_value("")
    panel = panel.with_target(parts.query(" or ".join(levels), "A", rows=True))
    order = {name: index for index, name in enumerate(["Value", *columns])}
    named = {**columns, "Value": "Severity"}
    panel = panel.with_transformation(parts.transformation("organize", excludeByName={"Time": True}, renameByName=named, indexByName=order))
    panel = panel.sort_by([common.TableSortByFieldState().display_name("Severity").desc(True)])
    page = knobs.runbook("${__value.raw}") if knobs.prefix == Knobs.prefix else knobs.runbook_url
    runbook = {"title": "Runbook", "url": page, "targetBlank": True}
    panel = panel.override_by_name("Alert", [DynamicConfigValue(id_val="links", value=[runbook]), parts.width(260)])
    severities = {"0": ("other", parts.BLUE), "1": (warning, parts.ORANGE), "2": (critical, parts.VERMILION)}
    return panel.override_by_name("Severity", parts.colored(severities))


def _serving(queries: Queries) -> list[Panel]:
    interval = "$__rate_interval"
    budget = f"min({queries.limit(names.SIGNAL_ERROR_BUDGET, names.CRITICAL, *MODELS)})"

    def highest(expr: str) -> Line:
        return Line(f"topk({parts.SHOWN}, {expr})", LEGEND)

    return [
        parts.lines("Traffic", "Calls to the model per second.", parts.CALLS, Place(0, 0, 8, 7), highest(_calls(queries, interval))),
        parts.lines(
            "Failed calls",
            "Share of calls that raised an error; the dashed line is the smallest budget of these models.",
            parts.SHARE,
            Place(8, 0, 8, 7),
            highest(_errors(queries, interval)),
            Line(budget, "budget", parts.VERMILION, dashed=True),
        ),
        parts.lines("Latency p99", "One call in 100 is slower.", "s", Place(16, 0, 8, 7), highest(_latency(queries, 0.99, interval))),
    ]
