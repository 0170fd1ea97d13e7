"""How good the predictions of a window probably are, without a label: estimates from confidences, each with its interval."""

from __future__ import annotations

from collections.abc import Iterator

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate.performance import score_readings
from otel_ml_exporter.evaluate.readings import RESERVED, Reading, aligned
from otel_ml_exporter.thresholds import ESTIMATES, Limits

_ESTIMATES = {names.ESTIMATE_CBPE: stats.cbpe, names.ESTIMATE_ATC: stats.atc}


def estimate_readings(baseline: Baseline, counts: ModelCounts, window: str, limits: Limits) -> Iterator[Reading]:
    """The estimated accuracy; nothing where the baseline has no labels, counts no probabilities, or either side has too few samples.

    Both assume that what a confidence means has not changed since the baseline: they miss a changed relation between inputs
    and truth.
    """
    known, histogram = baseline.calibration, baseline.confidence
    if not limits.wants(ESTIMATES) or known is None or histogram is None or histogram.edges != known.edges:
        return
    if baseline.confidence_measure != "probability":
        return
    try:
        confidences = aligned(histogram, counts.confidences)[:-RESERVED]
    except StatisticsError:
        return
    if sum(confidences) < limits.minimum_samples or sum(known.outcomes) < limits.minimum_outcomes:
        return
    labels = (baseline.model, baseline.version, window)
    for estimate, function in _ESTIMATES.items():
        try:
            score = function(
                known.outcomes,
                known.positives,
                confidences,
                edges=known.edges,
                threshold=baseline.threshold,
                binary=baseline.task == "binary",
            )
        except StatisticsError:
            continue
        yield from score_readings(labels, "accuracy", estimate, stats.Interval(*score[:3]))
