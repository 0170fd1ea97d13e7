"""How good the predictions were, from a confusion matrix or from sums of errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError


class Classification(NamedTuple):
    """Scores of a classifier. Precision, recall and F1 are of the last class when there are two, else means over classes."""

    accuracy: float
    balanced_accuracy: float
    precision: float
    recall: float
    f1: float
    samples: float


def classification(confusion: Sequence[Sequence[float]] | npt.NDArray[np.number[Any]]) -> Classification:
    """Scores from a confusion matrix of shape (classes, classes): rows are the truth, columns the prediction.

    A class that never occurred is left out of the means; a score that would divide by 0 is 0, as scikit-learn has it.
    Raises `StatisticsError` when the matrix is not square, negative, or empty.

    >>> classification([[50, 10], [5, 35]]).accuracy
    0.85
    """
    matrix = as_confusion(confusion)
    hits, truths, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    recall = np.divide(hits, truths, out=np.zeros_like(hits), where=truths > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    seen = (truths + predicted) > 0
    chosen = np.array([False, True]) if len(matrix) == 2 else seen
    return Classification(
        accuracy=float(hits.sum() / matrix.sum()),
        balanced_accuracy=float(recall[truths > 0].mean()),
        precision=float(precision[chosen].mean()),
        recall=float(recall[chosen].mean()),
        f1=float(f1[chosen].mean()),
        samples=float(matrix.sum()),
    )


def as_confusion(confusion: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """`confusion` as a square float matrix of counts, at least one of them more than 0."""
    matrix = np.asarray(confusion, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise StatisticsError(f"a confusion matrix is square, got shape {matrix.shape}")
    if not np.isfinite(matrix).all() or (matrix < 0).any() or matrix.sum() <= 0:
        raise StatisticsError("a confusion matrix holds counts, at least one of them more than 0")
    return matrix


class Regression(NamedTuple):
    """Scores of a regression; `bias` is the mean of prediction minus truth; `r2` is None when the truth does not vary."""

    bias: float
    mae: float
    rmse: float
    r2: float | None
    samples: float


def regression(
    samples: float, *, error: float, absolute_error: float, squared_error: float, truth: float, squared_truth: float
) -> Regression:
    """Scores from sums over the outcomes; an error is prediction minus truth.

    The arguments are sums (number of outcomes, of errors, of their magnitudes, of their squares, of the truth, of its
    squares), so that they add over replicas and windows. Raises `StatisticsError` without samples.

    >>> regression(2, error=1, absolute_error=3, squared_error=5, truth=4, squared_truth=10).mae
    1.5
    """
    if samples <= 0:
        raise StatisticsError("a regression score needs at least one outcome")
    spread = squared_truth - truth**2 / samples
    return Regression(
        bias=error / samples,
        mae=absolute_error / samples,
        rmse=math.sqrt(squared_error / samples),
        r2=1 - squared_error / spread if spread > 1e-12 * max(squared_truth, 1e-300) else None,
        samples=samples,
    )
