"""How unusual a row is among all features at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import as_counts, as_effect, total
from otel_ml.stats._rows import Matrix, as_rows
from otel_ml.stats._special import gamma_tail
from otel_ml.stats.evidence import Test


class Gaussian(NamedTuple):
    """Mean, shape (features,), and inverse covariance, shape (features, features), of rows; `shrinkage` in [0, 1] was applied."""

    mean: Matrix
    precision: Matrix
    shrinkage: float


def gaussian(rows: npt.ArrayLike) -> Gaussian:
    """Mean and shrunk inverse covariance of `rows`, shape (rows, features); the features should be of one scale.

    The covariance is drawn towards a multiple of the identity by the amount that Ledoit and Wolf, A well-conditioned
    estimator for large-dimensional covariance matrices (2004), find best. Raises `StatisticsError` for fewer than two rows
    or values that are not finite.

    >>> round(float(gaussian([[0.0, 0.0], [1.0, 0.9], [2.0, 2.1], [3.0, 3.0]]).mean[0]), 3)
    1.5
    """
    data = as_rows("rows", rows, least=2)
    n, width = data.shape
    mean = data.mean(axis=0)
    centred = data - mean
    covariance = centred.T @ centred / n
    mu = np.trace(covariance) / width
    target = mu * np.eye(width)
    distance = ((covariance - target) ** 2).sum()
    squares = centred**2
    noise = ((squares.T @ squares).sum() / n - (covariance**2).sum()) / n
    shrinkage = float(np.clip(noise / distance, 0, 1)) if distance > 0 else 1.0
    shrunk = (1 - shrinkage) * covariance + shrinkage * target
    return Gaussian(mean, np.linalg.pinv(shrunk, hermitian=True), shrinkage)


def mahalanobis(rows: npt.ArrayLike, mean: Matrix, precision: Matrix) -> Matrix:
    """Squared Mahalanobis distance of each of `rows`, shape (rows, features), from `mean`; result of shape (rows,).

    Source: Mahalanobis (1936); as a score of out-of-distribution inputs Lee et al. (2018).

    >>> mahalanobis([[3.0, 4.0]], np.zeros(2), np.eye(2)).tolist()
    [25.0]
    """
    centred = np.asarray(rows, dtype=np.float64) - mean
    distances: Matrix = np.einsum("ji,ij->i", precision @ centred.T, centred)  # this way round both are read along rows
    return distances


def hotelling_t2(
    reference_mean: npt.ArrayLike,
    window_mean: npt.ArrayLike,
    precision: Matrix,
    *,
    reference_samples: float,
    samples: float,
    design_effect: float = 1.0,
) -> Test:
    """Hotelling's T2 test: whether the means of all features together moved more than chance would move them.

    `reference_mean` and `window_mean` have shape (features,); they are sums over counts, so they add over replicas and
    windows. `precision` is the baseline's inverse covariance, of `gaussian`, in the same scale. The statistic,
    `n m / (n + m) * d @ precision @ d` over the `design_effect`, is compared with the chi-square distribution, which takes the
    covariance as known: give it a baseline of at least 50 rows a feature, or it fires too often.

    Raises `StatisticsError` for means of different lengths, values that are not finite, or no samples.
    Source: Hotelling, The generalization of Student's ratio (1931).

    >>> test = hotelling_t2([0.0, 0.0], [0.3, 0.4], np.eye(2), reference_samples=1e9, samples=40)
    >>> round(test.statistic, 3), test.degrees, round(test.p_value, 4)
    (10.0, 2.0, 0.0067)
    """
    means = as_rows("means", [np.ravel(reference_mean)], least=1)
    shift = as_rows("window_mean", [np.ravel(window_mean)], width=means.shape[1])[0] - means[0]
    if np.shape(precision) != (shift.size, shift.size):
        raise StatisticsError(f"the precision of {shift.size} features is square, got shape {np.shape(precision)}")
    n = total("samples", as_counts("samples", [samples]))
    m = total("reference_samples", as_counts("reference_samples", [reference_samples]))
    statistic = float(shift @ precision @ shift) / (1 / n + 1 / m) / as_effect("design", design_effect)
    return Test(statistic, float(shift.size), gamma_tail(shift.size / 2, statistic / 2), n)
