"""Logistic regression with a ridge, which tells baseline rows from window rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otel_ml.stats._rows import Matrix

_STEPS = 50
_FLATTEST = 1e-10


class Design(NamedTuple):
    """Turns rows into standardised values and standardised squares, so that a change of scale is seen as well as one of place."""

    mean: Matrix
    scale: Matrix
    square_mean: Matrix
    square_scale: Matrix

    def __call__(self, rows: Matrix) -> Matrix:
        values = (rows - self.mean) / self.scale
        return np.hstack([values, (values**2 - self.square_mean) / self.square_scale])


def design(rows: Matrix) -> Design:
    """A `Design` that gives each column of `rows` mean 0 and deviation 1; columns that do not vary become 0."""
    mean, scale = rows.mean(axis=0), _deviations(rows)
    squares = ((rows - mean) / scale) ** 2
    return Design(mean, scale, squares.mean(axis=0), _deviations(squares))


def _deviations(columns: Matrix) -> Matrix:
    deviations = columns.std(axis=0)
    flat = deviations <= 1e-9 * np.abs(columns).max(axis=0)
    return np.where(flat, np.inf, deviations)


def probability(log_odds: Matrix) -> Matrix:
    """The logistic function, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(log_odds / 2)))


def fit(columns: Matrix, labels: Matrix, *, ridge: float = 1.0) -> tuple[float, Matrix]:
    """Intercept and weights that minimise the log loss (a sum over rows) plus `ridge / 2` times the squared weights.

    Newton's method, iteratively reweighted least squares; a step that does not lower the loss is halved.
    """
    table = np.column_stack([np.ones(len(columns)), columns])
    penalty = np.full(table.shape[1], ridge)
    penalty[0] = 1e-9
    weights = np.zeros(table.shape[1])
    loss = _loss(table, labels, weights, penalty)
    for _ in range(_STEPS):
        odds = probability(table @ weights)
        gradient = table.T @ (odds - labels) + penalty * weights
        curvature = (table * np.maximum(odds * (1 - odds), 1e-12)[:, None]).T @ table + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        closer, lower = weights - step, _loss(table, labels, weights - step, penalty)
        while lower > loss and float(np.abs(step).max()) > _FLATTEST:
            step = step / 2
            closer, lower = weights - step, _loss(table, labels, weights - step, penalty)
        weights, loss = closer, lower
        if float(np.abs(step).max()) <= _FLATTEST:
            break
    return float(weights[0]), weights[1:]


def _loss(table: Matrix, labels: Matrix, weights: Matrix, penalty: Matrix) -> float:
    log_odds = table @ weights
    return float((np.logaddexp(0, log_odds) - labels * log_odds).sum() + penalty @ weights**2 / 2)
