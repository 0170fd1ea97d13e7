"""What every function of `otel_ml.stats` asks of its counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError

Counts = Sequence[float] | npt.NDArray[np.floating] | npt.NDArray[np.integer]
Vector = npt.NDArray[np.float64]


def as_counts(name: str, counts: Counts, *, like: Vector | None = None) -> Vector:
    """`counts` as a float vector: one dimension, finite, not negative, as long as `like`; fractions are welcome."""
    vector = np.asarray(counts, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise StatisticsError(f"{name} must be one row of counts, got shape {vector.shape}")
    if not np.isfinite(vector).all() or (vector < 0).any():
        raise StatisticsError(f"{name} must be finite and not negative")
    if like is not None and vector.size != like.size:
        raise StatisticsError(f"{name} has {vector.size} bins where {like.size} are expected")
    return vector


def total(name: str, counts: Vector) -> float:
    """The sum of `counts`, which must be more than 0."""
    samples = float(counts.sum())
    if samples <= 0:
        raise StatisticsError(f"{name} holds no samples")
    return samples
