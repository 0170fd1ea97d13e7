"""Where the numbers of a model's rows are counted: bins, violations, and how far out each row lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml._binning import count_intervals
from otel_ml._layout import Layout
from otel_ml._runs import Held
from otel_ml.baseline import Feature, Outliers, Rules

Counts = npt.NDArray[np.int64]
Block = npt.NDArray[np.floating[Any]]
"""Rows of a model: one line a numeric feature, NaN where a value is missing."""

CHUNK = 1024
"""Rows of a large input that are sorted at a time; they stay in the cache."""

_ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS works in the calling thread; more would wake threads that the model needs."""

_VIOLATIONS = (
    names.VIOLATION_MISSING,
    names.VIOLATION_INFINITE,
    names.VIOLATION_OUT_OF_RANGE,
    names.VIOLATION_FAR,
    names.VIOLATION_BOUNDS,
    names.VIOLATION_DEFAULT,
)

_DECLARED = 3
"""The place of the declared range among a feature's ranges; those before it hold finite numbers only."""


class Numeric:
    """Counts the numeric features of one model into an array of its layout.

    A feature costs one sort of its column and one binary search for each bound: its edges, and the ends of ranges. Numbers are compared
    in their own precision, so that a float32 equals the edge it was rounded from.
    """

    def __init__(self, layout: Layout, features: Sequence[Feature]) -> None:
        self._features = features
        self._every = np.arange(len(features))
        self._width = max((len(feature.histogram.edges or ()) for feature in features), default=0) + 1
        self._bounds: dict[np.dtype[Any], Block] = {np.dtype(kind): self._bounds_in(kind) for kind in (np.float32, np.float64)}
        self._bottomless = np.array([feature.rules is None or feature.rules.minimum is None for feature in features], dtype=bool)
        bins = np.array([len(feature.histogram.labels) - 2 for feature in features], dtype=np.int64)
        starts = np.array([layout.feature_start[feature.name] for feature in features], dtype=np.int64)
        self._missing = starts + bins
        self._real = np.arange(self._width) < bins[:, None]
        self._places = (starts[:, None] + np.arange(self._width))[self._real]
        self._violations = [_present([layout.violation_start[feature.name].get(kind) for feature in features]) for kind in _VIOLATIONS]
        outliers = layout.baseline.outliers if layout.baseline is not None else None
        self.distances = Distances(outliers, [feature.name for feature in features]) if outliers is not None else None
        self._outliers = layout.series[names.OUTLIER_OBSERVATIONS].start if outliers is not None else 0

    def _bounds_in(self, kind: type[np.floating[Any]]) -> Block:
        """One line a feature: its edges, infinity as often as it takes to be as wide as the others, the ends of its ranges."""
        ranges = [_ranges_of(feature) for feature in self._features]
        lines = np.full((len(ranges), self._width + 2 * max(map(len, ranges), default=0)), np.inf, dtype=kind)
        with np.errstate(over="ignore"):
            for line, feature, own in zip(lines, self._features, ranges, strict=True):
                edges = feature.histogram.edges or ()
                line[: len(edges)] = edges
                lowest, highest = np.array(own, dtype=kind).T
                highest[:_DECLARED] = np.minimum(highest[:_DECLARED], np.finfo(kind).max)
                line[self._width :: 2][: len(own)] = np.nextafter(lowest, kind(-np.inf))
                line[self._width + 1 :: 2][: len(own)] = highest
        return lines

    def add(self, counts: Counts, blocks: Iterable[Block], singles: npt.NDArray[np.bool_] | None = None) -> Held:
        """Count the rows of all blocks, which are sorted in place; `singles` tells which features came as float32."""
        lowest = highest = np.full(len(self._features), np.nan)
        if not self._features:
            return Held(lowest, np.zeros(0, dtype=np.int64))
        size, distances = 0, []
        below = np.zeros(self._bounds[np.dtype(np.float64)].shape, dtype=np.int64)
        for block in blocks:
            size += block.shape[1]
            if self.distances is not None:
                distances.append(self.distances(block))
            block.sort(axis=1)
            bounds = self._bounds[block.dtype]
            if singles is not None and singles.any():
                bounds = np.where(singles, self._bounds[np.dtype(np.float32)].astype(np.float64), bounds)
            found = np.array([ordered.searchsorted(line, "right") for ordered, line in zip(block, bounds, strict=True)])
            below += found
            lowest = np.fmin(lowest, block[:, 0])
            highest = np.fmax(highest, block[self._every, found[:, self._width - 1] - 1])
        self._add_found(counts, size, below)
        if self.distances is not None and distances:
            increments = count_intervals(np.concatenate(distances), self.distances.edges)
            counts[self._outliers : self._outliers + len(increments)] += increments
        return Held(np.where(lowest == highest, lowest, np.nan), below[:, self._width - 1])

    def _add_found(self, counts: Counts, size: int, below: Counts) -> None:
        """Count `size` rows, of whose numbers `below` are not above each bound."""
        edges, ends = below[:, : self._width], below[:, self._width :]
        valid, infinitely_low = edges[:, -1], ends[:, 0]
        counts[self._places] += np.diff(edges, axis=1, prepend=0)[self._real]
        counts[self._missing] += size - valid
        finite, observed, near, declared, *defaults = (ends[:, 1::2] - ends[:, ::2]).T
        out_of_bounds = valid - declared - self._bottomless * infinitely_low
        found = (size - valid, valid - finite, finite - observed, finite - near, out_of_bounds, sum(defaults, np.zeros_like(valid)))
        for (features, places), rows in zip(self._violations, found, strict=True):
            counts[places] += rows[features]


