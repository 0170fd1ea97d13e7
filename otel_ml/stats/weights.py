"""How much more often a baseline row occurs in the window: importance weights against covariate shift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats import _logistic
from otel_ml.stats._counts import Counts, as_counts, total
from otel_ml.stats._rows import Matrix, as_rows, median_distance, spaced, squared_distances

_CENTRES = 100
_FOLDS = 3
_WIDTHS = (0.3, 0.6, 1.0, 2.0)
_RIDGES = (0.001, 0.01, 0.1, 1.0)
_WORST_IMBALANCE = 0.5
_ROUNDING = 1e-9


class Weights(NamedTuple):
    """A weight for each reference row, with mean 1, the number of unweighted rows that tell as much, and the imbalance left.

    The imbalance is the largest difference of a feature's weighted mean from the window's, in the reference's deviations.
    """

    values: Matrix
    effective_samples: float
    imbalance: float


def effective_sample_size(weights: Counts) -> float:
    """How many rows of equal weight tell as much as these: `sum(w)**2 / sum(w**2)`, between 1 and the number of rows.

    `weights` has shape (rows,). Raises `StatisticsError` for weights that are negative, not finite, or all 0.
    Source: Kong, A note on importance sampling using standardized weights (1992).

    >>> effective_sample_size([1, 1, 1, 1]), round(effective_sample_size([10, 1, 1, 1]), 2)
    (4.0, 1.64)
    """
    values = as_counts("weights", weights)
    total("weights", values)
    values = values / values.max()
    return float(values.sum() ** 2 / (values**2).sum())


def _checked(ratios: Matrix, reference: Matrix, window: Matrix, largest: float, least_effective: float) -> Weights:
    """Ratios clipped and divided by their mean, or a refusal.

    Few effective rows mean that chance decides. But rows that are *all* far from the window may get weights alike and seem
    effective: that shows in means which the weights did not bring together (Rubin 2001; Stuart 2010).
    """
    values = np.clip(ratios, 0, largest)
    size = effective_sample_size(values) if values.any() else 0.0
    if size < least_effective:
        raise StatisticsError(f"the weights leave {size:.1f} effective rows, under {least_effective:g}: the two are too far apart")
    values = values / values.mean()
    gaps, deviations = np.abs((values[:, None] * reference).mean(axis=0) - window.mean(axis=0)), reference.std(axis=0)
    apart = np.where(gaps > _ROUNDING * np.abs(reference).max(axis=0), np.inf, 0.0)
    imbalance = float(np.divide(gaps, deviations, out=apart, where=~_flat(reference)).max())
    if imbalance > _WORST_IMBALANCE:
        raise StatisticsError(f"the weighted means are still {imbalance:.2g} deviations from the window's: the two are too far apart")
    return Weights(values, size, imbalance)


def _flat(rows: Matrix) -> npt.NDArray[np.bool_]:
    """Which columns of `rows` do not vary but for rounding."""
    return np.asarray(rows.std(axis=0) <= _ROUNDING * np.abs(rows).max(axis=0))


def odds_weights(
    reference: npt.ArrayLike, window: npt.ArrayLike, *, ridge: float = 1.0, largest: float = 20.0, least_effective: float = 30.0
) -> Weights:
    """Density ratios from a classifier: the odds that a reference row is one of the window, times the ratio of row numbers.

    `reference` and `window` have shape (rows, features); the weights, shape (reference rows,), make averages over the
    reference those of the window where only the inputs moved. A logistic regression of each value and its square with a
    `ridge`: right where both sides are about normal, and quick. Ratios above `largest` are cut, then divided by their mean.

    Raises `StatisticsError` for values that are not finite, different numbers of features, fewer than `least_effective`
    effective rows, or means that the weights leave more than half a deviation from the window's.
    Source: Bickel, Brueckner and Scheffer, Discriminative learning under covariate shift (2009).

    >>> rng = np.random.default_rng(0)
    >>> reference, window = rng.normal(size=(2_000, 1)), rng.normal(0.5, size=(2_000, 1))
    >>> round(float(np.average(reference[:, 0], weights=odds_weights(reference, window).values)), 1)
    0.5
    """
    before, after = _sides(reference, window)
    rows = np.vstack([before, after])
    columns = _logistic.design(rows)
    intercept, weights = _logistic.fit(columns(rows), np.repeat([0.0, 1.0], [len(before), len(after)]), ridge=ridge)
    log_odds = columns(before) @ weights + intercept + np.log(len(before) / len(after))
    return _checked(np.exp(np.minimum(log_odds, 50.0)), before, after, largest, least_effective)


def ulsif(reference: npt.ArrayLike, window: npt.ArrayLike, *, largest: float = 20.0, least_effective: float = 30.0) -> Weights:
    """Density ratios by unconstrained least squares: a sum of Gaussian bumps fitted to the ratio itself.

    Arguments and result as for `odds_weights`. Features are divided by the reference's standard deviation; the bumps sit on
    at most 100 evenly spaced window rows. Their width and the ridge are those of the least squared error in three-fold
    cross-validation. Where the paper cuts negative weights of bumps at 0 and leaves one row out, here negative ratios are cut
    and a third of the rows is left out: it costs less bias. For few features: the bumps get lonely in many dimensions.

    Raises `StatisticsError` as `odds_weights` does, and for fewer than three rows on a side or a reference that does not vary.
    Source: Kanamori, Hido and Sugiyama, A least-squares approach to direct importance estimation (2009).

    >>> rng = np.random.default_rng(0)
    >>> reference, window = rng.normal(size=(500, 1)), rng.normal(0.5, size=(500, 1))
    >>> bool(np.average(reference[:, 0], weights=ulsif(reference, window).values) > 0.3)
    True
    """
    left, right = _sides(reference, window)
    best, ratios = np.inf, np.zeros(len(left))
    for before, after in _bumps(left, right):
        losses = np.mean([_held_out_squares(before, after, fold) for fold in range(_FOLDS)], axis=0)
        if losses.min() < best:
            best, ratios = losses.min(), before @ _least_squares(before, after, _RIDGES[int(losses.argmin())])[0]
    return _checked(ratios, left, right, largest, least_effective)


def kliep(reference: npt.ArrayLike, window: npt.ArrayLike, *, largest: float = 20.0, least_effective: float = 30.0) -> Weights:
    """Density ratios by likelihood: a sum of Gaussian bumps under which the window's rows are most likely.

    Arguments, bumps and errors as for `ulsif`; only the width is chosen, by the likelihood of window rows left out. The
    weights of the bumps are found by expectation-maximisation, which keeps them positive and the mean ratio of the reference
    at 1. Never negative, so nothing is lost at 0, and slower than `ulsif`.

    Source: Sugiyama et al., Direct importance estimation for covariate shift adaptation (2008).

    >>> rng = np.random.default_rng(0)
    >>> reference, window = rng.normal(size=(300, 1)), rng.normal(0.5, size=(300, 1))
    >>> bool(np.average(reference[:, 0], weights=kliep(reference, window).values) > 0.3)
    True
    """
    left, right = _sides(reference, window)
    before, after = max(_bumps(left, right), key=_held_out_likelihood)
    return _checked(before @ _likeliest(before, after, steps=500), left, right, largest, least_effective)


def _sides(reference: npt.ArrayLike, window: npt.ArrayLike) -> tuple[Matrix, Matrix]:
    before = as_rows("reference", reference, least=_FOLDS)
    return before, as_rows("window", window, least=_FOLDS, width=before.shape[1])


def _bumps(reference: Matrix, window: Matrix) -> Iterator[tuple[Matrix, Matrix]]:
    """For each width to try, the bumps' heights at the reference's and at the window's rows, shape (rows, bumps)."""
    centre, deviations = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(_flat(reference), 1.0, deviations)
    before, after = (reference - centre) / scale, (window - centre) / scale
    centres = spaced(after, _CENTRES)
    middle = median_distance(spaced(before, 500))  # of one side: the gap between two far ones is no width of a bump
    if middle <= 0:
        raise StatisticsError("reference rows that are all equal have no density ratio")
    squares = squared_distances(before, centres), squared_distances(after, centres)
    for width in _WIDTHS:
        heights: list[Matrix] = [np.exp(-np.minimum(square / (2 * (width * middle) ** 2), 700)) for square in squares]
        yield heights[0], heights[1]


