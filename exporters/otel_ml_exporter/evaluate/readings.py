"""What an evaluation is made of: numbers to publish, and counts in the order of a baseline's bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.baseline import Histogram
from otel_ml.catalogue import Metric
from otel_ml.errors import StatisticsError
from otel_ml_exporter.counts import Counts

Vector = npt.NDArray[np.float64]
RESERVED = 2
"""The last bins of each histogram, `__missing__` and `__other__`, which have no place among intervals."""


class Reading(NamedTuple):
    """One number to publish; `labels` follow the metric's."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


def aligned(histogram: Histogram, bins: Counts) -> list[float]:
    """Counts in the order of the baseline's bins. Raises `StatisticsError` for a bin that the baseline does not have."""
    counts = [bins.get(label, 0.0) for label in histogram.labels]
    if len(bins) > len(counts) - counts.count(0.0):
        strange = [label for label in bins if label not in histogram.labels]
        if strange:
            raise StatisticsError(f"bin {min(strange)!r} is not in the baseline")
    return counts


def checked_counts(*sides: Sequence[float]) -> None:
    """Raises `StatisticsError` unless each side has counts that are finite and not negative, and some above 0."""
    for counts in sides:
        if min(counts) < 0 or not 0 < sum(counts) < math.inf:
            raise StatisticsError("counts must be finite and not negative, and some above 0")
