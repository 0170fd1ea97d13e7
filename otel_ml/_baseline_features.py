"""Tallies of single features: the bins come from a sample, the counts from all rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from otel_ml._binning import (
    VOCABULARY,
    categories_of,
    category_positions,
    count_categories,
    count_intervals,
    interval_positions,
    quantile_edges,
    tally,
)
from otel_ml._rules import DEFAULT_NUMBERS, watched_defaults
from otel_ml._values import as_numbers, is_missing, is_number, label_of
from otel_ml.baseline import Feature, Histogram
from otel_ml.catalogue import MISSING, OTHER

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_SEVERAL = -1
"""In place of the one key that has a category."""


class FeatureTally(Protocol):
    """Counts one feature, column after column."""

    bins: int

    def add(self, column: Any, keys: Indices | None = None) -> None:
        """Count the values of a column; `keys` tells, as a number for each row, whose it is."""

    def positions(self, column: Any) -> Indices:
        """The bin of each value; shape (rows,)."""

    def feature(self, importance: float | None) -> Feature:
        """What was counted."""


def feature_tally(name: str, sample: Any, *, code: bool, bins: int, like: Feature | None = None) -> FeatureTally:
    """An empty tally of a feature, with the bins that it has in another baseline or else that a sample of its values gives."""
    if code or not _is_numeric(sample):
        return CategoryTally(name, sample, like.histogram.categories if like is not None and like.type == "categorical" else None)
    return NumberTally(name, sample, bins, like.histogram.edges if like is not None else None)


def as_floats(column: Any) -> Floats:
    """A column of numbers as floats, NaN where missing."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        return column.astype(np.float64)
    return as_numbers(column)[0]


class NumberTally:
    """Counts numbers; mean and spread are joined as Chan, Golub and LeVeque (1979) do it."""

    def __init__(self, name: str, sample: Any, bins: int, edges: tuple[float, ...] | None = None) -> None:
        self._name = name
        self._edges = quantile_edges(as_floats(sample), bins) if edges is None else edges
        self.bins = len(self._edges) + 3
        self._counts = np.zeros(self.bins - 1, dtype=np.int64)
        self._range = (math.inf, -math.inf)
        self._defaults = np.zeros(len(DEFAULT_NUMBERS), dtype=bool)
        self._rows, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, column: Any, keys: Indices | None = None) -> None:  # noqa: ARG002 - of no use to numbers
        """See `FeatureTally.add`."""
        values = as_floats(column)
        self._counts += count_intervals(values, self._edges)
        finite = values[np.isfinite(values)]
        if not finite.size:
            return
        self._defaults |= np.isin(DEFAULT_NUMBERS, finite)
        self._range = min(self._range[0], float(finite.min())), max(self._range[1], float(finite.max()))
        with np.errstate(over="ignore", invalid="ignore"):
            self._join(finite.size, float(finite.mean()), float(finite.var()))

    def _join(self, rows: int, mean: float, variance: float) -> None:
        total, apart = self._rows + rows, np.float64(mean - self._mean)
        if self._rows:
            self._squares += float(apart**2) * self._rows * rows / total
        self._squares += variance * rows
        self._mean = float(self._mean + apart * rows / total) if self._rows else mean
        self._rows = total

    def positions(self, column: Any) -> Indices:
        """See `FeatureTally.positions`."""
        return interval_positions(as_floats(column), self._edges)

    def feature(self, importance: float | None) -> Feature:
        """See `FeatureTally.feature`."""
        histogram = Histogram(self._edges, (), (*self._counts.tolist(), 0))
        if not self._rows:
            return Feature(self._name, "numeric", histogram, importance=importance)
        std = math.sqrt(self._squares / self._rows)
        return Feature(
            self._name,
            "numeric",
            histogram,
            minimum=self._range[0],
            maximum=self._range[1],
            mean=self._mean if math.isfinite(self._mean) else None,
            std=std if math.isfinite(std) else None,
            defaults=watched_defaults(self._defaults, *self._range),
            importance=importance,
        )


class CategoryTally:
    """Counts categories, and learns those that the sample did not have until the vocabulary is full."""

    def __init__(self, name: str, sample: Any, categories: tuple[str, ...] | None = None) -> None:
        self._name = name
        frequent, vocabulary = categories_of(tally(_values(sample)))
        self._categories = frequent if categories is None else categories
        self._vocabulary = {*vocabulary, *self._categories}
        self.bins = len(self._categories) + 2
        self._counts = np.zeros(self.bins, dtype=np.int64)
        self._owner: dict[str, int] = {}
        self._rows = 0

    def add(self, column: Any, keys: Indices | None = None) -> None:
        """See `FeatureTally.add`."""
        tallied = tally(_values(column))
        self._counts += count_categories(tallied, self._categories)
        unknown = sorted(tallied.keys() - self._vocabulary - {MISSING, OTHER})
        self._vocabulary.update(unknown[: VOCABULARY - len(self._vocabulary)])
        if keys is None:
            self._own((label, row) for label, count in tallied.items() for row in range(self._rows, self._rows + min(count, 2)))
        else:
            self._own(set(zip(map(_label, _values(column)), keys.tolist(), strict=True)))
        self._rows += tallied.total()

    def _own(self, pairs: Iterable[tuple[str, int]]) -> None:
        """Remember whose each known category is, until a second one has it."""
        for label, key in pairs:
            if label in self._vocabulary:
                self._owner[label] = key if self._owner.get(label, key) == key else _SEVERAL

    def positions(self, column: Any) -> Indices:
        """See `FeatureTally.positions`."""
        return category_positions(_values(column), self._categories)

    def feature(self, importance: float | None) -> Feature:
        """See `FeatureTally.feature`."""
        histogram = Histogram(None, self._categories, tuple(self._counts.tolist()))
        vocabulary = tuple(sorted(self._vocabulary))
        singletons = sum(owner != _SEVERAL for owner in self._owner.values())
        return Feature(self._name, "categorical", histogram, vocabulary=vocabulary, importance=importance, singletons=singletons)


def _label(value: Any) -> str:
    return MISSING if is_missing(value) else label_of(value)


def _values(column: Any) -> Any:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _is_numeric(column: Any) -> bool:
    """Numbers throughout, missing values aside; booleans and text are categories, a column of nothing is numeric."""
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return column.dtype.kind in "iuf"
    return all(is_number(value) or is_missing(value) for value in column)
