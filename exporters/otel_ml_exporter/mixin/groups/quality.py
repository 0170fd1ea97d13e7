"""Quality: whether the predictions are right, as far as outcomes are known or can be estimated."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.groups.floors import CATEGORY, DASHBOARD, ESTIMATE, FLOORS, METRIC, below_floor, judged
from otel_ml_exporter.mixin.groups.segments import GAPS, degraded
from otel_ml_exporter.mixin.groups.verdicts import both, enough, past
from otel_ml_exporter.mixin.pack import Alert, Group
from otel_ml_exporter.mixin.promql import BIN, FEATURE, MODEL, MODEL_VERSION, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, MODEL_AND_VERSION, PERCENT, SCORE, SUBJECT, look_up, of, top_three, value

ACCURACY = equal(METRIC, "accuracy")
ESTIMATED = (ACCURACY, equal(ESTIMATE, names.ESTIMATE_CBPE))


def quality(queries: Queries) -> Group:
    """The quality of predictions, as far as outcomes are known or can be estimated."""
    alerts = [*(below_floor(queries, floor) for floor in FLOORS), *(degraded(queries, gap) for gap in GAPS)]
    alerts += [_miscalibrated(queries), _estimated(queries)]
    return Group(CATEGORY, "Are the predictions right, as far as outcomes are known?", (*judged(queries), *alerts))


def _excess(queries: Queries, window: str) -> str:
    """The calibration error beyond what a calibrated model would show with as many outcomes."""
    error = queries.score(names.CALIBRATION_ECE, window)
    return f"{error}\n    - on ({MODEL_VERSION})\n      {queries.score(names.CALIBRATION_ECE_NOISE_FLOOR, window)}"


def _farthest_off(queries: Queries) -> str:
    """The bins with the largest gaps between what came true and what the confidences promised."""
    model, long = (MODEL, VERSION), queries.knobs.long_window
    pairs, positives, promised = (
        f"increase({queries.series(metric, *of(*model))}[{long}])"
        for metric in (names.OUTCOME_PAIRS, names.OUTCOME_POSITIVES, names.OUTCOME_CONFIDENCE_SUM)
    )
    gaps = f"max by ({BIN}) (abs(({positives} or 0 * {pairs}) - {promised}))"
    return top_three(gaps, *model, *model, *model, by=BIN, form=COUNT)


def _miscalibrated(queries: Queries) -> Alert:
    """The long window has the evidence; a short window that is good again, with enough outcomes, ends the alert early."""
    short, long = queries.knobs.short_window, queries.knobs.long_window
    minimum = queries.knobs.minimum_outcomes
    model = (MODEL, VERSION)
    limit = queries.limit(names.SIGNAL_CALIBRATION_ECE, names.WARNING)
    evidence = enough(queries, names.SIGNAL_CALIBRATION, long, minimum)
    recent = enough(queries, names.SIGNAL_CALIBRATION, short, minimum)
    error = queries.score(names.CALIBRATION_ECE, long, *of(*model))
    floor = queries.score(names.CALIBRATION_ECE_NOISE_FLOOR, long, *of(*model))
    shown = queries.limit(names.SIGNAL_CALIBRATION_ECE, names.WARNING, *of(*model))
    samples = queries.samples(names.SIGNAL_CALIBRATION, long, *of(*model))
    return Alert(
        name="ModelMiscalibrated",
        expr=(
            f"(\n    (\n      {_excess(queries, long)}\n    )\n  > on ({MODEL_VERSION})\n    {limit}\n)\n"
            f"and on ({MODEL_VERSION})\n{evidence}\n"
            f"unless on ({MODEL_VERSION}) (\n    (\n      {_excess(queries, short)}\n    )\n  <= on ({MODEL_VERSION})\n    {limit}\n"
            f"  and on ({MODEL_VERSION})\n  {recent}\n)"
        ),
        hold="30m",
        keep="1h",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model is miscalibrated",
        description=(
            f"{SUBJECT}: the confidence is off by {value(SCORE)} more than chance explains over {long} "
            f"(limit {look_up(shown, *model, form=SCORE)}; calibration error {look_up(error, *model, form=SCORE)}, noise floor "
            f"{look_up(floor, *model, form=SCORE)}; {look_up(samples, *model, form=COUNT)} outcomes). "
            f"Confidence bins that are off by most outcomes: {_farthest_off(queries)}."
        ),
        action="Stop relying on confidence cut-offs, check that outcomes are complete, then refit the calibrator.",
        dashboard=DASHBOARD,
    )


def _estimated(queries: Queries) -> Alert:
    """The whole interval of the estimate lies under what the baseline's labels showed, and by more than the limit."""
    short, model = queries.knobs.short_window, (MODEL, VERSION)

    def baseline(*matchers: str) -> str:
        return f"max by ({MODEL_VERSION}) ({queries.series(names.BASELINE_PERFORMANCE, ACCURACY, *matchers)})"

    def shown(metric: Metric) -> str:
        return look_up(queries.score(metric, short, *ESTIMATED, *of(*model)), *model, form=PERCENT)

    least = f"({baseline()} - on ({MODEL_VERSION}) {queries.limit(names.SIGNAL_ESTIMATED_DROP, names.WARNING)})"
    limit = queries.limit(names.SIGNAL_ESTIMATED_DROP, names.WARNING, *of(*model))
    samples = queries.samples(names.SIGNAL_CONFIDENCE, short, *of(*model))
    features = f"max by ({FEATURE}) ({queries.windowed(names.FEATURE_PSI, short, *of(*model))})"
    return Alert(
        name="ModelEstimatedAccuracyLow",
        expr=both(
            past(queries.score(names.PERFORMANCE_HIGH, short, *ESTIMATED), "<", least),
            enough(queries, names.SIGNAL_CONFIDENCE, short, queries.knobs.minimum_outcomes),
        ),
        hold="30m",
        keep="30m",
        severity=names.WARNING,
        category=CATEGORY,
        summary="The model's accuracy has probably dropped",
        description=(
            f"Estimated from its confidences, {MODEL_AND_VERSION} has an accuracy of {shown(names.PERFORMANCE)} over {short}, "
            f"at best {value(PERCENT)}; the baseline had {look_up(baseline(*of(*model)), *model, form=PERCENT)} "
            f"(limit {look_up(limit, *model, form=PERCENT)} less; {look_up(samples, *model, form=COUNT)} predictions). "
            f"No labels confirm it yet. Features that moved most, by PSI: {top_three(features, *model, by=FEATURE, form=SCORE)}."
        ),
        action="Check what has drifted; ask for early labels of recent cases; hold promotions of this version.",
        dashboard=DASHBOARD,
    )
