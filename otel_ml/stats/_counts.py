"""What every function of `otel_ml.stats` asks of its counts."""

from __future__ import annotations

import math
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


def as_part(name: str, part: Counts, whole: Vector) -> Vector:
    """`part` as counts that are nowhere larger than `whole`; rounding of sums is forgiven."""
    vector = as_counts(name, part, like=whole)
    if (vector > whole * (1 + 1e-9)).any():
        raise StatisticsError(f"{name} must not be larger than the outcomes of its bin; confidence is a sum over each bin")
    return np.minimum(vector, whole)


def both_shares(expected: Counts, actual: Counts) -> tuple[Vector, Vector, float]:
    """The shares of two sets of counts over the same bins, and the number of samples in the second."""
    q_counts = as_counts("expected", expected)
    p_counts = as_counts("actual", actual, like=q_counts)
    m, n = total("expected", q_counts), total("actual", p_counts)
    return q_counts / m, p_counts / n, n


def as_effect(name: str, effect: float) -> float:
    """How many times larger than for independent rows the sampling variance is; at least 1."""
    if not 1 <= effect < math.inf:
        raise StatisticsError(f"the {name} effect must be at least 1 and finite, got {effect}")
    return float(effect)


def as_degrees(degrees: float | None, most: float) -> float:
    """Degrees of freedom above 0, at most those that the bins have and that None stands for."""
    if degrees is None:
        return most
    if not 0 < degrees < math.inf:
        raise StatisticsError(f"the degrees of freedom must be above 0 and finite, got {degrees}")
    return min(degrees, most)
