"""Tests on counts are scipy's, and pooling keeps a rare category from deciding them."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from otel_ml import StatisticsError, stats


@pytest.mark.parametrize(
    ("outside", "samples", "baseline"), [(1, 50, 500), (50, 1_000, 5_000), (9, 1_000, 5_000), (1_000, 1_000, 10), (3, 7, 3)]
)
def test_range_check_is_the_tail_of_the_share_outside_a_range(outside, samples, baseline):
    check = stats.range_check(outside, samples, baseline)
    assert check.ratio == outside / samples
    tail = scipy_stats.betabinom.pmf(np.arange(outside, samples + 1), samples, 2, baseline - 1).sum()
    assert check.p_value == pytest.approx(tail, rel=1e-6)
    assert check.broken == (check.ratio >= 0.01 and check.p_value < 0.01)


def test_range_check_needs_both_size_and_evidence():
    assert not stats.range_check(90, 10_000, 5_000).broken  # evidence, but under 1 %
    assert not stats.range_check(1, 50, 500).broken  # 2 %, but no evidence
    assert not stats.range_check(0, 50, 500).broken
    assert stats.range_check(50.4, 1_000.7, 5_000).broken  # increase() extrapolates


def test_range_check_is_wrong_as_often_as_it_says_whatever_the_values_are():
    random = np.random.default_rng(4)
    tails = []
    for _ in range(2_000):
        known, values = random.lognormal(sigma=2, size=100), random.lognormal(sigma=2, size=60)
        tails.append(stats.range_check(((values < known.min()) | (values > known.max())).sum(), 60, 100).p_value)
    assert 0.01 < np.mean(np.array(tails) < 0.05) <= 0.06


def test_categories_seen_once_tell_how_many_were_not_seen():
    assert stats.range_check(30, 1_000, 1_000).broken
    assert not stats.range_check(30, 1_000, 1_000, singletons=25).broken
    expected = scipy_stats.betabinom.sf(29, 1_000, 25, 976)
    assert stats.range_check(30, 1_000, 1_000, singletons=25).p_value == pytest.approx(expected, rel=1e-6)
    assert stats.range_check(30, 1_000, 1_000, singletons=1) == stats.range_check(30, 1_000, 1_000)
    assert stats.range_check(900, 1_000, 1_000, singletons=1_000).p_value == 1  # nothing was seen twice: nothing is known


def test_range_check_counts_clusters_where_rows_are_not_independent():
    """20 rows of one user whose age is new are one observation; 20 users are 20."""
    assert stats.range_check(20, 1_000, 20_000).broken
    assert not stats.range_check(20, 1_000, 20_000, design_effect=20).broken
    clusters = stats.range_check(400, 1_000, 20_000, design_effect=20)
    assert clusters.broken
    assert clusters.p_value == pytest.approx(stats.range_check(20, 50, 1_000).p_value, rel=1e-12)
    with pytest.raises(StatisticsError, match="design effect"):
        stats.range_check(20, 1_000, 20_000, design_effect=0.5)


@pytest.mark.parametrize("arguments", [(1, 0, 5), (1, 5, 0), (-1, 5, 5), (math.nan, 5, 5)])
def test_range_check_refuses_counts_that_are_no_counts(arguments):
    with pytest.raises(StatisticsError):
        stats.range_check(*arguments)


@pytest.mark.parametrize("seed", range(5))
def test_chi_square_is_that_of_scipy_where_nothing_is_pooled(seed):
    rng = np.random.default_rng(seed)
    expected, actual = rng.integers(200, 500, 7) * 1.3, rng.integers(20, 50, 7).astype(float)
    by_scipy = scipy_stats.chi2_contingency(np.stack([expected, actual]), correction=False)
    assert stats.chi_square(expected, actual) == pytest.approx((by_scipy.statistic, by_scipy.dof, by_scipy.pvalue, actual.sum()), rel=1e-9)


def test_rare_bins_are_pooled_as_if_they_were_one():
    pooled = stats.chi_square([500, 300, 1, 2, 40, 0], [80, 60, 2, 0, 19, 0])
    by_scipy = scipy_stats.chi2_contingency([[500, 300, 43], [80, 60, 21]], correction=False)
    assert pooled[:3] == pytest.approx((by_scipy.statistic, 2, by_scipy.pvalue))


def test_a_pool_that_is_too_small_takes_the_next_smallest_bin():
    pooled = stats.chi_square([500, 300, 200, 1], [50, 20, 30, 1])
    by_scipy = scipy_stats.chi2_contingency([[500, 300, 201], [50, 20, 31]], correction=False)
    assert pooled.statistic == pytest.approx(by_scipy.statistic)


def test_a_category_that_is_new_once_is_no_evidence():
    unpooled = stats.chi_square([5_000, 5_000, 0], [50, 50, 1], least_expected=0)
    assert unpooled.p_value < 0.01 < stats.chi_square([5_000, 5_000, 0], [50, 50, 1]).p_value


@pytest.mark.parametrize(("expected", "actual"), [([5], [9]), ([5, 0], [9, 0]), ([500, 300], [1, 0]), ([1, 0], [0, 1])])
def test_a_single_bin_left_is_no_evidence(expected, actual):
    assert stats.chi_square(expected, actual)[:3] == (0.0, 0.0, 1.0)


def test_a_design_effect_divides_the_statistic():
    plain, weak = stats.chi_square([500, 300, 200], [35, 35, 30]), stats.chi_square([500, 300, 200], [35, 35, 30], design_effect=3)
    assert weak.statistic == pytest.approx(plain.statistic / 3)
    assert weak.p_value == pytest.approx(scipy_stats.chi2.sf(plain.statistic / 3, 2))


def test_fewer_degrees_of_freedom_lengthen_the_tail_and_keep_the_mean():
    plain, uneven = (stats.chi_square([500, 300, 200], [35, 35, 30], degrees=degrees) for degrees in (None, 0.5))
    assert uneven.p_value == pytest.approx(scipy_stats.chi2.sf(plain.statistic / 4, 0.5))
    assert stats.chi_square([500, 300, 200], [35, 35, 30], degrees=9) == plain
    with pytest.raises(StatisticsError, match="degrees"):
        stats.chi_square([500, 300, 200], [35, 35, 30], degrees=0)


def test_chance_is_significant_as_often_as_it_should_be_also_with_rare_bins():
    rng = np.random.default_rng(5)
    shares = np.array([0.4, 0.3, 0.2, 0.09, *[0.001] * 10])
    p_values = [stats.chi_square(rng.multinomial(5_000, shares), rng.multinomial(300, shares)).p_value for _ in range(1_500)]
    assert 0.03 < np.mean(np.array(p_values) < 0.05) < 0.07


@pytest.mark.parametrize("tests", [1, 2, 30])
def test_benjamini_hochberg_is_that_of_scipy(tests):
    values = np.random.default_rng(tests).beta(0.3, 2, tests)
    values[: tests // 3] = values[0]
    np.testing.assert_allclose(stats.benjamini_hochberg(values), scipy_stats.false_discovery_control(values))


@pytest.mark.parametrize("p_values", [[], [0.5, 1.1], [-0.1], [math.nan], [[0.5]]])
def test_benjamini_hochberg_refuses_what_is_no_probability(p_values):
    with pytest.raises(StatisticsError):
        stats.benjamini_hochberg(p_values)
