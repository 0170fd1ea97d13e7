"""Sampled rows of a window against the sample of the baseline's rows: what counts of single features cannot show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Feature
from otel_ml.errors import StatisticsError
from otel_ml_exporter.evaluate.noise import ALPHA
from otel_ml_exporter.evaluate.readings import Reading, Vector
from otel_ml_exporter.rows.codes import ABSENT, Codes
from otel_ml_exporter.thresholds import Limits

Matrix = npt.NDArray[np.float64]

MINIMUM_ROWS: Final = 200
"""Rows on a side under which nothing is compared, whatever the exporter's minimum is."""

REFERENCE_ROWS: Final = 2_000
"""Rows of the baseline's sample that the classifier and the kernel look at: more cost time and tell little more."""

COMPONENTS: Final = 256
"""Cosines that stand for the kernel."""

NAMED: Final = 10
"""Features that are named by their part in the classifier."""

ROWS_PER_COLUMN: Final = 50
"""Rows of the sample that T2 needs for each column, because it takes the covariance as known."""

_FARTHEST = 10.0
"""Standard deviations: what lies further out counts as so far, or a single value would rule every mean."""


class _Both(NamedTuple):
    """Both sides in columns of one scale, shapes (rows, columns), and the place among `features` that each column came from."""

    features: tuple[Feature, ...]
    reference: Matrix
    window: Matrix
    owners: tuple[int, ...]

    @property
    def design_effect(self) -> float:
        """That of the features on average: each adds its own part to a distance of rows."""
        return float(np.mean([feature.design_effect for feature in self.features]))


_Scores = Callable[[_Both, tuple[str, ...]], Iterator[Reading]]


def row_readings(baseline: Baseline, sample: Codes, rows: Codes, window: str, limits: Limits) -> tuple[Reading, ...]:
    """How many sampled `rows` there are and, if enough, how they differ from the baseline's `sample`; both of shape (rows, features)."""
    labels = (baseline.model, baseline.version, window)
    readings = [Reading(names.WINDOW_SAMPLES, (*labels, names.SIGNAL_ROWS), len(rows))]
    enough = min(len(rows), len(sample)) >= max(MINIMUM_ROWS, limits.minimum_samples)
    both = _aligned(baseline.features, sample, rows) if enough else None
    if both is not None:
        for scores in (_kernel, _classifier, _plane, _means):
            readings += _or_nothing(scores, both, labels)
    return tuple(readings)


def _or_nothing(scores: _Scores, both: _Both, labels: tuple[str, ...]) -> list[Reading]:
    """The readings, or none where a score is not defined for these rows."""
    try:
        return list(scores(both, labels))
    except StatisticsError:
        return []


def _aligned(features: Sequence[Feature], sample: Codes, rows: Codes) -> _Both | None:
    """The columns that vary, of each feature that rows of both sides name; one that was not sent is no drift."""
    sent: list[Feature] = []
    pairs: list[tuple[Vector, Vector]] = []
    owners: list[int] = []
    for place, feature in enumerate(features):
        if any((side[:, place] == ABSENT).all() for side in (sample, rows)):
            continue
        old, new = (np.where(side[:, place] == ABSENT, np.nan, side[:, place]) for side in (sample, rows))
        for pair in _columns(feature, old, new):
            if np.ptp(np.concatenate(pair)) > 0:
                pairs.append(pair)
                owners.append(len(sent))
        sent.append(feature)
    if not pairs:
        return None
    before, after = (np.column_stack(side) for side in zip(*pairs, strict=True))
    return _Both(tuple(sent), before, after, tuple(owners))


def _columns(feature: Feature, old: Vector, new: Vector) -> Iterator[tuple[Vector, Vector]]:
    """A number in standard deviations of the sample, a category as one column for each bin; and for either whether it is missing."""
    yield np.isnan(old).astype(float), np.isnan(new).astype(float)
    if feature.type == "categorical":
        for place in range(len(feature.histogram.categories) + 1):
            yield (old == place).astype(float), (new == place).astype(float)
        return
    known = old[np.isfinite(old)]
    if known.size:
        mean, scale = known.mean(), known.std() or 1.0
        before, after = (np.nan_to_num(np.clip((side - mean) / scale, -_FARTHEST, _FARTHEST)) for side in (old, new))
        yield before, after


def _kernel(both: _Both, labels: tuple[str, ...]) -> Iterator[Reading]:
    reference = _spaced(both.reference)
    width = stats.median_bandwidth(reference)
    before, after = (stats.fourier_features(rows, seed=0, components=COMPONENTS, bandwidth=width) for rows in (reference, both.window))
    floor = stats.mmd_noise_floor(before, samples=len(after), alpha=ALPHA, design_effect=both.design_effect)
    yield Reading(names.MMD, labels, stats.mmd(before.mean(axis=0), after.mean(axis=0)).value)
    yield Reading(names.MMD_NOISE_FLOOR, labels, floor)


def _classifier(both: _Both, labels: tuple[str, ...]) -> Iterator[Reading]:
    reference = _spaced(both.reference)
    auc, importances, samples = stats.domain_classifier(reference, both.window)
    floor = stats.auc_noise_floor(len(reference), samples, alpha=ALPHA, design_effect=both.design_effect)
    yield Reading(names.DOMAIN_CLASSIFIER_AUC, labels, auc)
    yield Reading(names.DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR, labels, floor)
    if auc > floor:
        parts = np.bincount(both.owners, weights=importances, minlength=len(both.features))
        for place in np.argsort(-parts, kind="stable")[:NAMED].tolist():
            model, version, window = labels
            yield Reading(names.DOMAIN_CLASSIFIER_IMPORTANCE, (model, version, both.features[place].name, window), float(parts[place]))


def _plane(both: _Both, labels: tuple[str, ...]) -> Iterator[Reading]:
    """Every second row of the sample gives the plane, the others say how far from it rows usually are."""
    model = stats.pca(both.reference[::2])
    reference, window = (stats.reconstruction_error(rows, model) for rows in (both.reference[1::2], both.window))
    ratio = stats.error_ratio(reference, window, alpha=ALPHA, design_effect=both.design_effect)
    yield Reading(names.PCA_ERROR_RATIO, labels, ratio.value)
    yield Reading(names.PCA_ERROR_RATIO_NOISE_FLOOR, labels, ratio.noise_floor)


def _means(both: _Both, labels: tuple[str, ...]) -> Iterator[Reading]:
    reference, window = both.reference, both.window
    if len(reference) < ROWS_PER_COLUMN * reference.shape[1]:
        return
    test = stats.hotelling_t2(
        reference.mean(axis=0),
        window.mean(axis=0),
        stats.gaussian(reference).precision,
        reference_samples=len(reference),
        samples=len(window),
        design_effect=both.design_effect,
    )
    yield Reading(names.HOTELLING_T2, labels, test.statistic)
    yield Reading(names.HOTELLING_T2_NOISE_FLOOR, labels, stats.chi_square_noise_floor(test.degrees, alpha=ALPHA))


def _spaced(rows: Matrix) -> Matrix:
    """At most `REFERENCE_ROWS` of the rows, evenly spaced."""
    return rows if len(rows) <= REFERENCE_ROWS else rows[np.linspace(0, len(rows) - 1, REFERENCE_ROWS).astype(int)]
