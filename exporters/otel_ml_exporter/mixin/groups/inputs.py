"""Input: whether the model still gets what it was trained on."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.shares import Share
from otel_ml_exporter.mixin.pack import Alert, Group, Recording
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, MODEL_VERSION_FEATURE, VERSION, VIOLATION, Queries
from otel_ml_exporter.mixin.wording import COUNT, PERCENT, label, look_up, of, top_three, value

CATEGORY = "input"


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
    recordings = [violations.threshold()]
    for window in queries.knobs.rate_windows:
        recordings += _values(violations, window)
    return Group(CATEGORY, "Does the model still get what it was trained on?", (*recordings, _broken(violations)))


def _values(violations: Share, window: str) -> tuple[Recording, Recording]:
    """The commonest kind of violation counts: a missing column is a missing value too, and must not count twice."""
    queries = violations.queries
    values = f"sum by ({MODEL_VERSION_FEATURE}) (increase({queries.series(names.FEATURE_OBSERVATIONS)}[{window}]))"
    kinds = f"sum by ({MODEL_VERSION_FEATURE}, {VIOLATION}) (increase({queries.series(names.FEATURE_VIOLATIONS)}[{window}]))"
    return violations.recordings(window, part=f"max by ({MODEL_VERSION_FEATURE}) (\n    {kinds}\n)", whole=values)


def _broken(violations: Share) -> Alert:
    queries = violations.queries
    fast, slow = queries.knobs.rate_window, queries.knobs.short_window
    of_model = (MODEL, VERSION)
    of_feature = (*of_model, FEATURE)
    limit = f"{violations.limit}{{{', '.join(of(*of_model))}}}"
    samples = f"{violations.count(slow)}{{{', '.join(of(*of_feature))}}}"
    kinds = f"sum by ({VIOLATION}) (increase({queries.series(names.FEATURE_VIOLATIONS, *of(*of_feature))}[{fast}])) > 0"
    return Alert(
        name="ModelInputDataBroken",
        expr=violations.exceeded(),
        hold="10m",
        keep="10m",
        severity=names.CRITICAL,
        category=CATEGORY,
        summary=f"Model {label(MODEL)} gets broken input",
        description=(
            f"Feature {label(FEATURE)} of model {label(MODEL)} version {label(VERSION)}: {value(PERCENT)} of its values over {fast} break "
            f"the baseline's schema (limit {look_up(limit, *of_model, form=PERCENT)}; {look_up(samples, *of_feature, form=COUNT)} values "
            f"in {slow}). Kinds and counts: {top_three(kinds, *of_feature, by=VIOLATION, form=COUNT)}."
        ),
        action="Call the owner of the feature's source; until it is mended, serve the fallback or a version without the feature.",
        dashboard="otel-ml-drift?model&version&feature",
    )
