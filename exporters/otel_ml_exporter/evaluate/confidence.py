"""How sure the model is of what it predicts, on average."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import Counts, ModelCounts
from otel_ml_exporter.evaluate.readings import RESERVED, Reading, aligned
from otel_ml_exporter.thresholds import OUTPUTS, Limits


def mean_confidence(baseline: Baseline, counts: Counts | None) -> float | None:
    """The mean confidence in the predicted class, of counts or of the baseline itself; None without any.

    Each confidence counts as the middle of its bin. Below a probability of 0.5 a binary model predicts the other class, of which it is
    sure by the rest.
    Raises `StatisticsError` for a bin that the baseline does not have.
    """
    histogram = baseline.confidence
    if histogram is None or histogram.edges is None:
        return None
    weights = np.array(histogram.counts if counts is None else aligned(histogram, counts), float)[:-RESERVED]
    if not weights.any():
        return None
    bounds = np.array([0.0, *histogram.edges, 1.0])
    middles = (bounds[:-1] + bounds[1:]) / 2
    if baseline.task == "binary" and baseline.confidence_measure == "probability":
        middles = np.maximum(middles, 1 - middles)
    return float(np.average(middles, weights=weights))


def confidence_readings(baseline: Baseline, counts: ModelCounts, window: str, limits: Limits) -> Iterator[Reading]:
    """The mean confidence of a window with enough predictions."""
    if not limits.wants(OUTPUTS) or sum(counts.confidences.values()) < limits.minimum_samples:
        return
    try:
        sure = mean_confidence(baseline, counts.confidences)
    except StatisticsError:
        return
    if sure is not None:
        yield Reading(names.CONFIDENCE_MEAN, (baseline.model, baseline.version, window), sure)
