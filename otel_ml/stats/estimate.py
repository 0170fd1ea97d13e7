"""How accurate a model probably is before the truth is known: from its confidences, as long as the concept stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._counts import Counts, Vector, as_counts, as_part, total
from otel_ml.stats.interval import normal_quantile


class Estimate(NamedTuple):
    """An estimated accuracy, its interval, and the number of predictions behind it; not a measured score."""

    value: float
    low: float
    high: float
    samples: float


class _Pieces(NamedTuple):
    """Confidence bins cut at the threshold: the bin a piece is of, its part of that bin, and its range of the score.

    The score is the confidence in the predicted class: above the threshold the confidence itself (`sign` 1), below it what
    is left to 1 (`sign` -1).
    """

    bin: npt.NDArray[np.intp]
    part: Vector
    low: Vector
    high: Vector
    sign: Vector

    def correct(self, rate: Vector) -> Vector:
        """The probability that a prediction in a piece is right, given the rate of positives in each bin."""
        return np.where(self.sign > 0, rate[self.bin], 1 - rate[self.bin])


def _pieces(bins: int, edges: Sequence[float], threshold: float, *, binary: bool) -> _Pieces:
    inner = np.asarray(edges, dtype=np.float64)
    if inner.shape != (bins - 1,):
        raise StatisticsError(f"{bins} confidence bins have {bins - 1} edges between them, got shape {inner.shape}")
    bounds = np.array([0.0, *inner, 1.0])
    if not ((np.diff(bounds) >= 0).all() and 0 <= threshold <= 1):
        raise StatisticsError("edges of confidence must ascend within 0 and 1, and the threshold must lie there")
    index, low, high = np.arange(bins), bounds[:-1], bounds[1:]
    if not binary:
        return _Pieces(index, np.ones(bins), low, high, np.ones(bins))
    width = np.maximum(high - low, 1e-12)
    above = np.where(high > low, np.clip((high - threshold) / width, 0, 1), (low >= threshold).astype(float))
    return _Pieces(
        np.tile(index, 2),
        np.concatenate([above, 1 - above]),
        np.concatenate([np.maximum(low, np.minimum(threshold, high)), 1 - np.minimum(high, np.maximum(threshold, low))]),
        np.concatenate([high, 1 - low]),
        np.repeat([1.0, -1.0], bins),
    )


def _estimate(value: float, variance: float, samples: float, confidence: float) -> Estimate:
    half = normal_quantile(confidence) * math.sqrt(max(variance, 0.0))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), samples)


def _smoothed_variance(parts: Vector, wholes: Vector) -> Vector:
    """The variance of the rate of each bin, of its posterior under Jeffreys' prior: above 0 also at rates of 0 and 1."""
    rate = (parts + 0.5) / (wholes + 1)
    return np.asarray(rate * (1 - rate) / (wholes + 2))


def cbpe(
    calibration_outcomes: Counts,
    calibration_positives: Counts,
    confidences: Counts,
    *,
    edges: Sequence[float],
    threshold: float = 0.5,
    binary: bool = True,
    confidence: float = 0.95,
) -> Estimate:
    """Confidence-based estimate of accuracy: how often the baseline was right at the confidences of this window.

    Per confidence bin, each of shape (bins,): `calibration_outcomes` and `calibration_positives` of the baseline, the
    window's `confidences` as counts. `edges` are the inner bounds, shape (bins - 1,), within [0, 1]. `binary`: the
    confidence is that of the positive class, which is predicted above `threshold`; a bin is right with its rate of
    positives above the threshold, with the rest to 1 below, and the bin that holds the threshold is cut there, its values
    taken as even. Otherwise the confidence is that of the predicted class and `threshold` is not used. A bin without
    baseline outcomes has the rate of its centre.

    The interval is the delta method's, of the sampling of the window and of the baseline (variances under Jeffreys' prior);
    the accuracy of the window's own rows scatters around it further. The assumption is that the concept stays: a
    confidence comes true as often as in the baseline. It is an estimate, never a measured score.

    Raises `StatisticsError` for counts that contradict each other, no predictions, or edges that do not fit them.
    Source: NannyML, Confidence-based performance estimation (2022); binning calibration, Zadrozny and Elkan (2001).

    >>> cbpe([100, 100], [10, 80], [30, 10], edges=[0.5]).value
    0.875
    """
    n_b = as_counts("calibration_outcomes", calibration_outcomes)
    y_b = as_part("calibration_positives", calibration_positives, n_b)
    w_b = as_counts("confidences", confidences, like=n_b)
    n, bins = total("confidences", w_b), n_b.size
    pieces = _pieces(bins, edges, threshold, binary=binary)
    bounds = np.array([0.0, *edges, 1.0])
    rate = np.divide(y_b, n_b, out=(bounds[:-1] + bounds[1:]) / 2, where=n_b > 0)
    correct = np.bincount(pieces.bin, weights=pieces.part * pieces.correct(rate), minlength=bins)
    slope = np.bincount(pieces.bin, weights=pieces.part * pieces.sign, minlength=bins)
    share = w_b / n
    smooth = (w_b + 0.5) / (n + 0.5 * bins)
    window = float(smooth @ correct**2 - (smooth @ correct) ** 2) / n
    baseline = float(((share * slope) ** 2 * _smoothed_variance(y_b, n_b)).sum())
    return _estimate(min(float(share @ correct), 1.0), window + baseline, n, confidence)


