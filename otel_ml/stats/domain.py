"""Whether a classifier can tell the rows of a window from those of the baseline, and by which features."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats import _logistic
from otel_ml.stats._counts import as_effect
from otel_ml.stats._rows import Matrix, as_rows


class DomainAUC(NamedTuple):
    """Out-of-fold area under the ROC curve (0.5: no difference seen), the features' importances, and the window's rows."""

    auc: float
    importances: Matrix
    samples: float


def domain_classifier(reference: npt.ArrayLike, window: npt.ArrayLike, *, folds: int = 5, seed: int = 0) -> DomainAUC:
    """Train a logistic regression to tell two sets of rows apart and say how well it does on rows it has not seen.

    `reference` and `window` have shape (rows, features), numbers only; encode categories first. Each feature enters
    standardised and squared, so that a change of scale counts too; a change of correlations alone is not seen. The area is
    the mean over `folds`, whose members `seed` shuffles. `importances`, shape (features,), are the magnitudes of the
    standardised weights, summed over a feature's two and divided by their sum (0 where nothing varies); correlated
    features share theirs.

    Raises `StatisticsError` for fewer than `folds` rows on a side, fewer than two folds, different numbers of features, or
    values that are not finite. Sources: Lopez-Paz and Oquab, Revisiting classifier two-sample tests (2017); Hanley and
    McNeil (1982) for the area from ranks.

    >>> rng = np.random.default_rng(0)
    >>> result = domain_classifier(rng.normal(size=(300, 2)), rng.normal([1.5, 0.0], size=(300, 2)))
    >>> result.auc > 0.8, int(result.importances.argmax())
    (True, 0)
    """
    if folds < 2:
        raise StatisticsError(f"rows that were not seen need at least two folds, got {folds}")
    before = as_rows("reference", reference, least=folds)
    after = as_rows("window", window, least=folds, width=before.shape[1])
    rows = np.vstack([before, after])
    labels = np.repeat([0.0, 1.0], [len(before), len(after)])
    random = np.random.default_rng(seed)
    fold = np.concatenate([random.permutation(np.arange(len(side)) % folds) for side in (before, after)])
    areas = [_area(rows, labels, fold == number) for number in range(folds)]
    weights = np.abs(_logistic.fit(_logistic.design(rows)(rows), labels)[1]).reshape(2, -1).sum(axis=0)
    whole = float(weights.sum())
    return DomainAUC(float(np.mean(areas)), weights / whole if whole > 0 else weights, float(len(after)))


def auc_noise_floor(reference_samples: float, samples: float, *, alpha: float = 0.01, design_effect: float = 1.0) -> float:
    """The area of `domain_classifier` that chance alone stays below in a share 1 - `alpha` of windows.

    `reference_samples` and `samples` are the rows of either side. Around 0.5 the variance of an area is that of Mann and Whitney's
    statistic, `(n + m + 1) / (12 n m)`. It counts twice here, as if half of the rows were held out: folds share the rows that they
    are trained on, and the areas of undrifted rows spread 1.2 to 1.5 times as far as those of independent ones. It grows by
    `design_effect` where rows are not independent. Raises `StatisticsError` for no samples or a design effect below 1. Sources: Mann
    and Whitney (1947); Bengio and Grandvalet, No unbiased estimator of the variance of k-fold cross-validation (2004).

    >>> round(auc_noise_floor(1000, 1000), 3)
    0.542
    """
    if not (reference_samples > 0 and samples > 0):
        raise StatisticsError("an area needs at least one row on each side")
    variance = (reference_samples + samples + 1) / (6 * reference_samples * samples) * as_effect("design", design_effect)
    return min(1.0, 0.5 + NormalDist().inv_cdf(1 - alpha) * math.sqrt(variance))


def _area(rows: Matrix, labels: Matrix, held: npt.NDArray[np.bool_]) -> float:
    """The area on the `held` rows of a classifier trained on the others."""
    columns = _logistic.design(rows[~held])
    _, weights = _logistic.fit(columns(rows[~held]), labels[~held])
    return rank_area(columns(rows[held]) @ weights, labels[held] > 0)


def rank_area(scores: Matrix, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve from ranks, ties at their mean rank (Mann and Whitney 1947)."""
    ordered = np.sort(scores)
    ranks = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right") + 1) / 2
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return float(ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)
