"""PSI and the range check are the formulas that STATISTICS.md and the docstrings promise."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from otel_ml import StatisticsError, stats


def test_psi_of_a_table_worked_by_hand():
    """10.5/21, 10.5/21 against 15.5/21, 5.5/21: 5/21 ln(15.5/5.5)."""
    result = stats.psi([10, 10], [15, 5])
    assert result.value == pytest.approx(5 / 21 * math.log(15.5 / 5.5), rel=1e-12)
    assert result.contributions == pytest.approx([5 / 21 * math.log(15.5 / 10.5), -5 / 21 * math.log(5.5 / 10.5)])
    assert result.samples == 20


@pytest.mark.parametrize("seed", range(5))
def test_psi_equals_a_loop_over_the_bins(seed):
    rng = np.random.default_rng(seed)
    expected, actual = rng.integers(0, 500, 12), rng.integers(0, 50, 12)
    by_hand = 0.0
    for m_i, n_i in zip(expected.tolist(), actual.tolist(), strict=True):
        q, p = (m_i + 0.5) / (expected.sum() + 6), (n_i + 0.5) / (actual.sum() + 6)
        by_hand += (p - q) * math.log(p / q)
    assert stats.psi(expected, actual).value == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(("bins", "alpha"), [(2, 0.01), (12, 0.01 / 30), (33, 1e-6)])
def test_noise_floor_is_the_chi_square_quantile_times_both_sampling_errors(bins, alpha):
    result = stats.psi([100.0] * bins, [7.0] * bins, alpha=alpha)
    assert result.noise_floor == pytest.approx(scipy_stats.chi2.ppf(1 - alpha, bins - 1) * (1 / (7 * bins) + 1 / (100 * bins)), rel=1e-9)


def test_chance_stays_below_the_noise_floor_as_often_as_promised():
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.full(10, 5.0))
    results = [stats.psi(rng.multinomial(5_000, shares), rng.multinomial(500, shares), alpha=0.05) for _ in range(2_000)]
    assert 0.02 < np.mean([result.value > result.noise_floor for result in results]) < 0.08


def test_one_bin_holds_no_distance():
    assert stats.psi([5], [9])[:2] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("expected", "actual", "message"),
    [
        ([1, 2], [1, 2, 3], "3 bins where 2"),
        ([1, -1], [1, 1], "not negative"),
        ([1, math.nan], [1, 1], "finite"),
        ([1, 1], [math.inf, 1], "finite"),
        ([0, 0], [1, 1], "expected holds no samples"),
        ([1, 1], [0, 0], "actual holds no samples"),
        ([], [], "one row"),
        ([[1, 1]], [[1, 1]], "one row"),
    ],
)
def test_counts_that_are_no_counts_are_refused(expected, actual, message):
    with pytest.raises(StatisticsError, match=message):
        stats.psi(expected, actual)


@pytest.mark.parametrize(
    ("outside", "samples", "baseline"), [(1, 50, 500), (50, 1_000, 5_000), (9, 1_000, 5_000), (1_000, 1_000, 10), (3, 7, 2)]
)
def test_range_check_is_the_binomial_tail(outside, samples, baseline):
    check = stats.range_check(outside, samples, baseline)
    assert check.ratio == outside / samples
    assert check.p_value == pytest.approx(scipy_stats.binom.sf(outside - 1, samples, 2 / (baseline + 1)), rel=1e-9, abs=1e-300)
    assert check.broken == (check.ratio >= 0.01 and check.p_value < 0.01)


def test_range_check_needs_both_size_and_evidence():
    assert not stats.range_check(90, 10_000, 5_000).broken  # evidence, but under 1 %
    assert not stats.range_check(1, 50, 500).broken  # 2 %, but no evidence
    assert not stats.range_check(0, 50, 500).broken
    assert stats.range_check(50.4, 1_000.7, 5_000).broken  # increase() extrapolates


@pytest.mark.parametrize("arguments", [(1, 0, 5), (1, 5, 0), (-1, 5, 5), (math.nan, 5, 5)])
def test_range_check_refuses_counts_that_are_no_counts(arguments):
    with pytest.raises(StatisticsError):
        stats.range_check(*arguments)