def atc(
    calibration_outcomes: Counts,
    calibration_positives: Counts,
    confidences: Counts,
    *,
    edges: Sequence[float],
    threshold: float = 0.5,
    binary: bool = True,
    confidence: float = 0.95,
) -> Estimate:
    """Average thresholded confidence: the window's share of scores above the value that splits the baseline at its accuracy.

    Arguments as for `cbpe`; the score is the confidence in the predicted class. It finds the score that as large a share
    of the baseline exceeds as its accuracy, and returns the window's share above it. Scores are taken as even inside a
    bin. `calibration_outcomes` has to be the baseline's own distribution of confidences, and needs outcomes.

    The interval holds the sampling of the window and of the baseline (delta method). Right under covariate shift only; it
    moves the wrong way under label or concept shift. Never a green light.

    Raises `StatisticsError` as `cbpe` does, and for a baseline without outcomes. Source: Garg et al., Leveraging unlabeled
    data to predict out-of-distribution performance (2022), with the largest confidence as score.

    >>> round(atc([50, 50], [25, 45], [25, 75], edges=[0.75], binary=False).value, 2)
    0.85
    """
    n_b = as_counts("calibration_outcomes", calibration_outcomes)
    y_b = as_part("calibration_positives", calibration_positives, n_b)
    w_b = as_counts("confidences", confidences, like=n_b)
    m, n = total("calibration_outcomes", n_b), total("confidences", w_b)
    pieces = _pieces(n_b.size, edges, threshold, binary=binary)
    correct = pieces.correct(np.divide(y_b, n_b, out=np.zeros_like(y_b), where=n_b > 0))
    baseline, window = pieces.part * n_b[pieces.bin] / m, pieces.part * w_b[pieces.bin] / n
    accuracy = float(baseline @ correct)

    nodes = np.unique([*pieces.low, *pieces.high])
    above = np.clip((pieces.high - nodes[:, None]) / np.maximum(pieces.high - pieces.low, 1e-12), 0, 1)
    baseline_above, window_above = above @ baseline, above @ window
    at = int(np.flatnonzero(baseline_above >= accuracy - 1e-12)[-1])
    past = min(at + 1, nodes.size - 1)
    step = float(baseline_above[at] - baseline_above[past])
    way = min(max((float(baseline_above[at]) - accuracy) / step, 0.0), 1.0) if step > 1e-12 else 0.0
    value = min(float(window_above[at] + way * (window_above[past] - window_above[at])), 1.0)

    split = above[at] + way * (above[past] - above[at])
    disagree = float(baseline @ (correct * (1 - split) + (1 - correct) * split))
    slope = float(window_above[at] - window_above[past]) / step if step > 1e-12 else 1.0
    smooth = (value * n + 0.5) / (n + 1)
    return _estimate(value, smooth * (1 - smooth) / n + slope**2 * disagree / m, n, confidence)
