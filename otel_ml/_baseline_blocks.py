"""How far blocks of rows are from the rest, compared with blocks of independent rows: the design effect."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml._values import is_missing, label_of
from otel_ml.errors import BaselineError, Fault
from otel_ml.stats import table
from otel_ml.stats.distance import SMOOTHING

Indices = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.int64]

TIME_BLOCKS = ((20, 200), (100, 40), (500, 40))
"""Into how many blocks time is cut at most, and of how many rows at least: those of days cannot tell hours apart."""
KEY_BLOCKS = 1024


class Effect(NamedTuple):
    """How many times more than independent rows blocks scatter, at least 1, and how evenly; see `stats.psi_noise_scale`.

    `spell` is how many rows that follow each other count as one value where it is rare, at least 1.
    """

    size: float = 1.0
    degrees: float | None = None
    spell: float = 1.0


class Replay:
    """Counts per block and bin of each quantity. `place` finds the block of each row, negative where it has none."""

    def __init__(self, place: Callable[[Any], Indices], blocks: int, effect: Callable[[Matrix], Effect], bins: Mapping[str, int]) -> None:
        self.place = place
        self._effect = effect
        self._counts = {name: np.zeros((blocks, size), dtype=np.int64) for name, size in bins.items()}

    def add(self, name: str, blocks: Indices, positions: Indices) -> None:
        """Count values by their block and their bin, both of shape (rows,)."""
        counts = self._counts[name]
        inside = blocks >= 0
        flat = np.bincount(blocks[inside] * counts.shape[1] + positions[inside], minlength=counts.size)
        counts += flat.reshape(counts.shape)

    def effects(self) -> dict[str, Effect]:
        """The effect on each quantity."""
        return {name: self._effect(counts) for name, counts in self._counts.items()}


def replay_time(sample: Any, rows: int, bins: Mapping[str, int]) -> Replay:
    """A replay in blocks of following rows, the shortest of `TIME_BLOCKS`; `sample` are times of some of the `rows`."""
    known = _times(sample)[0]
    try:
        ordered = np.sort(known)
    except TypeError as error:
        raise BaselineError("the data", [Fault("time", f"cannot be put in order ({error})", "give times of one type")]) from error
    blocks = min(TIME_BLOCKS[-1][0], rows // TIME_BLOCKS[-1][1]) if rows >= 2 * TIME_BLOCKS[0][1] else 1
    starts = [len(ordered) * block // blocks for block in range(1, blocks)] if len(ordered) else []
    edges = np.unique(ordered[starts])
    return Replay(partial(_time_blocks, edges), len(edges) + 1, time_effect, bins)


def replay_key(bins: Mapping[str, int]) -> Replay:
    """A replay in random groups of keys, the same each time."""
    return Replay(_key_blocks, KEY_BLOCKS, key_effect, bins)


def _times(column: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The times that are there, and where they are."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufmM":
        gone = np.isnat(column) if column.dtype.kind in "mM" else np.isnan(column)
        return column[~gone], ~gone
    there = np.array([not is_missing(value) for value in column], dtype=bool)
    values = [value for value in column if not is_missing(value)]
    text = all(isinstance(value, str) for value in values)
    return np.array(values, dtype=str if text else object), there


def _time_blocks(edges: npt.NDArray[Any], column: Any) -> Indices:
    known, there = _times(column)
    blocks = np.full(len(column), -1, dtype=np.int64)
    blocks[there] = np.searchsorted(edges, known, "right")
    return blocks


def _key_blocks(column: Any) -> Indices:
    """By a hash that is the same in every process; a row without a key is a key of its own."""
    found: dict[str, int] = {}
    blocks = np.empty(len(column), dtype=np.int64)
    for row, key in enumerate(column.tolist() if isinstance(column, np.ndarray) else column):
        if is_missing(key):
            blocks[row] = row % KEY_BLOCKS
            continue
        name = key if isinstance(key, str) else label_of(key)
        if name not in found:
            found[name] = zlib.crc32(name.encode("utf-8", "replace")) % KEY_BLOCKS
        blocks[row] = found[name]
    return blocks


def time_effect(counts: Matrix) -> Effect:
    """The largest effect on blocks of several lengths; `counts` are those of the shortest, in the order of time.

    Weather scatters the most in long blocks, and the hour of the day in those that are shorter than a day. A spell is told by
    the longest ones, and lasts longer than their effect says, because one moment of it fills several bins: twice as long.
    """
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return Effect()
    found = [_scatter(_merged(counts, min(blocks, int(counts.sum()) // rows))) for blocks, rows in TIME_BLOCKS]
    return max(found, key=lambda effect: effect.size)._replace(spell=round(2 * found[0].size - 1, 3))


def _merged(counts: Matrix, blocks: int) -> Matrix:
    """Following blocks made one, so that there are about so many of about the same number of rows."""
    sizes = counts.sum(axis=1)
    places = (np.cumsum(sizes) - sizes / 2) * max(blocks, 1) // sizes.sum()
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    merged: Matrix = np.add.reduceat(counts, starts, axis=0)
    return merged


def _scatter(counts: Matrix) -> Effect:
    """The mean PSI of a block against the rest, divided by what it would be for independent rows, `(B - 1)(1/n + 1/m)`.

    The degrees of freedom are those of the chi-square that scatters about its mean as these ratios do (Satterthwaite 1946),
    where they are fewer than B - 1.
    """
    if len(counts) < 2:
        return Effect()
    sizes, degrees = counts.sum(axis=1), counts.shape[1] - 1
    rest = counts.sum(axis=0) - counts
    found = table.psi_terms(rest.astype(float), counts.astype(float), SMOOTHING).sum(axis=1)
    ratios = found / (degrees * (1 / sizes + 1 / (sizes.sum() - sizes)))
    size, variance = float(ratios.mean()), float(ratios.var(ddof=1))
    if size <= 1:
        return Effect()
    even = 2 * size**2 >= variance * degrees
    return Effect(round(size, 3), None if even else round(2 * size**2 / variance, 3))


def key_effect(counts: Matrix) -> Effect:
    """The same for random groups of keys, in the limit of large groups.

    There PSI is a chi-square, whose mean over all ways to form groups is a sum over keys (Rao and Scott 1981): no draw of
    groups adds its noise, and a group of few keys, of which most bins hold none, does not count for more than it should.
    """
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return Effect()
    sizes, total = counts.sum(axis=1, keepdims=True), counts.sum(axis=0)
    rows = total.sum()
    spread = ((counts - sizes * total / rows) ** 2).sum(axis=0) / total
    unbiased = 1 - float(((sizes / rows) ** 2).sum())
    return Effect(max(1.0, round(float(spread.sum() / (counts.shape[1] - 1) / unbiased), 3)))
