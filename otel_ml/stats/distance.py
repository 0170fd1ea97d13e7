"""How far two sets of counts are apart, and how far chance alone would put them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otel_ml.stats._counts import Counts, Vector, as_counts, total
from otel_ml.stats._special import beta_tail, chi2_quantile

SMOOTHING = 0.5
"""Added to each count before dividing, so that an empty bin has a share (Jeffreys' prior)."""


class PSI(NamedTuple):
    """The population stability index of two sets of counts."""

    value: float
    noise_floor: float
    contributions: Vector
    samples: float


def psi(expected: Counts, actual: Counts, *, alpha: float = 0.01) -> PSI:
    """Population stability index, `sum (p - q) ln(p / q)`, and the value that chance alone stays below.

    `expected` and `actual` are counts per bin, shape (bins,), whole or fractional. 0.5 is added to each before dividing.
    `contributions` has one term per bin; they sum to `value`. `noise_floor` is exceeded with probability `alpha` when
    nothing changed: `chi2.ppf(1 - alpha, bins - 1) * (1/n + 1/m)`. `samples` is n, the sum of `actual`.

    Raises `StatisticsError` for counts that are negative, not finite, of different lengths, or sum to 0.
    Sources: Siddiqi, Credit Risk Scorecards (2006); Yurdakul, Statistical properties of the PSI (2018).

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
    q = (q_counts + SMOOTHING) / (m + SMOOTHING * bins)
    p = (p_counts + SMOOTHING) / (n + SMOOTHING * bins)
    contributions = (p - q) * np.log(p / q)
    noise_floor = chi2_quantile(1 - alpha, bins - 1) * (1 / n + 1 / m)
    return PSI(float(contributions.sum()), noise_floor, contributions, n)


class RangeCheck(NamedTuple):
    """The share of values outside the observed range, how likely chance is to give it, and the verdict."""

    ratio: float
    p_value: float
    broken: bool


def range_check(outside: float, samples: float, baseline_samples: float, *, least: float = 0.01, alpha: float = 0.01) -> RangeCheck:
    """Whether too many values lie outside what the baseline observed (its range, or its vocabulary).

    `outside` of the window's `samples` values do. A new value falls outside the range of `baseline_samples` like it with
    probability 2 / (baseline_samples + 1) (Wilks 1941). The check is broken when the share is at least `least` *and* that
    probability would give so many with a binomial tail below `alpha`.

    Raises `StatisticsError` for counts that are negative or not finite, or samples that are 0.

    >>> range_check(50, 1000, 5000).broken, range_check(9, 1000, 5000).broken, range_check(1, 50, 500).broken
    (True, False, False)
    """
    n = total("samples", as_counts("samples", [samples]))
    m = total("baseline_samples", as_counts("baseline_samples", [baseline_samples]))
    x = min(float(as_counts("outside", [outside])[0]), n)
    p_value = beta_tail(2 / (m + 1), x, n - x + 1) if x > 0 else 1.0
    return RangeCheck(x / n, p_value, x / n >= least and p_value < alpha)
