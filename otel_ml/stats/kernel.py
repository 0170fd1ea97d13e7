"""Maximum mean discrepancy from random features: a distance of joint distributions that adds over replicas."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import as_effect
from otel_ml.stats._rows import Matrix, as_rows, median_distance, spaced
from otel_ml.stats._special import chi2_quantile

_PAIRS_OF = 1_000


def median_bandwidth(rows: npt.ArrayLike) -> float:
    """The median distance between two of `rows`, shape (rows, features): the width to give the kernel of `fourier_features`.

    The features should be of one scale. Of more than 1,000 rows evenly spaced 1,000 are used; where most rows are equal, the
    median of the distances above 0. Raises `StatisticsError` for fewer than two rows, values that are not finite, or
    rows that are all equal. Source: Gretton et al., A kernel two-sample test (2012), section 8.

    >>> median_bandwidth([[0.0], [1.0], [3.0]])
    2.0
    """
    width = median_distance(spaced(as_rows("rows", rows, least=2), _PAIRS_OF))
    if width <= 0:
        raise StatisticsError("rows that are all equal have no bandwidth")
    return width


def fourier_features(rows: npt.ArrayLike, *, seed: int, components: int, bandwidth: float) -> Matrix:
    """Random Fourier features of `rows`, shape (rows, features): as many cosines as `components`, shape (rows, components).

    The inner product of two rows' features is about the Gaussian kernel `exp(-d**2 / (2 bandwidth**2))` of their distance d,
    with an error of about `1 / sqrt(components)`. The same `seed` gives the same cosines on every replica and numpy
    version. Their sums add over rows; divided by the number of rows they are what `mmd` compares.

    Raises `StatisticsError` for values that are not finite, or a bandwidth or number of components that is not above 0.
    Source: Rahimi and Recht, Random features for large-scale kernel machines (2007).

    >>> features = fourier_features([[0.0, 0.0], [1.0, 0.0]], seed=1, components=20_000, bandwidth=1.0)
    >>> round(float(features[0] @ features[1]), 1), round(math.exp(-0.5), 1)
    (0.6, 0.6)
    """
    data = as_rows("rows", rows, least=0)
    if not 0 < bandwidth < math.inf or components < 1:
        raise StatisticsError(f"bandwidth and components must be above 0, got {bandwidth} and {components}")
    random = np.random.RandomState(seed)  # its stream is frozen for good, that of a Generator is not (NEP 19)
    frequencies = random.normal(scale=1 / bandwidth, size=(data.shape[1], components))
    phases = random.uniform(0, 2 * math.pi, components)
    features: Matrix = math.sqrt(2 / components) * np.cos(data @ frequencies + phases)
    return features


class MMD(NamedTuple):
    """Maximum mean discrepancy, and its root mean square where nothing changed (0 when the samples are not given)."""

    value: float
    noise: float


def mmd(
    reference_mean: npt.ArrayLike, window_mean: npt.ArrayLike, *, reference_samples: float = math.inf, samples: float = math.inf
) -> MMD:
    """Maximum mean discrepancy: the distance of two means of `fourier_features`, 0 for equal distributions.

    Both means have shape (components,), of the same seed and bandwidth. Given both numbers of rows, `noise` is the root mean
    square of the distance of two samples of the baseline, `sqrt((1 - |reference_mean|**2) (1/n + 1/m))`: a value below it
    is what chance gives, one above three times it is not.

    Raises `StatisticsError` for means of different lengths, values that are not finite, or numbers of rows not above 0.
    Source: Gretton et al., A kernel two-sample test (2012), the biased estimate and its expectation.

    >>> mmd([0.5, 0.1], [0.2, 0.5]).value
    0.5
    """
    before = as_rows("reference_mean", [np.ravel(reference_mean)])
    after = as_rows("window_mean", [np.ravel(window_mean)], width=before.shape[1])
    if not (reference_samples > 0 and samples > 0):
        raise StatisticsError("a mean needs at least one row")
    scatter = max(0.0, 1 - float((before**2).sum())) * (1 / reference_samples + 1 / samples)
    return MMD(float(np.sqrt(((after - before) ** 2).sum())), math.sqrt(scatter))


def mmd_noise_floor(features: npt.ArrayLike, *, samples: float, alpha: float = 0.01, design_effect: float = 1.0) -> float:
    """What `mmd` stays below in a share 1 - `alpha` of windows of `samples` rows when nothing changed.

    `features` are the `fourier_features` of the baseline's rows, shape (rows, components). Squared, the distance of two means is a
    sum of chi-squares, weighed by the variances along the principal axes of the features; it is taken for one scaled chi-square
    with the same mean and variance (Satterthwaite 1946). The variances grow by `design_effect` where rows are not independent.

    Raises `StatisticsError` for fewer than two rows, values that are not finite, no samples, or a design effect below 1.
    Source: Gretton et al., A fast, consistent kernel two-sample test (2009), the moments of the null distribution.

    >>> features = fourier_features(np.random.default_rng(0).normal(size=(500, 2)), seed=1, components=50, bandwidth=2.0)
    >>> mmd_noise_floor(features, samples=100) > mmd_noise_floor(features, samples=400)
    True
    """
    data = as_rows("features", features, least=2)
    if not samples > 0:
        raise StatisticsError("a mean needs at least one row")
    scale = (1 / samples + 1 / len(data)) * as_effect("design", design_effect)
    covariance = np.cov(data, rowvar=False, ddof=1).reshape(data.shape[1], data.shape[1])
    first, second = float(np.trace(covariance)), float((covariance**2).sum())
    if second <= 0:
        return 0.0
    return math.sqrt(scale * second / first * chi2_quantile(1 - alpha, first**2 / second))
