"""From counts to numbers: one baseline, one window, no side effects; the only caller of `otel_ml.stats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Feature, Histogram
from otel_ml.catalogue import Metric
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import Counts, ModelCounts
from otel_ml_exporter.outcomes.store import Joined, Judge
from otel_ml_exporter.thresholds import Limits

ALPHA = 0.01
"""How often chance alone may raise a verdict, over all features of a model together."""
REFERENCE = "baseline"

_OUTSIDE = (names.VIOLATION_OUT_OF_RANGE, names.VIOLATION_UNSEEN, names.VIOLATION_INFINITE)


@dataclass(frozen=True)
class Reading:
    """One number to publish; `labels` follow the metric's."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class FeatureScore:
    """What one feature looks like in a window."""

    feature: Feature
    psi: stats.PSI
    range: stats.RangeCheck
    missing: float
    drifted: bool


@dataclass(frozen=True)
class Evaluation:
    """One model in one window: readings, the scores of features behind them, and why a score is absent.

    `strangers` are the baseline ids of counts that were made for another baseline; `problems` are sentences.
    """

    readings: tuple[Reading, ...]
    scores: tuple[FeatureScore, ...]
    samples: float
    strangers: tuple[str, ...]
    problems: tuple[str, ...]


def evaluate(baseline: Baseline, counts: Sequence[ModelCounts], window: str, limits: Limits) -> Evaluation:
    """Compare the counts of a window with the baseline; counts of another baseline are never compared.

    A score that cannot be computed, for want of samples or because a bin is unknown, is left out.
    """
    ours = next((entry for entry in counts if entry.baseline_id == baseline.fingerprint), None)
    strangers = tuple(entry.baseline_id for entry in counts if entry is not ours)
    problems: list[str] = []
    features = {} if ours is None else ours.features
    samples = max((sum(bins.values()) for bins in features.values()), default=0.0)
    scores = tuple(_scores(baseline, ours, limits, problems)) if ours is not None else ()
    readings = [
        *_feature_readings(baseline, scores, window),
        *_sample_reading(baseline, window, names.SIGNAL_FEATURE, samples),
        *_signal_readings(baseline, ours, window, limits, problems),
    ]
    return Evaluation(tuple(readings), scores, samples, strangers, tuple(problems))


def _scores(baseline: Baseline, counts: ModelCounts, limits: Limits, problems: list[str]) -> Iterator[FeatureScore]:
    known = {feature.name for feature in baseline.features}
    problems += [f"feature {name!r} is not in the baseline" for name in sorted(counts.features.keys() - known)]
    for feature in baseline.features:
        score = _score_or_problem(feature, counts, len(known), limits)
        if isinstance(score, FeatureScore):
            yield score
        elif score is not None:
            problems.append(score)


def _score_or_problem(feature: Feature, counts: ModelCounts, features: int, limits: Limits) -> FeatureScore | str | None:
    bins, violations = counts.features.get(feature.name, {}), counts.violations.get(feature.name, {})
    try:
        return _score(feature, bins, violations, features, limits)
    except StatisticsError as error:
        return f"feature {feature.name!r}: {error}"


def _score(feature: Feature, bins: Counts, violations: Counts, features: int, limits: Limits) -> FeatureScore | None:
    """The verdict on one feature: its PSI matters and is no chance, or too many values lie outside what was observed."""
    actual = aligned(feature.histogram, bins)
    samples = sum(actual)
    if samples < limits.minimum_samples:
        return None
    psi = stats.psi(feature.histogram.counts, actual, alpha=ALPHA / features)
    outside = sum(violations.get(kind, 0.0) for kind in _OUTSIDE)
    check = stats.range_check(outside, samples, feature.histogram.samples, alpha=ALPHA / features)
    drifted = psi.value > max(limits.threshold(names.SIGNAL_FEATURE_PSI), psi.noise_floor) or check.broken
    return FeatureScore(feature, psi, check, bins.get(names.MISSING, 0.0) / samples, drifted)


def aligned(histogram: Histogram, bins: Counts) -> list[float]:
    """Counts in the order of the baseline's bins. Raises `StatisticsError` for a bin that the baseline does not have."""
    strange = bins.keys() - set(histogram.labels)
    if strange:
        raise StatisticsError(f"bin {min(strange)!r} is not in the baseline")
    return [bins.get(label, 0.0) for label in histogram.labels]


def _feature_readings(baseline: Baseline, scores: Sequence[FeatureScore], window: str) -> Iterator[Reading]:
    for score in scores:
        labels = (baseline.model, baseline.version, score.feature.name, window, REFERENCE)
        outside = names.FEATURE_UNSEEN_RATIO if score.feature.type == "categorical" else names.FEATURE_OUT_OF_RANGE_RATIO
        yield Reading(names.FEATURE_PSI, labels, score.psi.value)
        yield Reading(names.FEATURE_PSI_NOISE_FLOOR, labels, score.psi.noise_floor)
        yield Reading(names.FEATURE_MISSING_RATIO, labels, score.missing)
        yield Reading(outside, labels, score.range.ratio)
        yield Reading(names.FEATURE_DRIFTED, labels, float(score.drifted))
    if scores:
        ratio = sum(score.drifted for score in scores) / len(scores)
        yield Reading(names.DRIFTED_FEATURES_RATIO, (baseline.model, baseline.version, window, REFERENCE), ratio)


