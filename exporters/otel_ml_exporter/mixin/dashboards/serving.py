"""Serving: who calls, what fails, how long it takes, and which replicas and versions answer."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.drift import model_variables
from otel_ml_exporter.mixin.dashboards.parts import CHOSEN, Line, Panel, Place, Section
from otel_ml_exporter.mixin.groups.burns import FAST, SLOW, Budget
from otel_ml_exporter.mixin.groups.limits import limit
from otel_ml_exporter.mixin.groups.serving import WITHIN, calls_of_model
from otel_ml_exporter.mixin.promql import ACCEPTED, ERROR, FAILED, MODEL, REJECTED, ROLE, VERSION, Queries, equal

OF_VERSION = ", ".join(CHOSEN)
INTERVAL = "$__rate_interval"


def serving(queries: Queries) -> models.Dashboard:
    """Who calls, what fails, how long it takes, and which replicas and versions answer."""
    built = parts.frame("otel-ml-serving", "Models: serving", "Calls to one version: how many, how many failed, how long they took.")
    for variable in model_variables(queries):
        built = built.with_variable(variable)
    return parts.assembled(
        built,
        Section("", _totals(queries)),
        Section("Traffic", _traffic(queries)),
        Section("Errors", _errors(queries)),
        Section("Latency", _latency(queries)),
    )


def _totals(queries: Queries) -> list[Panel]:
    knobs = queries.knobs
    seen = f"last_over_time({queries.series(names.MODEL_INFO, equal(MODEL, '$model'))}[{knobs.long_window}])"
    left = "Bad calls over the longest burn-rate window, as a share of what the budget allows; above 100 % it is overspent."
    stated = f"{left} Empty until the exporter's configuration states a `latency` for the model."

    def spent(budget: Budget) -> str:
        allowed = f"{limit(budget.signal)}{{{OF_VERSION}}}"
        return f"{budget.ratio(knobs.middle_window)}{{{OF_VERSION}}} / {allowed}"

    return [
        parts.number(
            "Replicas that answer",
            "Of the replicas that served any version of the model lately, the share that answer their scrape.",
            parts.SHARE,
            Place(0, 0, 6, 4),
            f"avg(up and on (job, instance) {seen})",
        ),
        parts.number(
            "Stable versions",
            "Versions serving as stable; more than one for an hour fires ModelVersionSkew.",
            "short",
            Place(6, 0, 6, 4),
            f"count(group by ({VERSION}) ({queries.series(names.MODEL_INFO, equal(MODEL, '$model'), _stable())}))",
        ),
        parts.number("Error budget used", left, parts.SHARE, Place(12, 0, 6, 4), spent(_failed(queries)), alarm=parts.VERMILION),
        parts.number(
            "Latency budget used",
            stated,
            parts.SHARE,
            Place(18, 0, 6, 4),
            spent(_slow(queries)),
            alarm=parts.VERMILION,
            empty="no objective",
        ),
    ]


def _stable() -> str:
    return equal(ROLE, names.ROLE_STABLE)


def _failed(queries: Queries) -> Budget:
    return Budget("ml_inference_errors", names.SIGNAL_ERROR_BUDGET, queries)


def _slow(queries: Queries) -> Budget:
    return Budget("ml_inference_slow_calls", names.SIGNAL_LATENCY_BUDGET, queries)


def _count(queries: Queries, *matchers: str) -> str:
    return queries.series(names.INFERENCE_DURATION, *matchers, suffix="_count")


def _traffic(queries: Queries) -> list[Panel]:
    knobs = queries.knobs
    calls = f"{calls_of_model(knobs.traffic_window)}{{{equal(MODEL, '$model')}}}"
    of_model = equal(MODEL, "$model")
    rejected, every = (f"sum(rate({_count(queries, *which)}[{INTERVAL}]))" for which in ((*CHOSEN, REJECTED), CHOSEN))
    return [
        parts.lines(
            f"Calls, and {knobs.season} ago",
            f"All versions, over {knobs.traffic_window}; ModelTrafficDropped fires below {knobs.traffic_ratio:.0%} of the dashed line.",
            "short",
            Place(0, 0, 6, 8),
            Line(calls, "calls", parts.BLUE),
            Line(f"{calls} offset {knobs.season}", f"{knobs.season} ago", parts.GREY, dashed=True),
        ),
        parts.lines(
            "Calls by version",
            "Calls per second by version: in a rollout, one line takes over from another.",
            parts.CALLS,
            Place(6, 0, 6, 8),
            Line(f"sum by ({VERSION}) (rate({_count(queries, of_model)}[{INTERVAL}]))", f"version {{{{{VERSION}}}}}"),
        ),
        parts.lines(
            "Rows",
            "Rows given to the model per second; a batch is one call with many rows.",
            parts.ROWS,
            Place(12, 0, 6, 8),
            Line(f"sum(rate({queries.series(names.INFERENCE_ROWS, *CHOSEN)}[{INTERVAL}]))", "rows", parts.BLUE),
        ),
        parts.lines(
            "Rejected calls",
            "Share of calls whose input the monitor rejected: the caller's fault, in no error budget. The drift dashboard shows why.",
            parts.SHARE,
            Place(18, 0, 6, 8),
            Line(f"({rejected} or 0 * {every}) / ({every} > 0)", "rejected", parts.ORANGE),
        ),
    ]


def _burn(budget: Budget, title: str, bad: str) -> Panel:
    """The share of bad calls over the windows that must agree, beside the two limits that page."""
    knobs = budget.queries.knobs
    allowed = f"{limit(budget.signal)}{{{OF_VERSION}}}"
    shares = (
        (knobs.rate_window, parts.SKY),
        (knobs.slow_burn_window, parts.GREEN),
        (knobs.short_window, parts.BLUE),
        (knobs.middle_window, parts.PURPLE),
    )
    lines = [Line(f"{budget.ratio(window)}{{{OF_VERSION}}}", window, color) for window, color in dict(shares).items()]
    return parts.lines(
        title,
        f"{bad} It pages when {knobs.short_window} and {knobs.rate_window} are above the upper dashed line, or {knobs.middle_window} and "
        f"{knobs.slow_burn_window} above the lower one.",
        parts.SHARE,
        Place(0, 0, 12, 8),
        *lines,
        Line(f"{FAST} * {allowed}", f"{FAST} budgets", parts.VERMILION, dashed=True),
        Line(f"{SLOW} * {allowed}", f"{SLOW} budgets", parts.ORANGE, dashed=True),
    )


def _errors(queries: Queries) -> list[Panel]:
    kinds = f"sum by ({ERROR}) (rate({_count(queries, *CHOSEN, FAILED)}[{INTERVAL}]))"
    return [
        _burn(_failed(queries), "Failed calls", "Share of calls that raised an error."),
        parts.lines(
            "Errors by type",
            "Failed calls per second; ValueError and the like come from input or code, TimeoutError and MemoryError from the environment.",
            parts.CALLS,
            Place(12, 0, 6, 8),
            Line(kinds, f"{{{{{ERROR}}}}}"),
        ),
        parts.lines(
            "Errors by replica",
            "Failed calls per second; if only one replica fails, restart it.",
            parts.CALLS,
            Place(18, 0, 6, 8),
            Line(f"topk(10, sum by (instance) (rate({_count(queries, *CHOSEN, FAILED)}[{INTERVAL}])))", "{{instance}}"),
        ),
    ]


def _latency(queries: Queries) -> list[Panel]:
    buckets = queries.series(names.INFERENCE_DURATION, *CHOSEN, ACCEPTED, suffix="_bucket")

    def quantile(q: float, by: str = WITHIN) -> str:
        return f"histogram_quantile({q}, sum by ({by}) (rate({buckets}[{INTERVAL}]))) >= 0"

    return [
        _burn(
            _slow(queries),
            "Slow calls",
            "Share of calls that took longer than the `latency` stated in the exporter's configuration.",
        ),
        parts.lines(
            "Latency",
            "Half, 90 % and 99 % of calls are faster; the dashed line is the objective.",
            "s",
            Place(12, 0, 6, 8),
            Line(quantile(0.5), "p50", parts.SKY),
            Line(quantile(0.9), "p90", parts.BLUE),
            Line(quantile(0.99), "p99", parts.PURPLE),
            Line(f"{limit(names.SIGNAL_LATENCY)}{{{OF_VERSION}}}", "objective", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Latency p99 by replica",
            "One call in 100 is slower; if only one replica is slow, take it out of rotation.",
            "s",
            Place(18, 0, 6, 8),
            Line(f"topk(10, {quantile(0.99, f'instance, {WITHIN}')})", "{{instance}}"),
        ),
    ]
