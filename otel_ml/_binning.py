"""Bins: where they begin, what they are called, and how many values fall in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_ml._values import is_missing, label_of
from otel_ml.catalogue import MISSING, OTHER

Floats = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]

CONFIDENCE_EDGES: Final = tuple(index / 15 for index in range(1, 15))
"""15 bins of equal width in [0, 1] (Guo et al. 2017)."""

VOCABULARY: Final = 1_000
"""Known categories that a baseline remembers; a feature that has more cannot tell an unseen one."""


def quantile_edges(values: Floats, bins: int) -> tuple[float, ...]:
    """Inner edges of at most `bins` intervals `(lower, upper]` that hold about the same number of `values`.

    Every edge is a value that occurred. Equal edges are merged; a value that holds more than 1/bins of the mass gets an
    interval of its own, from the value before it. NaN and infinite values are ignored.
    """
    ordered = np.sort(values[np.isfinite(values)])
    if ordered.size == 0:
        return ()
    distinct, counts = np.unique(ordered, return_counts=True)
    edges = set(np.quantile(ordered, np.arange(1, bins) / bins, method="inverted_cdf").tolist())
    for index in np.flatnonzero(counts > ordered.size / bins):
        edges.add(float(distinct[index]))
        if index > 0:
            edges.add(float(distinct[index - 1]))
    edges.discard(float(distinct[-1]))
    return tuple(sorted(edges))


def interval_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """The names of the intervals between `edges`; the index comes first, so that text order is bin order.

    >>> interval_labels([18, 30.5])
    ('00 (-inf, 18]', '01 (18, 30.5]', '02 (30.5, inf]')
    """
    bounds = [f"{edge:.6g}" for edge in (-np.inf, *edges, np.inf)]
    width = max(2, len(str(len(edges))))
    return tuple(f"{index:0{width}d} ({lower}, {upper}]" for index, (lower, upper) in enumerate(pairwise(bounds)))


def count_intervals(values: Floats, edges: Sequence[float]) -> Counts:
    """How many of `values` fall in each interval between `edges`, and last how many are NaN; shape (edges + 2,)."""
    ordered = np.sort(values)
    below = ordered.searchsorted(np.array([*edges, np.inf], dtype=ordered.dtype), "right")
    return np.diff(below, prepend=0, append=ordered.size)


def categories_of(tallied: Counter[str], *, keep: int, vocabulary: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The `keep` most frequent categories, which get a bin each, and the whole vocabulary up to a size; both in text order."""
    frequent = [label for label, _ in tallied.most_common() if label not in (MISSING, OTHER)]
    return tuple(sorted(frequent[:keep])), tuple(sorted(frequent[:vocabulary]))


def count_categories(tallied: Counter[str], categories: Sequence[str]) -> Counts:
    """How often each category was tallied, then `__missing__`, then `__other__`; shape (categories + 2,)."""
    known = [tallied.get(category, 0) for category in (*categories, MISSING)]
    return np.array([*known, sum(tallied.values()) - sum(known)], dtype=np.int64)


def tally(values: Iterable[Any]) -> Counter[str]:
    """How often each category occurs, `__missing__` among them; what cannot be hashed counts by its text."""
    try:
        raw = Counter(values)
    except TypeError:
        raw = Counter(value if _hashable(value) else label_of(value) for value in values)
    tallied: Counter[str] = Counter()
    for value, count in raw.items():
        tallied[MISSING if is_missing(value) else label_of(value)] += count
    return tallied


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def reserved(labels: Sequence[str]) -> tuple[str, ...]:
    """`labels` with the two bins that every quantity has."""
    return (*labels, MISSING, OTHER)
