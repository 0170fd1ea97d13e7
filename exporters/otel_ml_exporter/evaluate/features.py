"""The features of a window: how far each moved, whether chance explains it, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Feature
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate.readings import RESERVED, Reading, Vector, aligned
from otel_ml_exporter.thresholds import DISTANCES, Limits

ALPHA = 0.01
"""How often chance alone may raise a verdict, over all features of a model together."""


class FeatureScore(NamedTuple):
    """What one feature looks like in a window, `actual`, beside what is `expected`.

    `p_value` is adjusted over the features of the model. `range` is None where the reference is not the baseline. `drifted`
    is the verdict on this feature alone; `counted` whether it counts among the drifted ones, where more of them are
    evidence for each other. A feature that is `ignored` is neither.
    """

    feature: Feature
    expected: Vector
    actual: Vector
    psi: stats.PSI
    p_value: float
    range: stats.RangeCheck | None
    missing: float
    ignored: bool
    drifted: bool
    counted: bool


def unknown_features(baseline: Baseline, counts: ModelCounts) -> list[str]:
    """A sentence for each counted feature that the baseline does not have."""
    known = {feature.name for feature in baseline.features}
    return [f"feature {name!r} is not in the baseline" for name in sorted(counts.features.keys() - known)]


def scores(
    baseline: Baseline, counts: ModelCounts, earlier: ModelCounts | None, limits: Limits, problems: list[str]
) -> tuple[FeatureScore, ...]:
    """Each feature with enough samples, against the baseline or against `earlier` counts; `problems` says what is wrong."""
    found = []
    alpha = ALPHA / max(len(baseline.features), 1)
    for feature in baseline.features:
        score = _score_or_problem(feature, counts, earlier, alpha, limits)
        if isinstance(score, FeatureScore):
            found.append(score)
        elif score is not None:
            problems.append(score)
    if not found:
        return ()
    adjusted = stats.benjamini_hochberg([score.p_value for score in found]).tolist()
    return tuple(_counted(score, p_value, limits) for score, p_value in zip(found, adjusted, strict=True))


def _score_or_problem(
    feature: Feature, counts: ModelCounts, earlier: ModelCounts | None, alpha: float, limits: Limits
) -> FeatureScore | str | None:
    try:
        return _score(feature, counts, earlier, alpha, limits)
    except StatisticsError as error:
        return f"feature {feature.name!r}: {error}"


def _score(feature: Feature, counts: ModelCounts, earlier: ModelCounts | None, alpha: float, limits: Limits) -> FeatureScore | None:
    """The verdict on one feature: its PSI matters and is no chance, or too many values lie outside what was observed."""
    bins, histogram = counts.features.get(feature.name, {}), feature.histogram
    actual = aligned(histogram, bins)
    samples = float(actual.sum())
    if samples < limits.minimum_samples:
        return None
    expected = np.array(histogram.counts, float) if earlier is None else aligned(histogram, earlier.features.get(feature.name, {}))
    if earlier is not None and expected.sum() < limits.minimum_samples:
        return None
    effect, degrees = feature.design_effect, feature.noise_degrees
    psi = stats.psi(expected, actual, alpha=alpha, design_effect=effect, degrees=degrees, key_effect=feature.key_effect)
    p_value = stats.chi_square(expected, actual, design_effect=effect, degrees=degrees).p_value
    check = _range_check(feature, counts, samples, alpha) if earlier is None else None
    ignored = limits.ignores(feature.name)
    far = psi.value > max(limits.feature_psi(feature.name), psi.noise_floor)
    drifted = not ignored and (far or (check is not None and check.broken))
    return FeatureScore(feature, expected, actual, psi, p_value, check, bins.get(names.MISSING, 0.0) / samples, ignored, drifted, drifted)


def _range_check(feature: Feature, counts: ModelCounts, samples: float, alpha: float) -> stats.RangeCheck:
    """Values outside what was observed; a season may pass the bounds, but not by far, and it brings no category.

    So the effect of time stretches the number of values that are just out of range, and that of keys all numbers.
    """
    violations, known = counts.violations.get(feature.name, {}), feature.histogram.samples
    infinite = violations.get(names.VIOLATION_INFINITE, 0.0)
    if feature.type == "categorical":
        unseen = violations.get(names.VIOLATION_UNSEEN, 0.0)
        return stats.range_check(unseen, samples, known, singletons=feature.singletons, alpha=alpha, design_effect=feature.key_effect)
    outside, far = (violations.get(kind, 0.0) + infinite for kind in (names.VIOLATION_OUT_OF_RANGE, names.VIOLATION_FAR))
    check = stats.range_check(outside, samples, known, alpha=alpha, design_effect=feature.design_effect)
    by_far = stats.range_check(far, samples, known, alpha=alpha, design_effect=feature.key_effect)
    return by_far._replace(ratio=check.ratio) if by_far.broken else check


def _counted(score: FeatureScore, p_value: float, limits: Limits) -> FeatureScore:
    """The score with its p-value adjusted, and with what that makes of it."""
    far = score.psi.value > limits.feature_psi(score.feature.name) and p_value < ALPHA
    broken = score.range is not None and score.range.broken
    return score._replace(p_value=p_value, counted=not score.ignored and (far or broken))


def feature_readings(baseline: Baseline, found: Sequence[FeatureScore], window: str, reference: str, limits: Limits) -> Iterator[Reading]:
    """The readings of scores against one reference; against an earlier window only what a verdict is made of."""
    model = (baseline.model, baseline.version)
    for score in found:
        labels = (*model, score.feature.name, window, reference)
        yield Reading(names.FEATURE_PSI, labels, score.psi.value)
        yield Reading(names.FEATURE_PSI_NOISE_FLOOR, labels, score.psi.noise_floor)
        yield Reading(names.FEATURE_DRIFTED, labels, float(score.drifted))
        if score.range is not None:
            outside = names.FEATURE_UNSEEN_RATIO if score.feature.type == "categorical" else names.FEATURE_OUT_OF_RANGE_RATIO
            yield Reading(names.FEATURE_MISSING_RATIO, labels, score.missing)
            yield Reading(outside, labels, score.range.ratio)
            if limits.wants(DISTANCES):
                yield from _distance_readings(score, labels, limits)
    counted = [score.counted for score in found if not score.ignored]
    if counted:
        yield Reading(names.DRIFTED_FEATURES_RATIO, (*model, window, reference), sum(counted) / len(counted))


def _distance_readings(score: FeatureScore, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    yield Reading(names.FEATURE_DRIFT_PVALUE, labels, score.p_value)
    yield Reading(names.FEATURE_JS_DISTANCE, labels, stats.js_distance(score.expected, score.actual).value)
    if score.feature.importance is not None:
        yield Reading(names.FEATURE_IMPACT, labels, score.feature.importance * score.psi.value)
    if score.feature.histogram.edges is not None:
        yield from _interval_readings(score.feature, score.expected[:-RESERVED], score.actual[:-RESERVED], labels, limits)


def _interval_readings(feature: Feature, expected: Vector, actual: Vector, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    """What needs an order of the bins: of the values that are there, as long as they are enough."""
    if not expected.any() or actual.sum() < limits.minimum_samples:
        return
    yield Reading(names.FEATURE_KS, labels, stats.ks(expected, actual).value)
    edges = feature.histogram.edges
    if edges is not None and feature.std and feature.minimum is not None and feature.maximum is not None:
        span = {"minimum": feature.minimum, "maximum": feature.maximum, "std": feature.std}
        yield Reading(names.FEATURE_WASSERSTEIN, labels, stats.wasserstein(expected, actual, edges=edges, **span).value)
