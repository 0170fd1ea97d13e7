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

KEPT_CATEGORIES: Final = 30
"""Categories that get a bin of their own; the others are pooled in `__other__`."""

VOCABULARY: Final = 1_000
"""Known categories that a baseline remembers; a feature that has more cannot tell an unseen one."""

RARE_ROWS: Final = 5
RARE_SHARE: Final = 0.01
"""A category below both has no bin of its own: a window would expect next to nothing in it."""

SLIVER: Final = 0.1
"""An interval that holds less than this part of its fair share is no interval of its own."""


def quantile_edges(values: Floats, bins: int) -> tuple[float, ...]:
    """Inner edges of at most `bins` intervals `(lower, upper]` that hold about the same number of `values`.

    Every edge is a value that occurred. Equal edges are merged; a value that holds more than 1/bins of the mass gets an
    interval of its own, from the value before it. An interval that ties leave with less than a tenth of 1/bins joins a
    neighbour, unless both are such values. NaN and infinite values are ignored.
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
    return _without_slivers(sorted(edges), distinct, counts, ordered.size / bins)


def _without_slivers(edges: list[float], distinct: Floats, counts: Counts, fair: float) -> tuple[float, ...]:
    """The edges that are left when each nearly empty interval has joined its smaller neighbour that is not one heavy value."""
    while True:
        bounds = [0, *np.searchsorted(distinct, edges, "right").tolist(), distinct.size]
        held = [int(counts[first:last].sum()) for first, last in pairwise(bounds)]
        heavy = [last - first == 1 and rows > fair for (first, last), rows in zip(pairwise(bounds), held, strict=True)]
        joins = [
            (index, min(neighbours, key=held.__getitem__))
            for index, rows in enumerate(held)
            if rows < SLIVER * fair
            and (neighbours := [near for near in (index - 1, index + 1) if 0 <= near < len(held) and not heavy[near]])
        ]
        if not joins:
            return tuple(edges)
        del edges[min(joins[0])]


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


def interval_positions(values: Floats, edges: Sequence[float]) -> Counts:
    """The interval in which each of `values` falls, or edges + 1 for NaN; shape (rows,)."""
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(np.array(edges), values, "left"))


def categories_of(tallied: Counter[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The categories that get a bin each, and the whole vocabulary up to a size; both in text order.

    The most frequent get a bin, the rare none: those with fewer than 5 rows that are less than 1 % of all.

    >>> categories_of(Counter({"a": 900, "b": 96, "c": 4}))
    (('a', 'b'), ('a', 'b', 'c'))
    """
    rare = min(RARE_ROWS, RARE_SHARE * sum(tallied.values()))
    frequent = [label for label, _ in tallied.most_common() if label not in (MISSING, OTHER)]
    kept = [label for label in frequent[:KEPT_CATEGORIES] if tallied[label] >= rare]
    return tuple(sorted(kept)), tuple(sorted(frequent[:VOCABULARY]))


def category_positions(values: Iterable[Any], categories: Sequence[str]) -> Counts:
    """The place of each value in `categories`, then those of `__missing__` and of `__other__`; shape (rows,)."""
    places = {label: place for place, label in enumerate((*categories, MISSING))}
    labels = (MISSING if is_missing(value) else label_of(value) for value in values)
    return np.array([places.get(label, len(places)) for label in labels], dtype=np.int64)


def count_categories(tallied: Counter[str], categories: Sequence[str]) -> Counts:
    """How often each category was tallied, then `__missing__`, then `__other__`; shape (categories + 2,)."""
    known = [tallied.get(category, 0) for category in (*categories, MISSING)]
    return np.array([*known, sum(tallied.values()) - sum(known)], dtype=np.int64)


def tally(values: Iterable[Any]) -> Counter[str]:
    """How often each category occurs, `__missing__` among them; what cannot be hashed counts by its text."""
    try:
        raw = Counter(values)
    except Exception:  # noqa: BLE001 - a user's __hash__ may raise anything
        raw = Counter(value if _hashable(value) else label_of(value) for value in values)
    tallied: Counter[str] = Counter()
    for value, count in raw.items():
        tallied[MISSING if is_missing(value) else label_of(value)] += count
    return tallied


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def reserved(labels: Sequence[str]) -> tuple[str, ...]:
    """`labels` with the two bins that every quantity has."""
    return (*labels, MISSING, OTHER)
