"""Density ratios carry averages of the baseline over to the window, and are refused where few rows would decide."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from otel_ml import StatisticsError, stats
from otel_ml.stats import weights as module

ESTIMATORS = pytest.mark.parametrize("estimate", [stats.odds_weights, stats.ulsif, stats.kliep])


def _sides(seed, rows=900):
    rng = np.random.default_rng(seed)
    reference, window = rng.normal(size=(rows, 2)) * [1, 50], rng.normal(size=(rows, 2)) * [1, 50]
    window[:, 0] += 0.6
    return reference, window


@ESTIMATORS
def test_ratios_are_near_those_of_two_normal_distributions(estimate):
    reference, window = _sides(0)
    found = estimate(reference, window)
    assert np.corrcoef(found.values, np.exp(0.6 * reference[:, 0] - 0.18))[0, 1] > 0.8
    assert found.values.mean() == pytest.approx(1)
    assert (found.values >= 0).all()
    assert found.effective_samples == pytest.approx(stats.effective_sample_size(found.values))
    assert found.effective_samples == pytest.approx(900 / math.exp(0.36), rel=0.2)


@ESTIMATORS
def test_the_weighted_accuracy_of_the_baseline_is_that_of_the_window(estimate):
    reference, window = _sides(1)
    rate = lambda rows: 1 / (1 + np.exp(-1.5 * rows[:, 0]))  # noqa: E731
    weighted = np.average(rate(reference), weights=estimate(reference, window).values)
    assert weighted == pytest.approx(rate(window).mean(), abs=0.02)
    assert abs(rate(reference).mean() - rate(window).mean()) > 0.1


@ESTIMATORS
def test_equal_sides_have_equal_weights(estimate):
    rng = np.random.default_rng(2)
    found = estimate(rng.normal(size=(800, 2)), rng.normal(size=(500, 2)))
    assert found.effective_samples > 700


@ESTIMATORS
def test_sides_of_other_sizes_have_the_same_ratios(estimate):
    reference, window = _sides(3)
    few = estimate(reference, window[:300]).values
    assert few.mean() == pytest.approx(1)
    assert np.corrcoef(few, estimate(reference, window).values)[0, 1] > 0.7


@ESTIMATORS
def test_ratios_are_cut_at_the_largest(estimate):
    reference, window = _sides(4)
    found = estimate(reference, window, largest=1.5).values
    assert found.max() / found.mean() <= 1.5 / np.mean(np.minimum(found, 1.5)) * 1.5
    assert np.isclose(found, found.max()).sum() > 10


@ESTIMATORS
@pytest.mark.parametrize("place", [3.0, 6.0, 30.0])
def test_sides_that_are_far_apart_are_refused(estimate, place):
    rng = np.random.default_rng(5)
    with pytest.raises(StatisticsError, match="too far apart"):
        estimate(rng.normal(size=(500, 1)), rng.normal(place, 0.5, size=(500, 1)))


@ESTIMATORS
def test_the_imbalance_is_what_the_weights_leave_of_the_shift(estimate):
    reference, window = _sides(9)
    found = estimate(reference, window)
    gaps = np.abs(np.average(reference, axis=0, weights=found.values) - window.mean(axis=0)) / reference.std(axis=0)
    assert found.imbalance == pytest.approx(gaps.max())
    assert found.imbalance < 0.15


@ESTIMATORS
def test_a_feature_that_is_constant_must_be_the_same_constant(estimate):
    reference, window = _sides(10)
    fixed, other = np.full((900, 1), 1 / 3), np.full((900, 1), 0.2)
    assert estimate(np.hstack([reference, fixed]), np.hstack([window, fixed])).imbalance < 0.2
    with pytest.raises(StatisticsError, match="too far apart"):
        estimate(np.hstack([reference, fixed]), np.hstack([window, other]))


@ESTIMATORS
def test_fewer_rows_than_may_be_effective_are_refused(estimate):
    rng = np.random.default_rng(6)
    sides = rng.normal(size=(25, 1)), rng.normal(size=(25, 1))
    with pytest.raises(StatisticsError, match="effective"):
        estimate(*sides)
    assert estimate(*sides, least_effective=2).effective_samples <= 25


@ESTIMATORS
@pytest.mark.parametrize(
    ("left", "right"), [(np.ones((9, 2)), np.ones((9, 3))), (np.ones(9), np.ones(9)), ([[math.nan]] * 9, np.ones((9, 1)))]
)
def test_rows_that_do_not_fit_are_refused(estimate, left, right):
    with pytest.raises(StatisticsError):
        estimate(left, right)


@pytest.mark.parametrize("estimate", [stats.ulsif, stats.kliep])
def test_rows_that_are_all_equal_have_no_ratio(estimate):
    with pytest.raises(StatisticsError, match="all equal"):
        estimate(np.ones((50, 2)), np.ones((50, 2)))


def test_the_likeliest_bumps_are_those_of_a_general_optimiser():
    rng = np.random.default_rng(7)
    centres = np.array([-1.0, 0, 1, 2])
    before, after = (np.exp(-((rows[:, None] - centres) ** 2) / 2) for rows in (rng.normal(size=300), rng.normal(0.7, size=200)))
    found = module._likeliest(before, after, steps=3_000)
    best = minimize(
        lambda alpha: -np.log(after @ alpha).mean(),
        np.full(4, 0.5),
        bounds=[(0, None)] * 4,
        constraints={"type": "eq", "fun": lambda alpha: (before @ alpha).mean() - 1},
        options={"ftol": 1e-12},
    )
    assert (before @ found).mean() == pytest.approx(1)
    assert -np.log(after @ found).mean() == pytest.approx(best.fun, abs=1e-4)


def test_the_least_squares_are_those_of_a_general_optimiser():
    rng = np.random.default_rng(8)
    before, after = rng.random((60, 3)), rng.random((40, 3))
    best = minimize(lambda a: ((before @ a) ** 2).mean() / 2 - (after @ a).mean() + 0.05 * a @ a, np.zeros(3))
    np.testing.assert_allclose(module._least_squares(before, after, 0.1)[0], best.x, atol=1e-4)


@pytest.mark.parametrize(("weights", "size"), [([1] * 5, 5), ([1, 0, 0], 1), ([2, 1], 9 / 5), ([1e-200, 1e-200], 2), ([3.3], 1)])
def test_effective_sample_size_of_tables_worked_by_hand(weights, size):
    assert stats.effective_sample_size(weights) == pytest.approx(size)


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [math.nan], [math.inf]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(StatisticsError):
        stats.effective_sample_size(weights)