class Distances:
    """The squared Mahalanobis distance of rows from the baseline; a missing value counts as the mean. `edges` are those of its bins."""

    def __init__(self, outliers: Outliers, numeric: Sequence[str]) -> None:
        self._lines = [numeric.index(name) for name in outliers.features]
        scale = np.array(outliers.scale)
        self._mean = np.array(outliers.mean)
        self._centre = np.zeros(len(scale))
        with np.errstate(over="ignore"):  # of features that hardly vary it is infinite
            self._precision = np.array(outliers.precision) / np.outer(scale, scale)
        self._farthest = 1e6 * scale
        self.edges = outliers.histogram.edges or ()

    def __call__(self, block: Block) -> npt.NDArray[np.float64]:
        """The distance of each row."""
        chosen = block if len(self._lines) == len(block) else block[self._lines]
        step = max(1, _ONE_THREAD // len(self._lines) ** 2)
        with np.errstate(all="ignore"):
            if chosen.shape[1] <= step:
                return self._of(chosen.T)
            return np.concatenate([self._of(chosen[:, start : start + step].T) for start in range(0, chosen.shape[1], step)])

    def _of(self, rows: Block) -> npt.NDArray[np.float64]:
        distances = stats.mahalanobis(rows, self._mean, self._precision)
        if not np.isfinite(distances).all():
            strange = ~np.isfinite(distances)
            centred = np.clip(np.nan_to_num(rows[strange] - self._mean), -self._farthest, self._farthest)
            distances[strange] = stats.mahalanobis(centred, self._centre, self._precision)
        return distances


def _ranges_of(feature: Feature) -> list[tuple[float, float]]:
    """The finite numbers, those observed, those in a range three times as wide, those declared, and each default token."""
    largest = float(np.finfo(np.float64).max)
    observed = near = (-largest, largest)
    if feature.minimum is not None and feature.maximum is not None:
        span = feature.maximum - feature.minimum
        observed, near = (feature.minimum, feature.maximum), (feature.minimum - span, feature.maximum + span)
    rules = feature.rules or Rules()
    declared = (-np.inf if rules.minimum is None else rules.minimum, np.inf if rules.maximum is None else rules.maximum)
    return [(-largest, largest), observed, near, declared, *((token, token) for token in feature.defaults)]


def _present(places: Sequence[int | None]) -> tuple[list[int], list[int]]:
    """The features that have a place, and that place."""
    present = [(feature, place) for feature, place in enumerate(places) if place is not None]
    return [feature for feature, _ in present], [place for _, place in present]
