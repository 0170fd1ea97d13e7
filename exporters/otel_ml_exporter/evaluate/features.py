"""The features of a window: how far each moved, whether chance explains it, and the verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Feature
from otel_ml.catalogue import Metric
from otel_ml.errors import StatisticsError
from otel_ml.stats import table
from otel_ml_exporter.counts import Counts, ModelCounts
from otel_ml_exporter.evaluate.noise import ALPHA, Noise, of_feature
from otel_ml_exporter.evaluate.readings import RESERVED, Reading, Vector, aligned, checked_counts
from otel_ml_exporter.thresholds import DISTANCES, Limits


class FeatureScore(NamedTuple):
    """What one feature looks like in a window, `actual`, beside what is `expected`.

    `p_value` is adjusted over the features of the model. `range` is None where the reference is not the baseline, and
    `distances`, which decide nothing, are empty there. `drifted` is the verdict on this feature alone; `counted` whether it
    counts among the drifted ones, where more of them are evidence for each other. A feature that is `ignored` is neither.
    """

    feature: Feature
    expected: Vector
    actual: Vector
    psi: stats.PSI
    p_value: float
    range: stats.RangeCheck | None
    missing: float
    distances: Mapping[Metric, float]
    ignored: bool
    drifted: bool
    counted: bool


class _Row(NamedTuple):
    """The counts of a feature with enough samples, in the order of the baseline's bins."""

    feature: Feature
    noise: Noise
    expected: Sequence[float]
    actual: Sequence[float]


def unknown_features(baseline: Baseline, counts: ModelCounts) -> list[str]:
    """A sentence for each counted feature that the baseline does not have."""
    known = {feature.name for feature in baseline.features}
    return [f"feature {name!r} is not in the baseline" for name in sorted(counts.features.keys() - known)]


def scores(
    baseline: Baseline, counts: ModelCounts, earlier: ModelCounts | None, limits: Limits, problems: list[str]
) -> tuple[FeatureScore, ...]:
    """Each feature with enough samples, against the baseline or against `earlier` counts; `problems` says what is wrong."""
    alike: dict[tuple[str, int], list[_Row]] = defaultdict(list)
    for row in _rows(baseline, counts, earlier, limits, problems):
        alike[row.feature.type, len(row.actual)].append(row)
    found = {
        score.feature.name: score
        for rows in alike.values()
        for score in _scores(rows, None if earlier is not None else counts.violations, limits)
    }
    if not found:
        return ()
    in_order = [found[feature.name] for feature in baseline.features if feature.name in found]
    adjusted = stats.benjamini_hochberg([score.p_value for score in in_order]).tolist()
    return tuple(_counted(score, p_value, limits) for score, p_value in zip(in_order, adjusted, strict=True))


def _rows(baseline: Baseline, counts: ModelCounts, earlier: ModelCounts | None, limits: Limits, problems: list[str]) -> Iterator[_Row]:
    for feature in baseline.features:
        try:
            actual = aligned(feature.histogram, counts.features.get(feature.name, {}))
            if sum(actual) < limits.minimum_samples:
                continue
            known: Sequence[float] = feature.histogram.counts
            if earlier is not None:
                known = aligned(feature.histogram, earlier.features.get(feature.name, {}))
                if sum(known) < limits.minimum_samples:
                    continue
            checked_counts(actual, known)
        except StatisticsError as error:
            problems.append(f"feature {feature.name!r}: {error}")
        else:
            yield _Row(feature, of_feature(feature, baseline), known, actual)


def _scores(rows: Sequence[_Row], violations: Mapping[str, Counts] | None, limits: Limits) -> Iterator[FeatureScore]:
    """The scores of features of one type with the same number of bins; all arithmetic over bins is done here, for all at once.

    `violations` are None where the reference is not the baseline. The verdict on a feature: its PSI matters and is no chance,
    or too many values lie outside what was observed.
    """
    expected, actual = (np.array([getattr(row, side) for row in rows], float) for side in ("expected", "actual"))
    samples = actual.sum(axis=1)
    noise = [row.noise for row in rows]
    smoothing = np.array([[each.smoothing] for each in noise])
    terms = table.psi_terms(expected, actual, smoothing)
    floors = np.array([each.scale(actual.shape[1]) for each in noise]) * (1 / samples + 1 / expected.sum(axis=1))
    statistics, degrees = table.chi_squares(expected, actual)
    statistics /= [each.design_effect for each in noise]
    p_values = table.chi_square_tails(statistics, degrees, np.array([each.degrees or np.inf for each in noise]))
    missing = actual[:, -RESERVED] / samples
    distances = _distances(rows, expected, actual, limits) if violations is not None and limits.wants(DISTANCES) else [{}] * len(rows)
    columns = (terms.sum(axis=1), floors, samples, p_values, missing)
    for index, (row, psi, floor, n, p_value, gone) in enumerate(zip(rows, *(column.tolist() for column in columns), strict=True)):
        feature = row.feature
        check = None if violations is None else _range_check(feature, violations.get(feature.name, {}), n, row.noise)
        ignored = limits.ignores(feature.name)
        drifted = not ignored and (psi > max(limits.feature_psi(feature.name), floor) or (check is not None and check.broken))
        score = stats.PSI(psi, floor, terms[index], n)
        yield FeatureScore(
            feature, expected[index], actual[index], score, p_value, check, gone, distances[index], ignored, drifted, drifted
        )