def _least_squares(before: Matrix, after: Matrix, *ridges: float) -> list[Matrix]:
    """For each ridge, weights of the bumps of the least squared error of the ratio over the reference."""
    values, axes = np.linalg.eigh(before.T @ before / len(before))
    first = axes.T @ after.mean(axis=0)
    return [axes @ (first / (np.maximum(values, 0) + ridge)) for ridge in ridges]


def _left_out(rows: Matrix, fold: int) -> npt.NDArray[np.bool_]:
    return np.asarray(np.arange(len(rows)) % _FOLDS == fold)


def _held_out_squares(before: Matrix, after: Matrix, fold: int) -> list[float]:
    """For each ridge half the squared error of the ratio on the rows left out, up to a constant."""
    out, gone = _left_out(before, fold), _left_out(after, fold)
    fits = _least_squares(before[~out], after[~gone], *_RIDGES)
    ratios = [(np.maximum(before[out] @ alpha, 0), np.maximum(after[gone] @ alpha, 0)) for alpha in fits]
    return [float((reference**2).mean() / 2 - window.mean()) for reference, window in ratios]


def _held_out_likelihood(sides: tuple[Matrix, Matrix]) -> float:
    """The mean log ratio of window rows by bumps that were fitted without them."""
    before, after = sides
    ratios = np.empty(len(after))
    for fold in range(_FOLDS):
        gone = _left_out(after, fold)
        ratios[gone] = after[gone] @ _likeliest(before, after[~gone], steps=100)
    return float(np.log(np.maximum(ratios, 1e-300)).mean())


def _likeliest(before: Matrix, after: Matrix, *, steps: int) -> Matrix:
    """Weights of the bumps, not negative, of the largest mean log ratio of the window with a mean ratio of 1 in the reference.

    Each bump over its mean in the reference is a density there, so the weights are those of a mixture.
    """
    mass = before.mean(axis=0)
    usable = mass > 1e-12
    if not usable.any():
        return np.zeros_like(mass)
    densities = np.where(usable, after / np.where(usable, mass, 1.0), 0.0)
    shares = usable / usable.sum()
    for _ in range(steps):
        mixture = np.maximum(densities @ shares, 1e-300)
        shares = shares * (densities / mixture[:, None]).mean(axis=0)
        shares /= max(float(shares.sum()), 1e-300)
    return np.where(usable, shares / np.where(usable, mass, 1.0), 0.0)
