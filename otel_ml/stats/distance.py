"""How far two sets of counts are apart; for PSI also how far chance alone would put them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from otel_ml.errors import StatisticsError
from otel_ml.stats import table
from otel_ml.stats._counts import Counts, Vector, as_counts, as_degrees, as_effect, both_shares, total
from otel_ml.stats._special import chi2_quantile

SMOOTHING = 0.5
"""Added to each count before dividing, so that an empty bin has a share (Jeffreys' prior)."""


class PSI(NamedTuple):
    """The population stability index of two sets of counts."""

    value: float
    noise_floor: float
    contributions: Vector
    samples: float


def psi(
    expected: Counts,
    actual: Counts,
    *,
    alpha: float = 0.01,
    design_effect: float = 1.0,
    degrees: float | None = None,
    key_effect: float = 1.0,
) -> PSI:
    """Population stability index, `sum (p - q) ln(p / q)`, and the value that chance alone stays below.

    `expected` and `actual` are counts per bin, shape (bins,), whole or fractional. 0.5 is added to each before dividing.
    `contributions` has one term per bin; they sum to `value`. `noise_floor` is exceeded with probability `alpha` when
    nothing changed: `psi_noise_scale(...) * (1/n + 1/m)`, where `design_effect` and `degrees` are explained. `samples` is n,
    the sum of `actual`. Where `key_effect` rows, at least 1, say what one independent row would, they count as one before
    0.5 is added.

    Raises `StatisticsError` for counts that are negative, not finite, of different lengths, or sum to 0, and for effects
    below 1. Sources: Siddiqi, Credit Risk Scorecards (2006); Yurdakul, Statistical properties of the PSI (2018).

    >>> result = psi([500, 300, 200], [50, 30, 20])
    >>> round(result.value, 5), round(result.noise_floor, 3), result.samples
    (3e-05, 0.101, 100.0)
    >>> round(psi([500, 300, 200], [20, 30, 50]).value, 2)
    0.54
    """
    q_counts = as_counts("expected", expected)
    p_counts = as_counts("actual", actual, like=q_counts)
    m, n = total("expected", q_counts), total("actual", p_counts)
    bins = q_counts.size
    smoothing = SMOOTHING * as_effect("key", key_effect)
    contributions = table.psi_terms(q_counts[None], p_counts[None], smoothing)[0]
    noise_floor = psi_noise_scale(bins, alpha=alpha, design_effect=design_effect, degrees=degrees) * (1 / n + 1 / m)
    return PSI(float(contributions.sum()), noise_floor, contributions, n)


def psi_noise_scale(bins: int, *, alpha: float = 0.01, design_effect: float = 1.0, degrees: float | None = None) -> float:
    """PSI that chance alone stays below, in units of `1/n + 1/m`: times that, it is the noise floor of n and m samples.

    For independent rows it is `chi2.ppf(1 - alpha, bins - 1)`. `design_effect`, at least 1, says how many times more the rows
    of this feature scatter. When they scatter more unevenly too, a few bins at a time, the tail is longer: that of a
    chi-square with `degrees` of freedom, fewer than bins - 1, stretched to the same mean.

    Raises `StatisticsError` for a design effect below 1 or degrees that are not above 0. Sources: Kish, Survey Sampling
    (1965) for the design effect; Satterthwaite (1946), and Rao and Scott (1981, second order), for the degrees.

    >>> round(psi_noise_scale(12), 2), round(psi_noise_scale(12, design_effect=10, degrees=3), 1)
    (24.72, 416.0)
    """
    most = bins - 1
    if most == 0:
        return 0.0
    fewer = as_degrees(degrees, most)
    return as_effect("design", design_effect) * most / fewer * chi2_quantile(1 - alpha, fewer)


class Distance(NamedTuple):
    """A distance between two sets of counts, 0 for equal shares, and the number of samples in the second."""

    value: float
    samples: float


def js_distance(expected: Counts, actual: Counts) -> Distance:
    """Jensen-Shannon distance: the square root of the divergence in bits of both shares from their mean, in [0, 1].

    `expected` and `actual` are counts per bin, shape (bins,); nothing is smoothed, as empty bins are no problem here.
    1 means that no bin is shared. Chance alone gives about `sqrt((bins - 1) (1/n + 1/m) / 5.5)`.

    Raises `StatisticsError` as `psi` does. Sources: Lin, Divergence measures based on the Shannon entropy (1991);
    Endres and Schindelin (2003) for the root.

    >>> round(js_distance([50, 50, 0], [40, 40, 20]).value, 3), js_distance([1, 0], [0, 1]).value
    (0.329, 1.0)
    """
    q, p, n = both_shares(expected, actual)
    return Distance(float(table.js_distances(q[None], p[None])[0]), n)


def ks(expected: Counts, actual: Counts) -> Distance:
    """Kolmogorov-Smirnov distance over bin edges: the largest gap between the two cumulative shares, in [0, 1].

    `expected` and `actual` are counts of the intervals *in order*, shape (intervals,); leave the reserved bins out. Within
    a bin the gap may be larger: the value is a lower bound of the distance between the rows, too small by at most the
    largest share of a bin on either side.

    Raises `StatisticsError` as `psi` does. Source: Smirnov, Table for estimating the goodness of fit (1948).

    >>> ks([25, 25, 25, 25], [50, 0, 25, 25]).value
    0.25
    """
    q, p, n = both_shares(expected, actual)
    return Distance(float(table.ks_distances(q[None], p[None])[0]), n)


def l_infinity(expected: Counts, actual: Counts) -> Distance:
    """L-infinity distance: the largest change of the share of a bin, in [0, 1].

    `expected` and `actual` are counts per bin, shape (bins,). Raises `StatisticsError` as `psi` does.
    Source: TensorFlow Data Validation, which compares categorical features by it.

    >>> round(l_infinity([50, 30, 20], [40, 30, 30]).value, 3)
    0.1
    """
    q, p, n = both_shares(expected, actual)
    return Distance(min(float(np.abs(p - q).max()), 1.0), n)


def wasserstein(expected: Counts, actual: Counts, *, edges: Sequence[float], minimum: float, maximum: float, std: float) -> Distance:
    """Wasserstein-1 (earth mover's) distance from bins, in standard deviations of the baseline.

    It is the area between the two cumulative distributions, each linear inside a bin. `expected` and `actual` are counts of
    the intervals *in order*, shape (intervals,); leave the reserved bins out: missing values have no place on the axis.
    `edges` are the inner bounds, shape (intervals - 1,), ascending. The outer bins end at `minimum` and `maximum` of the
    baseline, so values beyond them count as lying inside: however far they are, the distance stays the same. `minimum`,
    `maximum` and `std` have the unit of the feature.

    Raises `StatisticsError` as `psi` does, and for edges that do not fit the counts or a `std` that is not above 0.
    Source: Vallender, Calculation of the Wasserstein distance between probability distributions on the line (1974).

    >>> wasserstein([10, 0, 0], [0, 0, 10], edges=[1, 2], minimum=0, maximum=3, std=0.5).value
    4.0
    """
    q, p, n = both_shares(expected, actual)
    inner = np.asarray(edges, dtype=np.float64)
    if inner.shape != (q.size - 1,):
        raise StatisticsError(f"{q.size} intervals have {q.size - 1} edges between them, got shape {inner.shape}")
    bounds = np.array([min([minimum, *inner]), *inner, max([maximum, *inner])])
    if not np.isfinite(bounds).all() or (np.diff(bounds) < 0).any():
        raise StatisticsError("edges, minimum and maximum must be finite and ascending")
    if not 0 < std < math.inf:
        raise StatisticsError(f"the standard deviation must be above 0 and finite, got {std}; a constant has no such distance")
    return Distance(float(table.wasserstein_distances(q[None], p[None], bounds[None])[0]) / std, n)
