"""The formulas of distances and tests for many features at once; those of one feature are a table of one row.

Counts and shares have shape (features, bins), results (features,). Nothing is checked: counts must be finite and not negative,
and those of each row more than 0.
"""

from __future__ import annotations

import numpy as np

from otel_ml.stats._counts import Vector
from otel_ml.stats._special import gamma_tail

LEAST_EXPECTED = 5.0
"""Bins that expect fewer are pooled (Cochran 1954)."""


def psi_terms(expected: Vector, actual: Vector, smoothing: Vector | float) -> Vector:
    """The term of each bin, shape (features, bins); `smoothing` has shape (features, 1), or is one number. See `stats.psi`."""
    q, p = _shares(expected + smoothing), _shares(actual + smoothing)
    terms: Vector = (p - q) * np.log(p / q)
    return terms


def _shares(counts: Vector) -> Vector:
    shares: Vector = counts / counts.sum(axis=1, keepdims=True)
    return shares


def js_distances(q: Vector, p: Vector) -> Vector:
    """Jensen-Shannon distances of shares. See `stats.js_distance`."""
    middle = (p + q) / 2
    divergences: Vector = (_bits(p, middle) + _bits(q, middle)) / 2
    return np.sqrt(np.clip(divergences, 0, 1))


def _bits(p: Vector, q: Vector) -> Vector:
    """Kullback-Leibler divergences in bits; bins that are empty in `p` add nothing."""
    terms = p * np.log2(np.divide(p, q, out=np.ones_like(p), where=(p > 0) & (q > 0)))
    total: Vector = terms.sum(axis=1)
    return total


def ks_distances(q: Vector, p: Vector) -> Vector:
    """Largest gaps between cumulative shares. See `stats.ks`."""
    gaps: Vector = np.abs(np.cumsum(p, axis=1) - np.cumsum(q, axis=1)).max(axis=1)
    return np.minimum(gaps, 1)


def wasserstein_distances(q: Vector, p: Vector, bounds: Vector) -> Vector:
    """Areas between cumulative shares that go straight between `bounds`, shape (features, bins + 1). See `stats.wasserstein`."""
    gaps = np.cumsum(p - q, axis=1)
    gaps[:, -1] = 0
    left = np.concatenate([np.zeros((len(gaps), 1)), gaps[:, :-1]], axis=1)
    areas: Vector = (_mean_height(left, gaps) * np.diff(bounds, axis=1)).sum(axis=1)
    return areas


def _mean_height(left: Vector, right: Vector) -> Vector:
    """The mean of `|f|` over an interval where f goes straight from `left` to `right`."""
    heights = np.abs(left) + np.abs(right)
    crossing = left * right < 0
    return np.where(crossing, np.divide(left**2 + right**2, 2 * heights, out=heights / 2, where=crossing), heights / 2)


def chi_squares(expected: Vector, actual: Vector, least_expected: float = LEAST_EXPECTED) -> tuple[Vector, Vector]:
    """Pearson's statistics and their degrees of freedom, rare bins pooled. See `stats.chi_square`.

    The bins of a row go into one pool, the smallest first and those of one size together, until it expects enough and no bin
    is left that does not.
    """
    m, n, both = expected.sum(axis=1), actual.sum(axis=1), expected + actual
    least = (least_expected * (m + n) / np.minimum(m, n))[:, None]
    ordered = np.sort(both, axis=1)
    rare = (ordered > 0) & (ordered < least)
    joins = rare | (np.cumsum(ordered, axis=1) - ordered < least)
    largest = np.where(rare.any(axis=1), np.where(joins, ordered, 0).max(axis=1), 0)[:, None]
    pooled = both <= largest
    deviation = expected - both * (m / (m + n))[:, None]
    apart, pool, pool_deviation = (np.where(pooled, 0, both), *(np.where(pooled, part, 0).sum(axis=1) for part in (both, deviation)))
    terms = np.divide(deviation**2, apart, out=np.zeros_like(both), where=apart > 0).sum(axis=1)
    terms += np.divide(pool_deviation**2, pool, out=np.zeros_like(pool), where=pool > 0)
    bins = (apart > 0).sum(axis=1) + (pool > 0)
    return np.where(bins > 1, terms * (m + n) ** 2 / (m * n), 0.0), np.maximum(bins - 1.0, 0.0)


def chi_square_tails(statistics: Vector, degrees: Vector, fewer: Vector) -> Vector:
    """p-values of statistics already divided by their design effect, whose tails have `fewer` degrees of freedom, or as many."""
    tails = np.minimum(fewer, degrees)
    halves = np.divide(statistics * tails, 2 * degrees, out=np.zeros_like(statistics), where=degrees > 0)
    return np.array([gamma_tail(shape, half) for shape, half in zip((tails / 2).tolist(), halves.tolist(), strict=True)])
