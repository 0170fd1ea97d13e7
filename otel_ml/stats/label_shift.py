"""Which classes there really are in a window, judged by what the model predicts there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import Counts, Vector, as_counts, as_effect, total
from otel_ml.stats.performance import as_confusion


class LabelShift(NamedTuple):
    """Shares of the true classes, their ratio to the baseline's, how much the solution multiplies an error, and standard errors."""

    shares: Vector
    weights: Vector
    condition: float
    errors: Vector


def bbse(
    confusion: Sequence[Sequence[float]] | npt.NDArray[np.number[Any]],
    predicted: Counts,
    *,
    worst_condition: float = 100.0,
    design_effect: float = 1.0,
) -> LabelShift:
    """Black-box shift estimate: the class shares that explain the predictions if each class is mistaken as in the baseline.

    `confusion` is the baseline's, counts of shape (classes, classes), rows the truth, columns the prediction; `predicted`
    are the window's predictions per class, shape (classes,). With each row divided by its sum it solves
    `rows.T @ shares = predicted / n`, sets what is negative to 0 and divides by the sum. `weights` are `shares` over the
    baseline's, one per class; weigh a row by that of its class. `condition` is the matrix's condition number: an error
    of the predicted shares may be multiplied by so much. `errors` are the standard errors of the shares before they are cut at 0, by
    the delta method: the window's predictions and each row of the confusion are multinomial; the window's variance grows by
    `design_effect` where its rows are not independent.

    It holds under label shift only: inputs of a class look as they did. Raises `StatisticsError` for counts that are none, a
    class that the baseline never had, or a condition above `worst_condition`, as of a model that hardly tells its classes.
    Source: Lipton, Wang and Smola, Detecting and correcting for label shift with black box predictors (2018).

    >>> bbse([[90, 10], [20, 80]], [55, 45]).shares.round(3).tolist()
    [0.5, 0.5]
    """
    matrix = as_confusion(confusion)
    counts = as_counts("predicted", predicted, like=np.diag(matrix))
    n = total("predicted", counts)
    truths = matrix.sum(axis=1)
    if (truths <= 0).any():
        raise StatisticsError(f"class {int(np.argmin(truths))} has no outcome in the baseline, so its mistakes are not known")
    mistaken = (matrix / truths[:, None]).T
    condition = float(np.linalg.cond(mistaken))
    if not condition <= worst_condition:
        raise StatisticsError(f"the model does not tell its classes well enough: condition {condition:.3g}, over {worst_condition:.3g}")
    solved = np.linalg.solve(mistaken, counts / n)
    shares = np.maximum(solved, 0)
    shares /= shares.sum()
    noise = _multinomial(counts / n, n / as_effect("design", design_effect))
    for column, share, truth in zip(mistaken.T, solved, truths, strict=True):
        noise += share**2 * _multinomial(column, truth)
    inverse = np.linalg.inv(mistaken)
    return LabelShift(shares, shares / (truths / truths.sum()), condition, np.sqrt(np.diag(inverse @ noise @ inverse.T)))


def _multinomial(shares: Vector, samples: float) -> Vector:
    """The covariance of shares that were counted over so many samples."""
    return np.asarray((np.diag(shares) - np.outer(shares, shares)) / samples)
