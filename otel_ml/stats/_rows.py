"""What the functions of `otel_ml.stats` that look at rows, not at counts, ask of them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError

Matrix = npt.NDArray[np.float64]


def as_rows(name: str, rows: npt.ArrayLike, *, least: int = 1, width: int | None = None) -> Matrix:
    """`rows` as a float matrix of shape (rows, features): finite, at least `least` rows, `width` features."""
    data = np.asarray(rows, dtype=np.float64)
    if data.ndim != 2 or data.shape[1] == 0 or len(data) < least or not np.isfinite(data).all():
        raise StatisticsError(f"{name} must be a finite matrix with at least {least} rows, got shape {data.shape}")
    if width is not None and data.shape[1] != width:
        raise StatisticsError(f"{name} has {data.shape[1]} features where {width} are expected")
    return data


def squared_distances(left: Matrix, right: Matrix) -> Matrix:
    """Squared Euclidean distances between the rows of two matrices, shape (left rows, right rows)."""
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    distances: Matrix = np.maximum(squares - 2 * left @ right.T, 0)
    return distances


def spaced(rows: Matrix, most: int) -> Matrix:
    """At most `most` of `rows`, evenly spaced from the first to the last, so that the choice needs no seed."""
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])


def median_distance(rows: Matrix) -> float:
    """The median of the distances between different `rows`, of the ones above 0 where most rows are equal; 0 when all are."""
    centred = rows - rows.mean(axis=0)  # the squares cancel better around 0
    distances = squared_distances(centred, centred)[np.triu_indices(len(rows), 1)]
    noise = 1e-12 * float((centred**2).sum(axis=1).max(initial=0))
    apart = distances[distances > noise]
    if not apart.size:
        return 0.0
    middle = float(np.median(distances))
    return math.sqrt(middle if middle > noise else float(np.median(apart)))
