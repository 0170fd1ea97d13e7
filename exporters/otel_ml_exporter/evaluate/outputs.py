"""What the model answers in a window: predictions, confidences, energies and the rows' distances, beside what is expected."""

from __future__ import annotations

from collections.abc import Iterator

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Histogram
from otel_ml.catalogue import Metric
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import Counts, ModelCounts, Segment
from otel_ml_exporter.evaluate.noise import Noise, of_further, of_output
from otel_ml_exporter.evaluate.readings import Reading, aligned
from otel_ml_exporter.thresholds import OUTPUTS, Limits


def signals(baseline: Baseline) -> Iterator[tuple[str, Histogram, Metric, Metric]]:
    """What a baseline knows beside its features, and where its scores are published."""
    if baseline.prediction is not None:
        yield names.SIGNAL_PREDICTION, baseline.prediction, names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR
    if baseline.confidence is not None:
        yield names.SIGNAL_CONFIDENCE, baseline.confidence, names.CONFIDENCE_PSI, names.CONFIDENCE_PSI_NOISE_FLOOR
    if baseline.outliers is not None:
        yield names.SIGNAL_OUTLIER, baseline.outliers.histogram, names.OUTLIER_PSI, names.OUTLIER_PSI_NOISE_FLOOR
    if baseline.energy is not None:
        yield names.SIGNAL_ENERGY, baseline.energy, names.ENERGY_PSI, names.ENERGY_PSI_NOISE_FLOOR


def output_samples(baseline: Baseline, counts: ModelCounts | None, window: str) -> Iterator[Reading]:
    """How many samples of each output there are, enough or not."""
    for signal, *_ in signals(baseline):
        samples = 0.0 if counts is None else sum(counts_of(counts, signal).values())
        yield Reading(names.WINDOW_SAMPLES, (baseline.model, baseline.version, window, signal), samples)


def output_readings(
    baseline: Baseline,
    counts: ModelCounts,
    other: ModelCounts | None,
    window: str,
    limits: Limits,
    *,
    reference: str,
    problems: list[str],
) -> Iterator[Reading]:
    """The PSI of each output with enough samples, against the baseline or against `other` counts in the same bins."""
    labels = (baseline.model, baseline.version, window, reference)
    for signal, histogram, psi_metric, floor_metric in signals(baseline) if limits.wants(OUTPUTS) else ():
        try:
            reference_counts = None if other is None else counts_of(other, signal)
            psi = _psi(histogram, counts_of(counts, signal), reference_counts, of_output(baseline, signal), limits)
        except StatisticsError as error:
            problems.append(f"{signal}: {error}")
            continue
        if psi is not None:
            yield Reading(psi_metric, labels, psi.value)
            yield Reading(floor_metric, labels, psi.noise_floor)


def further_readings(
    baseline: Baseline,
    counts: ModelCounts,
    other: ModelCounts | None,
    window: str,
    limits: Limits,
    *,
    reference: str,
    problems: list[str],
) -> Iterator[Reading]:
    """The PSI of each output beside the first, as `output_readings` gives that of the first."""
    for output in baseline.outputs if limits.wants(OUTPUTS) else ():
        try:
            reference_counts = None if other is None else other.outputs.get(output.name, {})
            psi = _psi(output.histogram, counts.outputs.get(output.name, {}), reference_counts, of_further(output), limits)
        except StatisticsError as error:
            problems.append(f"output {output.name}: {error}")
            continue
        if psi is not None:
            labels = (baseline.model, baseline.version, output.name, window, reference)
            yield Reading(names.OUTPUT_PSI, labels, psi.value)
            yield Reading(names.OUTPUT_PSI_NOISE_FLOOR, labels, psi.noise_floor)


def _psi(histogram: Histogram, counts: Counts, other: Counts | None, noise: Noise, limits: Limits) -> stats.PSI | None:
    """The PSI of `counts` against a baseline's histogram, or against `other` counts in its bins; None where either are too few."""
    actual = aligned(histogram, counts)
    expected = histogram.counts if other is None else aligned(histogram, other)
    if sum(actual) < limits.minimum_samples or (other is not None and sum(expected) < limits.minimum_samples):
        return None
    return stats.psi(expected, actual, **noise._asdict())


def counts_of(counts: ModelCounts | Segment, signal: str) -> Counts:
    """The counts of one output; those of distances and energies are not told apart by segment."""
    if signal == names.SIGNAL_PREDICTION:
        return counts.predictions
    if signal == names.SIGNAL_CONFIDENCE:
        return counts.confidences
    if isinstance(counts, Segment):
        return {}
    return counts.outliers if signal == names.SIGNAL_OUTLIER else counts.energies
