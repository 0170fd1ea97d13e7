"""Each declared segment of the traffic against all the others, at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Histogram
from otel_ml.catalogue import Metric
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import Counts, ModelCounts
from otel_ml_exporter.evaluate.noise import of_output
from otel_ml_exporter.evaluate.outputs import counts_of, signals
from otel_ml_exporter.evaluate.readings import Reading, Vector, aligned
from otel_ml_exporter.thresholds import OUTPUTS, Limits

MAX_SEGMENTS = 101
"""Most segments that are compared, those with the most predictions: the plugin has no more."""


_METRICS: Mapping[str, tuple[Metric, Metric]] = {
    names.SIGNAL_PREDICTION: (names.SEGMENT_PREDICTION_PSI, names.SEGMENT_PREDICTION_PSI_NOISE_FLOOR),
    names.SIGNAL_CONFIDENCE: (names.SEGMENT_CONFIDENCE_PSI, names.SEGMENT_CONFIDENCE_PSI_NOISE_FLOOR),
}


def segment_readings(baseline: Baseline, counts: ModelCounts, window: str, limits: Limits) -> Iterator[Reading]:
    """The PSI of predictions and confidences of each segment against the rest, where both sides have enough of them."""
    for signal, histogram, *_ in signals(baseline) if limits.wants(OUTPUTS) and counts.segments else ():
        if signal in _METRICS:
            parts = _aligned(histogram, {name: counts_of(segment, signal) for name, segment in counts.segments.items()})
            yield from _against_rest(baseline, signal, parts, window, limits)


def _aligned(histogram: Histogram, bins: Mapping[str, Counts]) -> dict[str, Vector]:
    """The counts of each segment in the order of the baseline's bins; nothing where one is in a bin that the baseline does not have."""
    try:
        return {name: np.array(aligned(histogram, counted)) for name, counted in bins.items()}
    except StatisticsError:
        return {}


def _against_rest(baseline: Baseline, signal: str, parts: Mapping[str, Vector], window: str, limits: Limits) -> Iterator[Reading]:
    whole = np.sum(list(parts.values()), axis=0)
    noise = of_output(baseline, signal)
    chosen = sorted(parts, key=lambda name: (-parts[name].sum(), name))[:MAX_SEGMENTS]
    for name in chosen:
        actual, rest = parts[name], np.maximum(whole - parts[name], 0.0)
        if min(actual.sum(), rest.sum()) >= limits.minimum_samples:
            psi = stats.psi(rest, actual, **noise._replace(alpha=noise.alpha / len(chosen))._asdict())
            labels = (baseline.model, baseline.version, name, window, names.REFERENCE_REST)
            for metric, value in zip(_METRICS[signal], (psi.value, psi.noise_floor), strict=True):
                yield Reading(metric, labels, value)
