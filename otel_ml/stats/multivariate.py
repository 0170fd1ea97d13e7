"""How unusual a row is among all features at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError

Matrix = npt.NDArray[np.float64]


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
    data = np.asarray(rows, dtype=np.float64)
    if data.ndim != 2 or len(data) < 2 or not np.isfinite(data).all():
        raise StatisticsError("rows must be a finite matrix with at least two rows")
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
    distances: Matrix = np.einsum("ij,ij->i", centred @ precision, centred)
    return distances