def _sample_reading(baseline: Baseline, window: str, signal: str, samples: float) -> Iterator[Reading]:
    yield Reading(names.WINDOW_SAMPLES, (baseline.model, baseline.version, window, signal), samples)


def _signal_readings(baseline: Baseline, counts: ModelCounts | None, window: str, limits: Limits, problems: list[str]) -> Iterator[Reading]:
    for signal, histogram, psi_metric, floor_metric in _signals(baseline):
        bins = _counts_of(counts, signal)
        yield from _sample_reading(baseline, window, signal, sum(bins.values()))
        if sum(bins.values()) < limits.minimum_samples:
            continue
        try:
            psi = stats.psi(histogram.counts, aligned(histogram, bins), alpha=ALPHA)
        except StatisticsError as error:
            problems.append(f"{signal}: {error}")
        else:
            labels = (baseline.model, baseline.version, window, REFERENCE)
            yield Reading(psi_metric, labels, psi.value)
            yield Reading(floor_metric, labels, psi.noise_floor)


def _signals(baseline: Baseline) -> Iterator[tuple[str, Histogram, Metric, Metric]]:
    """What a baseline knows beside its features, and where its scores are published."""
    if baseline.prediction is not None:
        yield names.SIGNAL_PREDICTION, baseline.prediction, names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR
    if baseline.confidence is not None:
        yield names.SIGNAL_CONFIDENCE, baseline.confidence, names.CONFIDENCE_PSI, names.CONFIDENCE_PSI_NOISE_FLOOR
    if baseline.outliers is not None:
        yield names.SIGNAL_OUTLIER, baseline.outliers.histogram, names.OUTLIER_PSI, names.OUTLIER_PSI_NOISE_FLOOR


def _counts_of(counts: ModelCounts | None, signal: str) -> Counts:
    if counts is None:
        return {}
    by_signal: Mapping[str, Counts] = {
        names.SIGNAL_PREDICTION: counts.predictions,
        names.SIGNAL_CONFIDENCE: counts.confidences,
        names.SIGNAL_OUTLIER: counts.outliers,
    }
    return by_signal[signal]


def judge_of(baseline: Baseline) -> Judge | None:
    """How the model's confidences are judged; None for a model that gives none."""
    known = baseline.calibration or baseline.confidence
    if known is None or known.edges is None or not baseline.classes:
        return None
    return Judge(known.edges, baseline.classes[-1] if baseline.task == "binary" else None)


def evaluate_outcomes(baseline: Baseline, joined: Joined, coverage: float | None, window: str, limits: Limits) -> tuple[Reading, ...]:
    """Calibration of the pairs of a window, and the share of predictions that have their outcome."""
    labels = (baseline.model, baseline.version, window)
    readings = list(_sample_reading(baseline, window, names.SIGNAL_CALIBRATION, joined.samples))
    if coverage is not None:
        readings.append(Reading(names.OUTCOME_COVERAGE_RATIO, labels, coverage))
    if joined.samples >= limits.minimum_outcomes:
        ece = stats.ece(joined.outcomes, joined.positives, joined.confidence)
        readings.append(Reading(names.CALIBRATION_ECE, labels, ece.value))
        readings.append(Reading(names.CALIBRATION_ECE_NOISE_FLOOR, labels, ece.noise_floor))
        readings.append(Reading(names.BRIER_SCORE, labels, stats.brier(joined.outcomes, joined.squared_errors).value))
        if ece.mce is not None:
            readings.append(Reading(names.CALIBRATION_MCE, labels, ece.mce))
    return tuple(readings)


def describe(baseline: Baseline, limits: Limits) -> tuple[Reading, ...]:
    """The baseline and the limits of its model as series."""
    identity = (baseline.model, baseline.version, baseline.fingerprint)
    return (
        Reading(names.BASELINE_INFO, (*identity, baseline.task or ""), 1.0),
        Reading(names.BASELINE_CREATED, identity, baseline.created.timestamp()),
        *(
            Reading(names.BASELINE_BIN_RATIO, (*identity, signal, feature, label), count / histogram.samples)
            for signal, feature, histogram in _histograms(baseline)
            if histogram.samples
            for label, count in zip(histogram.labels, histogram.counts, strict=True)
        ),
        *(Reading(names.THRESHOLD, (*identity[:2], limit.signal, limit.severity), limit.value) for limit in limits.thresholds),
    )


def _histograms(baseline: Baseline) -> Iterator[tuple[str, str, Histogram]]:
    for feature in baseline.features:
        yield names.SIGNAL_FEATURE, feature.name, feature.histogram
    for signal, histogram, _, _ in _signals(baseline):
        yield signal, "", histogram
