"""Labels: whether outcomes still arrive, in time and for enough predictions; without them quality is blind."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import milliseconds, seconds, written
from otel_ml_exporter.mixin.groups.verdicts import both, enough, past, served
from otel_ml_exporter.mixin.pack import PROBLEM, RESTART, Alert, Group, Recording
from otel_ml_exporter.mixin.promql import MODEL, MODEL_VERSION, SIGNAL, VERSION, WINDOW, Queries, equal
from otel_ml_exporter.mixin.wording import AGE, COUNT, MODEL_AND_VERSION, PERCENT, label, look_up, of, value

CATEGORY = "labels"
DASHBOARD = "otel-ml-quality?model&version"
UNMATCHED = "unmatched"
LATE = equal(names.QUANTILE, "0.9")
LAST = f"model:{names.OUTCOME_LAST_TIMESTAMP.prometheus}:max"


def labels(queries: Queries) -> Group:
    """The labels: that they arrive, in time, and for enough predictions."""
    return Group(
        CATEGORY,
        "Do outcomes arrive, in time and for enough predictions?",
        (_last(queries), _stale(queries), _late(queries), _few(queries), _unmatched(queries)),
    )


def _delay(queries: Queries, *matchers: str) -> str:
    return queries.limit(names.SIGNAL_LABEL_DELAY, names.WARNING, *matchers)


def _last(queries: Queries) -> Recording:
    """When the last outcome of any version came; remembered, for the exporter forgets a version whose baseline is taken away."""
    return Recording(LAST, f"max by ({MODEL}) ({queries.series(names.OUTCOME_LAST_TIMESTAMP)})")


def _stale(queries: Queries) -> Alert:
    """Of a model that had outcomes once: one that never had any waits for none.

    Of all its versions: a new one would end the alert else, and one that is rolled back to would fire it for the time it was away.
    """
    model = (MODEL, VERSION)
    age = f"(time() - last_over_time({LAST}[{queries.knobs.memory_window}]))"
    late = f"(\n    {age}\n  > on ({MODEL}) group_right ()\n    2 * {_delay(queries)}\n)"
    samples = queries.samples(names.SIGNAL_PREDICTION, queries.knobs.long_window, *of(*model))
    return Alert(
        name="ModelLabelsStale",
        expr=both(late, served(queries)),
        hold="30m",
        keep=RESTART,
        severity=names.WARNING,
        category=CATEGORY,
        summary="No labels are arriving for the model",
        description=(
            f"The last outcome of model {label(MODEL)} arrived {value(AGE)} ago (limit: twice the expected delay "
            f"of {look_up(_delay(queries, *of(*model)), *model, form=AGE)}; {look_up(samples, *model, form=COUNT)} predictions of "
            f"version {label(VERSION)} in {queries.knobs.long_window}). Accuracy and calibration cannot be measured."
        ),
        action=(
            "Check the job that sends labels, then the exporter's answer to it; import what is missing with `otel-ml outcomes import`."
        ),
        dashboard=DASHBOARD,
    )


def _late(queries: Queries) -> Alert:
    long, model = queries.knobs.long_window, (MODEL, VERSION)
    samples = queries.samples(names.SIGNAL_PERFORMANCE, long, *of(*model))
    return Alert(
        name="ModelLabelDelayHigh",
        expr=both(past(queries.score(names.OUTCOME_DELAY, long, LATE), ">", _delay(queries)), served(queries)),
        hold="1h",
        keep="30m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="Labels for the model arrive late",
        description=(
            f"Of the outcomes of {MODEL_AND_VERSION} that arrived over {long}, one in ten took longer than {value(AGE)} "
            f"(limit {look_up(_delay(queries, *of(*model)), *model, form=AGE)}; {look_up(samples, *model, form=COUNT)} outcomes). "
            "Quality problems show that much later."
        ),
        action="Ask the owner of the labels what holds them up; if the delay is the new normal, raise the model's `label_delay`.",
        dashboard=DASHBOARD,
    )


def _few(queries: Queries) -> Alert:
    """Where labels come within a quarter of the window, and the model is older than half of it.

    So the predictions of the last hours, which have no label yet, are never the most of them.
    """
    long, model = queries.knobs.long_window, (MODEL, VERSION)
    window = queries.series(names.WINDOW_SAMPLES, equal(SIGNAL, names.SIGNAL_PREDICTION), equal(WINDOW, long))
    prompt = f"  {queries.score(names.OUTCOME_DELAY, long, LATE)} <= {seconds(long) / 4:g}"
    known = queries.limit(names.SIGNAL_LABEL_COVERAGE, names.WARNING, *of(*model))
    samples = queries.samples(names.SIGNAL_PREDICTION, long, *of(*model))
    return Alert(
        name="ModelLabelCoverageLow",
        expr=both(
            past(queries.score(names.OUTCOME_COVERAGE_RATIO, long), "<", queries.limit(names.SIGNAL_LABEL_COVERAGE, names.WARNING)),
            prompt,
            f"  max by ({MODEL_VERSION}) ({window} offset {written(milliseconds(long) // 2)}) > 0",
            enough(queries, names.SIGNAL_PREDICTION, long, queries.knobs.minimum_outcomes),
        ),
        hold="2h",
        keep="1h",
        severity=names.WARNING,
        category=CATEGORY,
        summary="Few predictions of the model get a label",
        description=(
            f"{value(PERCENT)} of the predictions of {MODEL_AND_VERSION} over {long} have an outcome "
            f"(limit {look_up(known, *model, form=PERCENT)}; {look_up(samples, *model, form=COUNT)} predictions). "
            "Quality scores cover only these, and they may be the easy ones."
        ),
        action="Compare the ids of predictions and outcomes: usually the join key changed; otherwise look for a label source that stopped.",
        dashboard=DASHBOARD,
    )


def _unmatched(queries: Queries) -> Alert:
    """Of the model, for an outcome without its prediction has no version; beside the pairs of all versions."""
    long = queries.knobs.long_window
    lost = f"max by ({MODEL}) ({queries.windowed(names.OUTCOME_UNMATCHED, long)})"
    pairs = f"sum by ({MODEL}) ({queries.samples(names.SIGNAL_PERFORMANCE, long)})"
    arrived = f"({lost} + on ({MODEL}) ({pairs} or on ({MODEL}) 0 * {lost}))"
    limit = queries.series(names.THRESHOLD, equal(SIGNAL, names.SIGNAL_OUTCOME_UNMATCHED))
    shown = queries.series(names.THRESHOLD, equal(SIGNAL, names.SIGNAL_OUTCOME_UNMATCHED), *of(MODEL))
    count = queries.windowed(names.OUTCOME_UNMATCHED, long, *of(MODEL))
    return Alert(
        name="ModelLabelCoverageLow",
        expr=(
            f"(\n    {lost}\n  / on ({MODEL})\n    ({arrived} >= {queries.knobs.minimum_outcomes})\n)\n"
            f"> on ({MODEL})\n  max by ({MODEL}) ({limit})"
        ),
        hold="1h",
        keep="1h",
        severity=names.WARNING,
        category=CATEGORY,
        labels={PROBLEM: UNMATCHED},
        summary="Outcomes of the model match no prediction",
        description=(
            f"{value(PERCENT)} of the outcomes of model {label(MODEL)} that arrived over {long} match no prediction "
            f"(limit {look_up(shown, MODEL, form=PERCENT)}; {look_up(count, MODEL, form=COUNT)} outcomes). "
            "Quality scores cover only the rest."
        ),
        action="Compare ids from both sides: the join key changed, or predictions are lost; fix it and send the outcomes again.",
        dashboard="otel-ml-quality?model",
    )
