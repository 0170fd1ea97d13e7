"""The reference of rows as a whole: where they lie together, and how far from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from otel_ml import stats
from otel_ml._baseline_features import Floats, as_floats
from otel_ml._binning import count_intervals
from otel_ml.baseline import Histogram, Outliers

OUTLIER_FEATURES = 200
"""Most features that are watched together: the precision matrix is their number squared, in the file and for each row."""
OUTLIER_QUANTILES = (0.5, 0.9, 0.99, 0.999)


class OutlierTally:
    """Counts the squared distances of rows from the centre of a sample; nothing for fewer than two features that vary, or too many."""

    def __init__(self, sample: Mapping[str, Any]) -> None:
        varying = {name: values for name, column in sample.items() if _varies(values := _gaps(as_floats(column)))}
        self._names = tuple(varying) if 2 <= len(varying) <= OUTLIER_FEATURES else ()
        if self._names:
            self._mean = np.array([np.nanmean(values) for values in varying.values()])
            self._scale = np.array([np.nanstd(values) for values in varying.values()])
            rows = self._rows(varying)
            _, self._precision, _ = stats.gaussian(rows)
            self._edges = outer_edges(self._distances(rows))
            self._counts = np.zeros(len(self._edges) + 2, dtype=np.int64)

    def add(self, columns: Mapping[str, Any]) -> None:
        """Count rows."""
        if self._names:
            rows = self._rows({name: _gaps(as_floats(columns[name])) for name in self._names})
            self._counts += count_intervals(self._distances(rows), self._edges)

    def outliers(self) -> Outliers | None:
        """What was counted."""
        if not self._names:
            return None
        return Outliers(
            self._names,
            tuple(self._mean.tolist()),
            tuple(self._scale.tolist()),
            tuple(map(tuple, self._precision.tolist())),
            Histogram(self._edges, (), (*self._counts.tolist(), 0)),
        )

    def _rows(self, values: Mapping[str, Floats]) -> Floats:
        rows: Floats = np.nan_to_num((np.column_stack(list(values.values())) - self._mean) / self._scale)
        return rows

    def _distances(self, rows: Floats) -> Floats:
        distances: Floats = stats.mahalanobis(rows, np.zeros(len(self._names)), self._precision)
        return distances


def outer_edges(scores: Floats) -> tuple[float, ...]:
    """Edges between which the bins grow finer towards the highest of the scores that are finite."""
    known = scores[np.isfinite(scores)]
    return tuple(np.unique(np.quantile(known, OUTLIER_QUANTILES)).tolist()) if known.size else ()


def _gaps(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _varies(values: Floats) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values).any() and 0 < np.nanstd(values) < np.inf)
