"""Intervals are those of scipy, and hold the truth as often as they say."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.stats import binomtest

from otel_ml import StatisticsError, stats


@pytest.mark.parametrize(("successes", "samples"), [(0, 1), (1, 1), (0, 50), (8, 10), (500, 1_000), (999, 1_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_interval_is_that_of_scipy(successes, samples, confidence):
    expected = binomtest(successes, samples).proportion_ci(confidence, "wilson")
    result = stats.wilson_interval(successes, samples, confidence=confidence)
    assert result == pytest.approx((successes / samples, expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("confidence", [0, 1, -1, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(StatisticsError):
        stats.wilson_interval(1, 2, confidence=confidence)


@pytest.mark.parametrize("power", [1, 2])
def test_score_interval_is_the_standard_error_of_the_mean(power):
    errors = np.abs(np.random.default_rng(2).normal(0.3, 1, 200)) ** power
    result = stats.score_interval(200, total=errors.sum(), squares=(errors**2).sum(), confidence=0.9)
    low, high = scipy_stats.norm.interval(0.9, errors.mean(), scipy_stats.sem(errors))
    assert result == pytest.approx((errors.mean(), low, high))


def test_score_interval_holds_the_mean_as_often_as_promised():
    rng = np.random.default_rng(4)
    draws = rng.exponential(size=(2_000, 200))
    found = [stats.score_interval(200, total=row.sum(), squares=(row**2).sum()) for row in draws]
    assert 0.92 < np.mean([result.low < 1 < result.high for result in found]) < 0.97


def test_terms_that_are_equal_have_an_interval_of_no_width():
    assert stats.score_interval(3, total=0.3, squares=0.03) == pytest.approx((0.1, 0.1, 0.1), abs=1e-8)


@pytest.mark.parametrize(("samples", "total", "squares"), [(1, 1, 1), (0, 0, 0), (5, math.nan, 1), (math.inf, 1, 1), (4, 8, 1)])
def test_score_interval_refuses_sums_without_scatter_or_sense(samples, total, squares):
    with pytest.raises(StatisticsError):
        stats.score_interval(samples, total=total, squares=squares)


def test_the_intervals_of_f1_and_of_balanced_accuracy_hold_the_truth_as_often_as_they_say():
    """Of 2,000 small confusion matrices drawn from known shares, about 95 % of the intervals hold what the shares say."""
    shares = np.array([0.55, 0.1, 0.1, 0.25])
    f1 = 2 * 0.25 / (2 * 0.25 + 0.2)
    balanced = (0.55 / 0.65 + 0.25 / 0.35) / 2
    held = np.zeros(2)
    for negatives, over, under, hits in np.random.default_rng(3).multinomial(80, shares, 2_000):
        intervals = stats.f1_interval(hits, over + under), stats.mean_share_interval([negatives, hits], [negatives + over, hits + under])
        held += [interval.low <= truth <= interval.high for interval, truth in zip(intervals, (f1, balanced), strict=True)]
    assert (np.abs(held / 2_000 - 0.95) < 0.02).all()


@pytest.mark.parametrize("call", [lambda: stats.f1_interval(0, 0), lambda: stats.mean_share_interval([], [])])
def test_intervals_of_nothing_are_refused(call):
    with pytest.raises(StatisticsError):
        call()