def _range_check(feature: Feature, violations: Counts, samples: float, noise: Noise) -> stats.RangeCheck:
    """Values outside what was observed; a season may pass the bounds, but not by far, and it brings no category.

    So a spell counts as one value where values are just out of range, and the rows of a key everywhere.
    """
    known, infinite = feature.histogram.samples, violations.get(names.VIOLATION_INFINITE, 0.0)
    if feature.type == "categorical":
        unseen = violations.get(names.VIOLATION_UNSEEN, 0.0)
        return stats.range_check(unseen, samples, known, singletons=feature.singletons, alpha=noise.alpha, design_effect=noise.key_effect)
    outside, far = (violations.get(kind, 0.0) + infinite for kind in (names.VIOLATION_OUT_OF_RANGE, names.VIOLATION_FAR))
    spell = max(feature.spell_rows, noise.key_effect)
    check = stats.range_check(outside, samples, known, alpha=noise.alpha, design_effect=spell)
    by_far = stats.range_check(far, samples, known, alpha=noise.alpha, design_effect=noise.key_effect)
    return by_far._replace(ratio=check.ratio) if by_far.broken else check


def _distances(rows: Sequence[_Row], expected: Vector, actual: Vector, limits: Limits) -> list[dict[Metric, float]]:
    """Other distances of each feature; those that need an order of the bins only of intervals with enough values."""
    q, p = (counts / counts.sum(axis=1, keepdims=True) for counts in (expected, actual))
    found = [{names.FEATURE_JS_DISTANCE: value} for value in table.js_distances(q, p).tolist()]
    if rows[0].feature.histogram.edges is None:
        return found
    there = (expected[:, :-RESERVED], actual[:, :-RESERVED])
    enough = np.flatnonzero((there[0].sum(axis=1) > 0) & (there[1].sum(axis=1) >= max(limits.minimum_samples, 1))).tolist()
    q, p = (counts[enough] / counts[enough].sum(axis=1, keepdims=True) for counts in there)
    for index, value in zip(enough, table.ks_distances(q, p).tolist(), strict=True):
        found[index][names.FEATURE_KS] = value
    spread = [at for at, index in enumerate(enough) if rows[index].feature.std]
    if spread:
        features = [rows[enough[at]].feature for at in spread]
        bounds = np.array([_bounds(feature) for feature in features])
        areas = table.wasserstein_distances(q[spread], p[spread], bounds) / [feature.std for feature in features]
        for at, value in zip(spread, areas.tolist(), strict=True):
            found[enough[at]][names.FEATURE_WASSERSTEIN] = value
    return found


def _bounds(feature: Feature) -> tuple[float, ...]:
    """Where the bins of a feature that varies end: the outer ones at the least and greatest value."""
    assert feature.minimum is not None and feature.maximum is not None  # noqa: PT018 - it has a standard deviation
    edges = feature.histogram.edges or ()
    return min(feature.minimum, *edges[:1]), *edges, max(feature.maximum, *edges[-1:])


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
            yield Reading(names.FEATURE_TOP_BIN_RATIO, labels, float(score.actual.max() / score.actual.sum()))
            yield Reading(names.FEATURE_MISSING_RATIO, labels, score.missing)
            yield Reading(outside, labels, score.range.ratio)
            if limits.wants(DISTANCES):
                yield Reading(names.FEATURE_DRIFT_PVALUE, labels, score.p_value)
                if score.feature.importance is not None:
                    yield Reading(names.FEATURE_IMPACT, labels, score.feature.importance * score.psi.value)
            yield from (Reading(metric, labels, distance) for metric, distance in score.distances.items())
    counted = [score.counted for score in found if not score.ignored]
    if counted:
        yield Reading(names.DRIFTED_FEATURES_RATIO, (*model, window, reference), sum(counted) / len(counted))
