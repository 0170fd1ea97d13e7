"""How badly a row fits the directions in which the baseline varies."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import as_effect
from otel_ml.stats._rows import Matrix, as_rows


class PCA(NamedTuple):
    """Mean, shape (features,), principal axes, shape (kept, features), and the share of the variance along each of them."""

    mean: Matrix
    components: Matrix
    explained: Matrix


def pca(rows: npt.ArrayLike, *, variance: float = 0.95) -> PCA:
    """The fewest principal axes of `rows`, shape (rows, features), that hold the share `variance` of their variance.

    The features should be of one scale. Rows that do not vary have no axes. Raises `StatisticsError` for fewer than two rows,
    values that are not finite, or a share outside (0, 1]. Source: Jolliffe, Principal Component Analysis (2002).

    >>> pca([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]).components.round(3).tolist()
    [[0.707, 0.707]]
    """
    data = as_rows("rows", rows, least=2)
    if not 0 < variance <= 1:
        raise StatisticsError(f"the share of variance to keep must lie in (0, 1], got {variance}")
    mean = data.mean(axis=0)
    _, scales, axes = np.linalg.svd(data - mean, full_matrices=False)
    axes *= np.where(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    whole = float((scales**2).sum())
    if whole <= 1e-24 * float((data**2).sum()):
        return PCA(mean, axes[:0], scales[:0])
    shares = scales**2 / whole
    kept = int(np.searchsorted(np.cumsum(shares), variance * (1 - 1e-12))) + 1
    return PCA(mean, axes[:kept], shares[:kept])


def reconstruction_error(rows: npt.ArrayLike, model: PCA) -> Matrix:
    """Squared distance of each of `rows`, shape (rows, features), from the plane of the axes of `model`; shape (rows,).

    A row that breaks the baseline's correlations lies off the plane even where each of its values is usual. The distance
    along the plane is not in it. Raises `StatisticsError` for values that are not finite or another number of features.
    Source: Jackson and Mudholkar, Control procedures for residuals (1979), the Q statistic.

    >>> model = pca([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    >>> reconstruction_error([[3.0, 3.0], [0.0, 2.0]], model).round(6).tolist()
    [0.0, 2.0]
    """
    centred = as_rows("rows", rows, least=0, width=model.mean.size) - model.mean
    residual = centred - centred @ model.components.T @ model.components
    errors: Matrix = (residual**2).sum(axis=1)
    return errors


class ErrorRatio(NamedTuple):
    """Mean reconstruction error of a window over that of the baseline (1: as there), and what chance alone stays below."""

    value: float
    noise_floor: float


def error_ratio(reference: npt.ArrayLike, window: npt.ArrayLike, *, alpha: float = 0.01, design_effect: float = 1.0) -> ErrorRatio:
    """How many times larger the `reconstruction_error` of a window is than that of the baseline.

    `reference`, shape (rows,), are the errors of rows that `pca` was not fitted on, or they are too small; `window` are those of the
    window. `noise_floor` is what the ratio stays below in a share 1 - `alpha` of windows when nothing changed: the means are
    taken for normal, with the baseline's variance, times `design_effect`. Raises `StatisticsError` for fewer than two errors in the
    baseline or none in the window, values that are not finite, or a baseline whose errors are all 0.

    >>> error_ratio([1.0, 3.0], [4.0, 4.0]).value
    2.0
    """
    before = as_rows("reference", np.reshape(reference, (-1, 1)), least=2)
    after = as_rows("window", np.reshape(window, (-1, 1)))
    mean = float(before.mean())
    if not mean > 0:
        raise StatisticsError("a baseline whose rows all lie on the plane has no error to compare with")
    spread = float(before.std(ddof=1)) / mean
    scale = math.sqrt((1 / len(before) + 1 / len(after)) * as_effect("design", design_effect))
    return ErrorRatio(float(after.mean()) / mean, 1 + NormalDist().inv_cdf(1 - alpha) * spread * scale)
