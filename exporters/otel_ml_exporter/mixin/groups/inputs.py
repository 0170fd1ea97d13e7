"""Input: whether the model still gets what it was trained on."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import milliseconds, written
from otel_ml_exporter.mixin.groups.limits import limit as limit_of
from otel_ml_exporter.mixin.groups.shares import Share
from otel_ml_exporter.mixin.groups.verdicts import both, enough, past
from otel_ml_exporter.mixin.pack import Alert, Group, Recording, Rhythm
from otel_ml_exporter.mixin.promql import (
    BIN,
    FEATURE,
    MODEL,
    MODEL_VERSION,
    MODEL_VERSION_FEATURE,
    SIGNAL,
    VERSION,
    VIOLATION,
    Queries,
    equal,
)
from otel_ml_exporter.mixin.wording import COUNT, MODEL_AND_VERSION, PERCENT, label, look_up, of, top_three, value

CATEGORY = "input"
_STUCK = equal(VIOLATION, names.VIOLATION_STUCK)
_BROKEN = f'{VIOLATION}!="{names.VIOLATION_STUCK}"'
"""A value that only stays for long may be right: ModelStuckInput tells of it, and pages nobody."""
COUNTED = "model_version_feature:ml_feature_violations:increase{}"
REPEATED = "model_version_feature:ml_feature_repeats:ratio{}"
_USUAL = "model_version_feature:ml_baseline_bin_ratio:max"


def inputs(queries: Queries) -> Group:
    """The input, held to the schema of the baseline."""
    violations = Share(
        level="model_version_feature",
        by=MODEL_VERSION_FEATURE,
        part="ml_feature_violations",
        whole="ml_feature_observations",
        signal=names.SIGNAL_INPUT_VIOLATIONS,
        default=queries.knobs.input_violations,
        minimum=queries.knobs.minimum_samples,
        queries=queries,
    )
    counted = Rhythm("violations", queries.knobs.slower(2), (*_now(violations), *_lately(violations), _repeated(queries)))
    usual = Rhythm("baseline", queries.knobs.slower(4), (_usual(queries),))
    rules = (*violations.thresholds(), _broken(violations), _unknown(queries), _stuck(queries))
    return Group(CATEGORY, "Does the model still get what it was trained on?", rules, rhythms=(counted, usual))


def _now(violations: Share) -> tuple[Recording, Recording, Recording]:
    """The commonest kind of violation counts: a missing column is a missing value too, and must not count twice."""
    queries, window = violations.queries, violations.queries.knobs.rate_window
    kinds = f"sum by ({MODEL_VERSION_FEATURE}, {VIOLATION}) (increase({queries.series(names.FEATURE_VIOLATIONS, _BROKEN)}[{window}]))"
    counted = Recording(COUNTED.format(window), f"max by ({MODEL_VERSION_FEATURE}) (\n    {kinds}\n)")
    return counted, *violations.recordings(window, part=counted.record, whole=_rows(queries, window))


def _lately(violations: Share) -> tuple[Recording, ...]:
    """A long window, put together from short ones: to read the counters of every bin again would cost a hundred times as much."""
    knobs = violations.queries.knobs
    fast, slow = knobs.rate_window, knobs.short_window
    if slow == fast:
        return ()
    part, whole = (f"sum_over_time({record}[{slow}])" for record in (COUNTED.format(fast), violations.count(fast)))
    ratio = f"{part}\n/ on ({MODEL_VERSION_FEATURE})\n  ({whole} > 0)"
    return Recording(violations.count(slow), _rows(violations.queries, slow)), Recording(violations.ratio(slow), ratio)


def _rows(queries: Queries, window: str) -> str:
    """The rows of the model, for each feature: each row has one value of it, be it a missing one."""
    features = f"group by ({MODEL_VERSION_FEATURE}) ({COUNTED.format(queries.knobs.rate_window)})"
    rows = f"sum by ({MODEL_VERSION}) (increase({queries.series(names.INFERENCE_ROWS)}[{window}]))"
    return f"{features}\n* on ({MODEL_VERSION}) group_left ()\n  {rows}"


def _broken(violations: Share) -> Alert:
    """Kept while the short window still holds the broken rows, and the scores that this alert mutes with it."""
    queries = violations.queries
    fast, slow = queries.knobs.rate_window, queries.knobs.short_window
    of_model = (MODEL, VERSION)
    of_feature = (*of_model, FEATURE)
    limit = f"{violations.limit}{{{', '.join(of(*of_model))}}}"
    samples = f"{violations.count(slow)}{{{', '.join(of(*of_feature))}}}"
    kinds = f"sum by ({VIOLATION}) (increase({queries.series(names.FEATURE_VIOLATIONS, _BROKEN, *of(*of_feature))}[{fast}])) > 0"
    return Alert(
        name="ModelInputDataBroken",
        expr=violations.exceeded(),
        hold="10m",
        keep=written(milliseconds(slow) + milliseconds("30m")),
        severity=names.CRITICAL,
        category=CATEGORY,
        summary="The model gets broken input",
        description=(
            f"Feature {label(FEATURE)} of {MODEL_AND_VERSION}: {value(PERCENT)} of its values over {fast} violate "
            f"the baseline's schema (limit {look_up(limit, *of_model, form=PERCENT)}; {look_up(samples, *of_feature, form=COUNT)} values "
            f"in {slow}). Violations by type: {top_three(kinds, *of_feature, by=VIOLATION, form=COUNT)}."
        ),
        action="Call the owner of the feature's source; until it is fixed, serve the fallback or a version without the feature.",
        dashboard="otel-ml-drift?model&version&feature",
    )


def _enough(queries: Queries) -> str:
    return enough(queries, names.SIGNAL_FEATURE, queries.knobs.short_window, queries.knobs.minimum_samples)


def _unknown(queries: Queries) -> Alert:
    short = queries.knobs.short_window
    of_feature = (MODEL, VERSION, FEATURE)
    limit = queries.limit(names.SIGNAL_UNSEEN_VALUES, names.WARNING)
    shown = queries.limit(names.SIGNAL_UNSEEN_VALUES, names.WARNING, *of(MODEL, VERSION))
    samples = queries.samples(names.SIGNAL_FEATURE, short, *of(MODEL, VERSION))
    return Alert(
        name="ModelUnknownCategories",
        expr=both(past(queries.score(names.FEATURE_UNSEEN_RATIO, short), ">", limit), _enough(queries)),
        hold="30m",
        keep="15m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model gets unknown categories",
        description=(
            f"Feature {label(FEATURE)} of {MODEL_AND_VERSION}: {value(PERCENT)} of its values over {short} are "
            f"outside the baseline's vocabulary (limit {look_up(shown, MODEL, VERSION, form=PERCENT)}; "
            f"{look_up(samples, MODEL, VERSION, form=COUNT)} rows). Fullest bins: {_fullest(queries, *of_feature)}."
        ),
        action="Ask the owner of the feature's source about new or renamed values; map them, or retrain with them.",
        dashboard="otel-ml-drift?model&version&feature",
    )


def _usual(queries: Queries) -> Recording:
    """The share of the baseline's fullest bin; recorded, for it takes all bins of all features to tell."""
    bins = queries.series(names.BASELINE_BIN_RATIO, equal(SIGNAL, names.SIGNAL_FEATURE))
    return Recording(_USUAL, f"max by ({MODEL_VERSION_FEATURE}) ({bins})")


