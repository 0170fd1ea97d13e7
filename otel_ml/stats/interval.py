"""How exactly a score is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import as_counts, total


class Interval(NamedTuple):
    """A value and the interval that holds the true one with the given confidence."""

    value: float
    low: float
    high: float


def normal_quantile(confidence: float) -> float:
    """How many standard errors to each side of a normal estimate hold the truth with `confidence`, in (0, 1)."""
    if not 0 < confidence < 1:
        raise StatisticsError(f"confidence must lie between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson_interval(successes: float, samples: float, *, confidence: float = 0.95) -> Interval:
    """A share with its Wilson (1927) score interval; good for small samples and shares near 0 or 1.

    `successes` of `samples` were hits; both may be fractional. Raises `StatisticsError` for negative counts or no samples.

    >>> low, high = wilson_interval(8, 10)[1:]
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    n = total("samples", as_counts("samples", [samples]))
    share = float(as_counts("successes", [successes])[0]) / n
    z = normal_quantile(confidence)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def f1_interval(hits: float, mistakes: float, *, confidence: float = 0.95) -> Interval:
    """F1 with its interval, from the true positives and the sum of false positives and false negatives.

    Of the pairs that are one of the three, the share of hits J has a Wilson interval, and F1 = 2 J / (1 + J) rises with it, so
    that the ends move along. True negatives tell nothing. Raises `StatisticsError` without such pairs.

    >>> [round(number, 3) for number in f1_interval(35, 15)]
    [0.824, 0.72, 0.894]
    """
    shares = wilson_interval(hits, hits + mistakes, confidence=confidence)
    return Interval(*(2 * share / (1 + share) for share in shares))


def mean_share_interval(successes: Sequence[float], samples: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """The mean of independent shares, as of the recalls of all classes, with its interval.

    The distances from each share to the ends of its Wilson interval add like standard errors. `successes` and `samples` are as
    long as there are shares. Source: Zou and Donner, Construction of confidence limits about effect measures (2008).

    >>> [round(number, 3) for number in mean_share_interval([50, 35], [60, 40])]
    [0.854, 0.766, 0.905]
    """
    shares = [wilson_interval(*counts, confidence=confidence) for counts in zip(successes, samples, strict=True)]
    if not shares:
        raise StatisticsError("the mean of no shares is not known")
    value = math.fsum(share.value for share in shares) / len(shares)
    low, high = (math.sqrt(math.fsum((share.value - share[end]) ** 2 for share in shares)) / len(shares) for end in (1, 2))
    return Interval(value, max(0.0, value - low), min(1.0, value + high))


def score_interval(samples: float, *, total: float, squares: float, confidence: float = 0.95) -> Interval:
    """A mean with its interval in the normal approximation, from the number of terms, their sum and the sum of their squares.

    It serves each score that is a mean: for the bias of a regression give the sum of errors, for MAE the sum of their
    magnitudes, both with the sum of squared errors; the unit is that of the terms. For RMSE give the sums of `error**2` and
    `error**4` and take the roots of the result. The approximation wants about 30 terms, more where a few large ones rule.

    Raises `StatisticsError` for fewer than two terms, which tell nothing about their scatter, or for sums that no terms
    have (`squares < total**2 / samples`). Source: the central limit theorem, e.g. Wasserman, All of Statistics (2004), 6.16.

    >>> [round(number, 2) for number in score_interval(100, total=50, squares=125)]
    [0.5, 0.3, 0.7]
    """
    if not (2 <= samples < math.inf and math.isfinite(total) and math.isfinite(squares)):
        raise StatisticsError(f"an interval needs at least two terms and finite sums, got {samples} terms")
    value = total / samples
    spread = squares - total * value
    if spread < -1e-9 * squares - 1e-300:
        raise StatisticsError("the sum of squares is smaller than these terms can have")
    half = normal_quantile(confidence) * math.sqrt(max(spread, 0.0) / (samples - 1) / samples)
    return Interval(value, value - half, value + half)
