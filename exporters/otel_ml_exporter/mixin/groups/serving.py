"""Serving: whether the model is there, is called, and answers in time."""

from __future__ import annotations

from textwrap import indent
from typing import Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.burns import CALLS, FAST, SLOW, Budget, calls_over, counted
from otel_ml_exporter.mixin.groups.limits import limit, thresholds
from otel_ml_exporter.mixin.groups.presence import last_seen, presence, replicas
from otel_ml_exporter.mixin.groups.rollout import CANARY_WORSE, worse
from otel_ml_exporter.mixin.pack import Alert, Group, Recording, Rhythm
from otel_ml_exporter.mixin.promql import ACCEPTED, ERROR, FAILED, MODEL, MODEL_VERSION, ROLE, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, MODEL_AND_VERSION, NUMBER, PERCENT, SECONDS, label, look_up, of, top_three, value

CATEGORY = "serving"
WITHIN: Final = "le"
"""The label of a histogram's buckets: calls that took at most so long."""
DASHBOARD: Final = "otel-ml-serving?model&version"

_OF_VERSION = ", ".join(of(MODEL, VERSION))


def serving(queries: Queries) -> Group:
    """The serving of the model: that it is there, is called, and answers in time."""
    errors = Budget("ml_inference_errors", names.SIGNAL_ERROR_BUDGET, queries)
    slow = Budget("ml_inference_slow_calls", names.SIGNAL_LATENCY_BUDGET, queries)
    recordings = (*last_seen(queries), *_limits(queries), *_counts(queries), *errors.recordings(), *slow.recordings(), _traffic(queries))
    alerts = (*presence(queries, CATEGORY), _failing(errors), _slow(slow), _dropped(queries), _skewed(queries))
    seen = Rhythm("replicas", queries.knobs.slower(4), (replicas(queries),))
    return Group(CATEGORY, "Is the model there, is it called, and does it answer in time?", (*recordings, *alerts), rhythms=(seen,))


def _limits(queries: Queries) -> tuple[Recording, ...]:
    knobs = queries.knobs
    return (
        *thresholds(queries, names.SIGNAL_ERROR_BUDGET, knobs.error_budget, names.CRITICAL),
        *thresholds(queries, names.SIGNAL_LATENCY, knobs.latency_objective, names.CRITICAL),
        *thresholds(queries, names.SIGNAL_LATENCY_BUDGET, knobs.latency_budget, names.CRITICAL),
    )


def _counts(queries: Queries) -> tuple[Recording, ...]:
    """Calls, failed calls and slow calls, without those that were rejected; a call that fails in time is not slow."""
    window = queries.knobs.rate_window

    def calls(window: str, matcher: str = ACCEPTED) -> str:
        return f"sum by ({MODEL_VERSION}) (increase({queries.series(names.INFERENCE_DURATION, matcher, suffix='_count')}[{window}]))"

    all_calls = counted(CALLS, window)
    recordings = [
        Recording(all_calls, calls(window)),
        Recording(counted("ml_inference_errors", window), f"{calls(window, FAILED)}\nor\n  0 * {all_calls}"),
        Recording(counted("ml_inference_slow_calls", window), f"{all_calls}\n- on ({MODEL_VERSION})\n  {_in_time(queries, window)}"),
    ]
    short, middle = queries.knobs.short_window, queries.knobs.middle_window
    if short != window:
        recordings.append(Recording(counted(CALLS, short), calls(short)))
    if middle not in (window, short):
        recordings.append(Recording(counted(CALLS, middle), calls_over(queries, middle)))
    return tuple(recordings)


def _in_time(queries: Queries, window: str) -> str:
    """Calls in the bucket of the objective."""
    buckets = f"increase({queries.series(names.INFERENCE_DURATION, ACCEPTED, suffix='_bucket')}[{window}])"
    bound = spelled(objective(limit(names.SIGNAL_LATENCY)))
    return f"sum by ({MODEL_VERSION}) (\n      {buckets}\n    and on ({MODEL_VERSION}, {WITHIN})\n      {bound}\n  )"


def objective(seconds: str) -> str:
    """The objective of each model and version as the bound of a bucket: a bound is a label, so the number becomes one."""
    return f'count_values by ({MODEL_VERSION}) ("{WITHIN}", {seconds})'


def spelled(bounds: str) -> str:
    """Bounds as any client writes them, `1` or `1.0`: there are fewer of them than of buckets."""
    return f'({bounds} or label_replace({bounds}, "{WITHIN}", "$1.0", "{WITHIN}", "([0-9]+)"))'


def calls_of_model(window: str) -> str:
    """The name of the recorded calls of all versions of a model, of which an idle one has 0."""
    return f"model:{CALLS}:increase{window}"


def _traffic(queries: Queries) -> Recording:
    window = queries.knobs.traffic_window
    calls = queries.series(names.INFERENCE_DURATION, suffix="_count")
    served = queries.series(names.MODEL_INFO)
    expr = f"sum by ({MODEL}) (increase({calls}[{window}]))\nor on ({MODEL})\n  0 * group by ({MODEL}) ({served})"
    return Recording(calls_of_model(window), expr)


def _rates(budget: Budget) -> str:
    """The share of bad calls over the windows of the burn rates."""
    knobs = budget.queries.knobs
    shown = (knobs.rate_window, knobs.short_window, knobs.middle_window)
    return ", ".join(
        f"{look_up(f'{budget.ratio(window)}{{{_OF_VERSION}}}', MODEL, VERSION, form=PERCENT)} over {window}" for window in shown
    )