def _repeated(queries: Queries) -> Recording:
    """The share of values that only repeat one."""
    window = queries.knobs.rate_window
    kept = f"sum by ({MODEL_VERSION_FEATURE}) (increase({queries.series(names.FEATURE_VIOLATIONS, _STUCK)}[{window}]))"
    rows = f"sum by ({MODEL_VERSION}) (increase({queries.series(names.INFERENCE_ROWS)}[{window}]))"
    return Recording(REPEATED.format(window), f"{kept}\n/ on ({MODEL_VERSION}) group_left ()\n  ({rows} > 0)")


def _stuck(queries: Queries) -> Alert:
    """What the plugin tells within minutes, that calls repeat one value, or a window that is in one bin.

    A bin counts unless the baseline's own fullest bin holds nearly all. Kept like broken input, with the scores that this alert mutes.
    """
    fast, short = queries.knobs.rate_window, queries.knobs.short_window
    of_feature = (MODEL, VERSION, FEATURE)
    limit = limit_of(names.SIGNAL_INPUT_VIOLATIONS)
    most = queries.limit(names.SIGNAL_INPUT_SHARE, names.WARNING)
    usual = f"{_USUAL} >= {queries.knobs.usual_share}"
    full = f"{past(queries.score(names.FEATURE_TOP_BIN_RATIO, short), '>', most)}\nunless on ({MODEL_VERSION_FEATURE})\n  {usual}"
    repeats = f"{limit}{{{', '.join(of(MODEL, VERSION))}}}"
    shown = queries.limit(names.SIGNAL_INPUT_SHARE, names.WARNING, *of(MODEL, VERSION))
    samples = queries.samples(names.SIGNAL_FEATURE, short, *of(MODEL, VERSION))
    return Alert(
        name="ModelStuckInput",
        expr=f"{past(REPEATED.format(fast), '>', limit)}\nor on ({MODEL_VERSION_FEATURE}) (\n{both(full, _enough(queries))}\n)",
        hold="5m",
        keep=written(milliseconds(short) + milliseconds("30m")),
        severity=names.WARNING,
        category=CATEGORY,
        summary="A feature of the model is stuck",
        description=(
            f"Feature {label(FEATURE)} of {MODEL_AND_VERSION}: {value(PERCENT)} of its values are stuck: over {fast} they repeat one "
            f"value for longer than chance explains (limit {look_up(repeats, MODEL, VERSION, form=PERCENT)}), or over {short} they fall in "
            f"one bin (limit {look_up(shown, MODEL, VERSION, form=PERCENT)}; {look_up(samples, MODEL, VERSION, form=COUNT)} rows). "
            f"Fullest bins: {_fullest(queries, *of_feature)}."
        ),
        action="Check the feature's source: a sensor that repeats itself, a join that matches nothing, a default used for every row.",
        dashboard="otel-ml-drift?model&version&feature",
    )


def _fullest(queries: Queries, *labels: str) -> str:
    counts = queries.series(names.FEATURE_OBSERVATIONS, *of(*labels))
    return top_three(f"sum by ({BIN}) (increase({counts}[{queries.knobs.short_window}])) > 0", *labels, by=BIN, form=COUNT)
