"""How well confidence matches what came true, from counts per confidence bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import Counts, Vector, as_counts, as_part, total


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
    n_b, y_b, c_b = _bins(outcomes, positives, confidence)
    n = total("outcomes", n_b)
    gaps = np.abs(y_b - c_b)
    mean = _over(c_b, n_b)
    variance = n_b * mean * (1 - mean)
    enough = n_b >= least_outcomes
    mce = float((gaps[enough] / n_b[enough]).max()) if enough.any() else None
    return ECE(float(gaps.sum() / n), float(np.sqrt(2 / math.pi * np.maximum(variance, 0)).sum() / n), mce, n)


def _bins(outcomes: Counts, positives: Counts, confidence: Counts) -> tuple[Vector, Vector, Vector]:
    n_b = as_counts("outcomes", outcomes)
    return n_b, as_part("positives", positives, n_b), as_part("confidence", confidence, n_b)


def _over(sums: Vector, counts: Vector) -> Vector:
    """The mean of each bin, 0 where it is empty."""
    mean: Vector = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return np.minimum(mean, 1)


class DebiasedECE(NamedTuple):
    """Calibration error without its sampling bias, the unbiased estimate of its square (it may be negative), and its outcomes."""

    value: float
    squared: float
    samples: float


def debiased_ece(outcomes: Counts, positives: Counts, confidence: Counts) -> DebiasedECE:
    """Root-mean-square calibration error of the bins, freed from the error that chance alone gives.

    Arguments as for `ece`. `squared` is `sum n_b/n ((y_b - c_b)**2 - y_b (1 - y_b) / (n_b - 1))`, with y_b and c_b the means of
    a bin, over the bins with at least two outcomes; `value` is its root, 0 where it is negative. It is the L2 error, never
    smaller than the L1 error that `ece` estimates, and 0 on average for a calibrated model of any sample size.

    Raises `StatisticsError` as `ece` does, and when no bin has two outcomes.
    Source: Kumar, Liang and Ma, Verified uncertainty calibration (2019), section 5.

    >>> round(debiased_ece([100, 100], [30, 80], [20.0, 90.0]).value, 3)
    0.09
    """
    n_b, y_b, c_b = (column[np.asarray(outcomes, dtype=np.float64) >= 2] for column in _bins(outcomes, positives, confidence))
    n = total("outcomes of bins with at least two", n_b)
    rate, mean = y_b / n_b, c_b / n_b
    squared = float((n_b * ((rate - mean) ** 2 - rate * (1 - rate) / (n_b - 1))).sum() / n)
    return DebiasedECE(math.sqrt(max(squared, 0.0)), squared, n)


def equal_mass_edges(confidences: Sequence[float] | Vector, bins: int) -> tuple[float, ...]:
    """Inner edges of at most `bins` confidence intervals `(lower, upper]` that hold about the same number of predictions.

    `confidences` has shape (rows,), values in [0, 1]. Each edge is one of them; ties merge bins. Raises `StatisticsError`
    for no or other values, or fewer than one bin. Source: Nixon et al., Measuring calibration in deep learning (2019).

    >>> equal_mass_edges([0.1, 0.2, 0.6, 0.7, 0.8, 0.9], 3)
    (0.2, 0.7)
    """
    values = as_counts("confidences", confidences)
    if (values > 1).any() or bins < 1:
        raise StatisticsError("confidences lie between 0 and 1, and at least one bin is needed")
    edges: npt.NDArray[np.float64] = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"))
    return tuple(edges[edges < values.max()].tolist())


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


class BrierParts(NamedTuple):
    """What a Brier score is made of: `reliability - resolution + uncertainty`."""

    reliability: float
    resolution: float
    uncertainty: float


def brier_decomposition(outcomes: Counts, positives: Counts, confidence: Counts) -> BrierParts:
    """The Brier score split into miscalibration, what the confidence tells, and what there is to tell.

    Arguments as for `ece`. `reliability` is the mean squared gap of a bin (0 is best), `resolution` how far the bins' rates
    lie from the overall rate (more is better), `uncertainty` the variance of the outcome. They give the Brier score of each
    prediction's confidence replaced by its bin's mean; the score itself differs by what varies inside the bins
    (Stephenson, Coelho and Jolliffe 2008).

    Raises `StatisticsError` as `ece` does. Source: Murphy, A new vector partition of the probability score (1973).

    >>> [round(part, 3) for part in brier_decomposition([100, 100], [30, 80], [20.0, 90.0])]
    [0.01, 0.063, 0.247]
    """
    n_b, y_b, c_b = _bins(outcomes, positives, confidence)
    n = total("outcomes", n_b)
    rate, mean, overall = _over(y_b, n_b), _over(c_b, n_b), min(float(y_b.sum()) / n, 1.0)
    return BrierParts(
        reliability=float((n_b * (rate - mean) ** 2).sum() / n),
        resolution=float((n_b * (rate - overall) ** 2).sum() / n),
        uncertainty=overall * (1 - overall),
    )
