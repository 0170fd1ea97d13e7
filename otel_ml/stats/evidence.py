"""Whether chance explains a difference: tests on counts, and what to do with many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats import table
from otel_ml.stats._counts import Counts, Vector, as_counts, as_degrees, as_effect, total
from otel_ml.stats._special import chi2_quantile, exceedance_tail, gamma_tail


class RangeCheck(NamedTuple):
    """The share of values outside the observed range, how likely chance is to give it, and the verdict."""

    ratio: float
    p_value: float
    broken: bool


def range_check(
    outside: float,
    samples: float,
    baseline_samples: float,
    *,
    singletons: float = 0.0,
    least: float = 0.01,
    alpha: float = 0.01,
    design_effect: float = 1.0,
) -> RangeCheck:
    """Whether too many values lie outside what the baseline observed (its range, or its vocabulary).

    `outside` of the window's `samples` values do. The check is broken when that share is at least `least` *and* chance gives
    so many with a probability below `alpha`. The share that lies outside the range of m = `baseline_samples` independent
    values is itself random: a beta distribution of 2 and m - 1, whatever the values are (Wilks 1941), so that `outside` is
    beta-binomial. Of categories, those that occurred once in the baseline, `singletons`, tell how many there are besides
    (Good 1953): where they are more than 2, they take the place of the 2. Where rows come in clusters, one unusual row comes
    as often as its cluster is large: all counts but `singletons`, which are those of clusters, are divided by `design_effect`.

    Raises `StatisticsError` for counts that are negative or not finite, samples that are 0, or a design effect below 1.

    >>> range_check(50, 1000, 5000).broken, range_check(9, 1000, 5000).broken, range_check(1, 50, 500).broken
    (True, False, False)
    """
    for name, count in (("outside", outside), ("samples", samples), ("baseline_samples", baseline_samples), ("singletons", singletons)):
        if not 0 <= count < math.inf:
            raise StatisticsError(f"{name} must be finite and not negative")
    if not (samples and baseline_samples):
        raise StatisticsError("the window or the baseline holds no samples")
    d = as_effect("design", design_effect)
    n, m, x = samples, baseline_samples, min(outside, samples)
    beyond = max(round(singletons), 2)
    p_value = exceedance_tail(x / d, n / d, m / d, beyond) if x > 0 else 1.0
    return RangeCheck(x / n, p_value, x / n >= least and p_value < alpha)


class Test(NamedTuple):
    """A test statistic, its degrees of freedom, the probability of one as large by chance, and the window's samples."""

    statistic: float
    degrees: float
    p_value: float
    samples: float


def chi_square(
    expected: Counts,
    actual: Counts,
    *,
    design_effect: float = 1.0,
    degrees: float | None = None,
    least_expected: float = table.LEAST_EXPECTED,
) -> Test:
    """Pearson's chi-square test of homogeneity: whether two sets of counts come from the same shares.

    `expected` and `actual` are counts per bin, shape (bins,). Bins of which either side expects fewer than
    `least_expected` under equal shares are pooled into one, and that one with the next smallest until it expects enough:
    a rare category would otherwise make any window significant. `degrees` is the number of bins left less 1; a single bin
    left gives p = 1. The statistic is divided by `design_effect`, at least 1, for rows that are not independent; with
    `degrees` below that number, its tail is also that of so many degrees of freedom (Rao and Scott 1981, first and second order).

    Raises `StatisticsError` for counts that are negative, not finite, of different lengths, or sum to 0.
    Sources: Pearson (1900); Cochran, Some methods for strengthening the common chi-square tests (1954) for the pooling.

    >>> result = chi_square([500, 300, 200], [35, 35, 30])
    >>> round(result.statistic, 2), result.degrees, round(result.p_value, 4)
    (9.3, 2.0, 0.0096)
    """
    q_counts = as_counts("expected", expected)
    p_counts = as_counts("actual", actual, like=q_counts)
    n = total("actual", p_counts)
    total("expected", q_counts)
    effect = as_effect("design", design_effect)
    (statistic,), (most,) = table.chi_squares(q_counts[None], p_counts[None], least_expected)
    if most == 0:
        return Test(0.0, 0.0, 1.0, n)
    fewer = as_degrees(degrees, float(most))
    statistic /= effect
    return Test(float(statistic), float(most), gamma_tail(fewer / 2, float(statistic) * fewer / float(most) / 2), n)


def chi_square_noise_floor(degrees: float, *, alpha: float = 0.01) -> float:
    """What the statistic of a `Test` with so many `degrees` of freedom stays below in a share 1 - `alpha` of windows by chance.

    >>> round(chi_square_noise_floor(1, alpha=0.05), 3)
    3.841
    """
    return chi2_quantile(1 - alpha, degrees)


def benjamini_hochberg(p_values: Sequence[float] | Vector) -> npt.NDArray[np.float64]:
    """p-values adjusted for their number: those below a level hold at most that share of false discoveries.

    `p_values` has shape (tests,), the result too and in the same order. Call a feature drifted when its adjusted value is
    below the level that you accept. It holds for independent and for positively dependent tests.

    Raises `StatisticsError` for no values, or values outside [0, 1]. Source: Benjamini and Hochberg, Controlling the false
    discovery rate (1995).

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(3).tolist()
    [0.04, 0.053, 0.053, 0.5]
    """
    values = as_counts("p_values", p_values)
    if (values > 1).any():
        raise StatisticsError("p-values must not be larger than 1")
    order = np.argsort(values)
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(adjusted, 1)