def _limit_and_calls(budget: Budget) -> str:
    knobs = budget.queries.knobs
    allowed = look_up(f"{limit(budget.signal)}{{{_OF_VERSION}}}", MODEL, VERSION, form=PERCENT)
    calls, more = (
        look_up(f"{counted(CALLS, window)}{{{_OF_VERSION}}}", MODEL, VERSION, form=COUNT)
        for window in (knobs.short_window, knobs.middle_window)
    )
    return (
        f"The budget is {allowed}; this fires at {FAST} times that over {knobs.rate_window} and {knobs.short_window}, or at {SLOW} times "
        f"over {knobs.slow_burn_window} and {knobs.middle_window} ({calls} calls in {knobs.short_window}, {more} in {knobs.middle_window})."
    )


def _paged_as_canary(queries: Queries) -> str:
    """Leaves out canaries that a page of their own is about; a site that made it less than a page gets the burn's."""
    if queries.knobs.severity(names.CRITICAL, CANARY_WORSE) != queries.knobs.severity(names.CRITICAL):
        return ""
    return f"\nunless on ({MODEL_VERSION}) (\n{indent(worse(queries), '    ')}\n)"


def _failing(errors: Budget) -> Alert:
    queries = errors.queries
    kinds = queries.series(names.INFERENCE_DURATION, *of(MODEL, VERSION), FAILED, suffix="_count")
    top = top_three(f"sum by ({ERROR}) (rate({kinds}[{queries.knobs.rate_window}]))", MODEL, VERSION, by=ERROR, form=NUMBER)
    return Alert(
        name="ModelErrorBudgetBurn",
        expr=f"{errors.burning()}{_paged_as_canary(queries)}",
        hold="2m",
        keep="5m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary="Calls to the model are failing",
        description=(f"Calls to {MODEL_AND_VERSION} that failed: {_rates(errors)}. {_limit_and_calls(errors)} Errors per second: {top}."),
        action="Look up the most frequent error in the logs; roll back if it began with a deployment, otherwise switch to the fallback.",
        dashboard=DASHBOARD,
    )


def _slow(slow: Budget) -> Alert:
    queries = slow.queries
    window = queries.knobs.rate_window
    allowed = look_up(f"{limit(names.SIGNAL_LATENCY)}{{{_OF_VERSION}}}", MODEL, VERSION, form=SECONDS)
    buckets = queries.series(names.INFERENCE_DURATION, *of(MODEL, VERSION), ACCEPTED, suffix="_bucket")
    worst = f"histogram_quantile(0.99, sum by (instance, {WITHIN}) (rate({buckets}[{window}])))"
    return Alert(
        name="ModelLatencyBudgetBurn",
        expr=slow.burning(),
        hold="2m",
        keep="5m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary="The model is slow",
        description=(
            f"Calls to {MODEL_AND_VERSION} that took longer than {allowed}: {_rates(slow)}. "
            f"{_limit_and_calls(slow)} p99 in seconds by replica: {top_three(worst, MODEL, VERSION, by='instance', form=NUMBER)}."
        ),
        action="Roll back if it began with a deployment; if the load grew, add replicas; if one replica is slow, take it out of rotation.",
        dashboard=DASHBOARD,
    )


def _dropped(queries: Queries) -> Alert:
    knobs = queries.knobs
    calls = calls_of_model(knobs.traffic_window)
    least = 3 * knobs.minimum_calls
    before = look_up(f"{calls}{{{', '.join(of(MODEL))}}} offset {knobs.season}", MODEL, form=COUNT)
    return Alert(
        name="ModelTrafficDropped",
        expr=f"{calls}\n< on ({MODEL})\n  {knobs.traffic_ratio} * ({calls} offset {knobs.season} > {least})",
        hold="15m",
        keep="5m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="Traffic to the model has dropped",
        description=(
            f"Model {label(MODEL)} got {value(COUNT)} calls over {knobs.traffic_window}, but {before} at the same time {knobs.season} ago "
            f"(limit {knobs.traffic_ratio:.0%} of that, checked only above {least} calls)."
        ),
        action="Ask the callers' owners what they changed; check the route, the gateway and the flag that send traffic to the model.",
        dashboard="otel-ml-serving?model",
    )


def _skewed(queries: Queries) -> Alert:
    stable = equal(ROLE, names.ROLE_STABLE)
    rows = queries.series(names.INFERENCE_ROWS, *of(MODEL))
    shares = f"sum by ({VERSION}) (rate({rows}[{queries.knobs.rate_window}]))"
    return Alert(
        name="ModelVersionSkew",
        expr=f"count by ({MODEL}) (\n    group by ({MODEL_VERSION}) ({queries.series(names.MODEL_INFO, stable)})\n) > 1",
        hold="1h",
        severity=names.WARNING,
        category=CATEGORY,
        summary="Several versions of the model serve as stable",
        description=(
            f"{value(COUNT)} versions of model {label(MODEL)} have been serving as stable for an hour (limit 1). "
            f"Rows per second by version: {top_three(shares, MODEL, by=VERSION, form=NUMBER)}."
        ),
        action="Finish the rollout or roll it back; if both versions are intended, give one the role of canary.",
        dashboard="otel-ml-rollout?model",
    )
