"""Which classes there really are in a window, judged by what the model predicts there, while no label is known."""

from __future__ import annotations

from collections.abc import Iterator

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate.readings import Reading
from otel_ml_exporter.thresholds import ESTIMATES, Limits

_Z = 1.96


def share_readings(baseline: Baseline, counts: ModelCounts, window: str, limits: Limits) -> Iterator[Reading]:
    """The estimated share of each true class with its 95 % interval.

    Nothing where the baseline has no labels, either side has too few samples, a prediction is of no known class, or the model
    mistakes its classes so often that the estimate would be noise.
    """
    if baseline.confusion is None or not limits.wants(ESTIMATES):
        return
    predicted = [counts.predictions.get(name, 0.0) for name in baseline.classes]
    labelled = sum(map(sum, baseline.confusion))
    strange = sum(counts.predictions.values()) - sum(predicted) - counts.predictions.get(names.MISSING, 0.0)
    if sum(predicted) < limits.minimum_samples or labelled < limits.minimum_outcomes or strange > 0:
        return
    try:
        found = stats.bbse(baseline.confusion, predicted, design_effect=baseline.prediction_design_effect)
    except StatisticsError:
        return
    for name, share, error in zip(baseline.classes, found.shares.tolist(), found.errors.tolist(), strict=True):
        labels = (baseline.model, baseline.version, window, name)
        yield Reading(names.ESTIMATED_LABEL_RATIO, labels, share)
        yield Reading(names.ESTIMATED_LABEL_RATIO_LOW, labels, max(share - _Z * error, 0.0))
        yield Reading(names.ESTIMATED_LABEL_RATIO_HIGH, labels, min(share + _Z * error, 1.0))
