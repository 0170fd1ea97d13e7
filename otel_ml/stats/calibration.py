"""How well confidence matches what came true, from counts per confidence bin."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import Counts, as_counts, total


class ECE(NamedTuple):
    """Expected calibration error, what a calibrated model would show, and the largest gap of a bin (None: no bin is large enough)."""

    value: float
    noise_floor: float
    mce: float | None
    samples: float


def ece(outcomes: Counts, positives: Counts, confidence: Counts, *, least_outcomes: float = 10) -> ECE:
    """Expected calibration error, `sum |positives - confidence| / n`, with the value a calibrated model would show.

    Per confidence bin, each of shape (bins,): `outcomes` counts the predictions whose truth is known, `positives` those
    that came true, `confidence` is the *sum* of their confidences. `noise_floor` is the expected ECE of a perfectly
    calibrated model with these counts, `sum sqrt(2/pi v) / n`, v the binomial variance of a bin. `mce` is the largest gap
    of a bin with at least `least_outcomes`.

    Raises `StatisticsError` for negative counts, different lengths, no outcomes, or sums larger than their counts.
    Sources: Guo et al., On calibration of modern neural networks (2017); Naeini et al. (2015).

    >>> result = ece([100, 100], [30, 80], [20.0, 90.0])
    >>> round(result.value, 3), round(result.mce, 3), result.samples
    (0.1, 0.1, 200.0)
    """
    n_b = as_counts("outcomes", outcomes)
    y_b = as_counts("positives", positives, like=n_b)
    c_b = as_counts("confidence", confidence, like=n_b)
    n = total("outcomes", n_b)
    if (y_b > n_b * (1 + 1e-9)).any() or (c_b > n_b * (1 + 1e-9)).any():
        raise StatisticsError("positives and confidence must not be larger than outcomes; confidence is a sum over each bin")
    gaps = np.abs(y_b - c_b)
    mean = np.divide(c_b, n_b, out=np.zeros_like(c_b), where=n_b > 0)
    variance = n_b * mean * (1 - np.minimum(mean, 1))
    enough = n_b >= least_outcomes
    mce = float((gaps[enough] / n_b[enough]).max()) if enough.any() else None
    return ECE(float(gaps.sum() / n), float(np.sqrt(2 / math.pi * variance).sum() / n), mce, n)


class Brier(NamedTuple):
    """Mean squared error of the confidence, and the number of outcomes behind it."""

    value: float
    samples: float


def brier(outcomes: Counts, squared_errors: Counts) -> Brier:
    """Brier score from counts: per bin the number of outcomes and the sum of `(confidence - outcome)**2`.

    Both have shape (bins,). Raises `StatisticsError` as `ece` does. Source: Brier (1950), binary form.

    >>> brier([2, 2], [0.1, 0.3]).value
    0.1
    """
    n_b = as_counts("outcomes", outcomes)
    n = total("outcomes", n_b)
    return Brier(float(as_counts("squared_errors", squared_errors, like=n_b).sum()) / n, n)


class Interval(NamedTuple):
    """A share and the interval that holds the true one with the given confidence."""

    value: float
    low: float
    high: float


def wilson_interval(successes: float, samples: float, *, confidence: float = 0.95) -> Interval:
    """A share with its Wilson (1927) score interval; good for small samples and shares near 0 or 1.

    >>> low, high = wilson_interval(8, 10)[1:]
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    n = total("samples", as_counts("samples", [samples]))
    share = float(as_counts("successes", [successes])[0]) / n
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))
