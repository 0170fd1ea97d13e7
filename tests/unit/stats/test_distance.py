"""Distances of counts are the formulas that the docstrings promise, and scipy's where scipy has them."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

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


def test_a_design_effect_lifts_the_noise_floor_and_nothing_else():
    plain, lifted = stats.psi([10, 10], [15, 5]), stats.psi([10, 10], [15, 5], design_effect=2.5)
    assert lifted.noise_floor == pytest.approx(2.5 * plain.noise_floor)
    assert lifted.value == plain.value


def test_rows_of_one_key_count_as_one_before_bins_are_smoothed():
    repeated = stats.psi([200, 300, 0], [40, 0, 20], key_effect=20)
    assert repeated.value == pytest.approx(stats.psi([10, 15, 0], [2, 0, 1]).value)
    assert repeated.samples == 60
    assert repeated.noise_floor == stats.psi([200, 300, 0], [40, 0, 20]).noise_floor


def test_the_noise_scale_has_the_tail_of_its_degrees_of_freedom_and_the_mean_of_its_design_effect():
    assert stats.psi_noise_scale(12, alpha=1e-3) == pytest.approx(scipy_stats.chi2.ppf(1 - 1e-3, 11))
    assert stats.psi_noise_scale(12, alpha=1e-3, design_effect=7, degrees=2.5) == pytest.approx(
        7 * 11 / 2.5 * scipy_stats.chi2.ppf(1 - 1e-3, 2.5)
    )
    assert stats.psi_noise_scale(12, degrees=40) == stats.psi_noise_scale(12)
    assert stats.psi_noise_scale(1, design_effect=3, degrees=2) == 0
    floor = stats.psi([10, 10, 5], [15, 5, 5], design_effect=7, degrees=0.7).noise_floor
    assert floor == pytest.approx(stats.psi_noise_scale(3, design_effect=7, degrees=0.7) * (1 / 25 + 1 / 25))


@pytest.mark.parametrize("degrees", [0, -1, math.nan, math.inf])
def test_degrees_of_freedom_that_are_none_are_refused(degrees):
    with pytest.raises(StatisticsError, match="degrees"):
        stats.psi_noise_scale(5, degrees=degrees)


@pytest.mark.parametrize("key_effect", [0.5, math.nan, math.inf])
def test_a_key_effect_below_one_is_refused(key_effect):
    with pytest.raises(StatisticsError, match="key effect"):
        stats.psi([10, 10], [15, 5], key_effect=key_effect)


@pytest.mark.parametrize("design_effect", [0.99, 0, -1, math.nan, math.inf])
@pytest.mark.parametrize("function", [stats.psi, stats.chi_square])
def test_a_design_effect_below_one_is_refused(function, design_effect):
    with pytest.raises(StatisticsError, match="design effect"):
        function([10, 10], [15, 5], design_effect=design_effect)


def _counts(seed, bins=8):
    rng = np.random.default_rng(seed)
    expected, actual = rng.integers(0, 500, bins).astype(float), rng.integers(0, 50, bins) * 1.7
    expected[2] = actual[5] = expected[6] = actual[6] = 0
    return expected, actual


@pytest.mark.parametrize("seed", range(5))
def test_js_distance_is_that_of_scipy(seed):
    expected, actual = _counts(seed)
    assert stats.js_distance(expected, actual).value == pytest.approx(jensenshannon(expected, actual, base=2), rel=1e-9)


def test_chance_gives_the_js_distance_that_the_docstring_names():
    rng = np.random.default_rng(8)
    shares = rng.dirichlet(np.full(10, 5.0))
    squares = [stats.js_distance(rng.multinomial(5_000, shares), rng.multinomial(500, shares)).value ** 2 for _ in range(500)]
    assert np.mean(squares) == pytest.approx(9 * (1 / 500 + 1 / 5_000) / 5.5, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_ks_is_that_of_scipy_on_the_numbers_of_the_bins(seed):
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 8, 300), rng.integers(1, 7, 90)
    counted = stats.ks(np.bincount(left, minlength=8), np.bincount(right, minlength=8))
    assert counted.value == pytest.approx(scipy_stats.ks_2samp(left, right).statistic)
    assert counted.samples == 90


@pytest.mark.parametrize("seed", range(5))
def test_ks_of_bins_is_a_lower_bound_that_misses_at_most_the_largest_share(seed):
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=500), rng.normal(0.4, 1.3, 400)
    edges = np.quantile(left, np.arange(1, 10) / 10)
    counts = [np.bincount(np.searchsorted(edges, side), minlength=10) for side in (left, right)]
    rows = scipy_stats.ks_2samp(left, right).statistic
    largest = max((side / side.sum()).max() for side in counts)
    assert stats.ks(*counts).value <= rows + 1e-12
    assert rows <= stats.ks(*counts).value + largest


def test_l_infinity_of_a_table_worked_by_hand():
    assert stats.l_infinity([5, 3, 2], [10, 0, 10]) == pytest.approx((0.3, 20))


@pytest.mark.parametrize("seed", range(5))
def test_wasserstein_is_that_of_scipy_on_values_spread_evenly_over_the_bins(seed):
    expected, actual = _counts(seed)
    bounds = np.array([-3, -1, 0, 0.5, 2, 2.1, 5, 6, 10.0])
    middles = ((np.arange(2_000) + 0.5) / 2_000)[None, :] * np.diff(bounds)[:, None] + bounds[:-1, None]
    by_scipy = scipy_stats.wasserstein_distance(middles.ravel(), middles.ravel(), np.repeat(expected, 2_000), np.repeat(actual, 2_000))
    result = stats.wasserstein(expected, actual, edges=bounds[1:-1], minimum=-3, maximum=10, std=2.0)
    assert result.value == pytest.approx(by_scipy / 2, rel=1e-4)


def test_wasserstein_between_gaps_of_opposite_sign_counts_both_triangles():
    """The gap goes from +1/4 to -1/4 over the middle bin: two triangles of 1/16, and one of 1/8 in each outer bin."""
    result = stats.wasserstein([1, 2, 1], [3, 0, 3], edges=[1, 2], minimum=0, maximum=3, std=1)
    assert result.value == pytest.approx(3 / 8)


def test_wasserstein_of_rows_is_near_that_of_their_bins():
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=5_000), rng.normal(0.3, 1.2, 5_000)
    edges = np.linspace(-3, 3, 40)
    counts = [np.bincount(np.searchsorted(edges, side), minlength=41) for side in (left, right)]
    result = stats.wasserstein(*counts, edges=edges, minimum=left.min(), maximum=left.max(), std=left.std())
    assert result.value == pytest.approx(scipy_stats.wasserstein_distance(left, right) / left.std(), rel=0.05)


def test_wasserstein_holds_with_a_bin_of_no_width_and_with_edges_beyond_the_baseline():
    assert stats.wasserstein([5, 5], [10, 0], edges=[0.0], minimum=0, maximum=2, std=1).value == pytest.approx(0.5)
    assert stats.wasserstein([5, 5], [10, 0], edges=[4.0], minimum=0, maximum=2, std=1).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changed", [{"edges": [1]}, {"edges": [2, 1]}, {"edges": [1, math.inf]}, {"minimum": math.nan}, {"std": 0}, {"std": math.nan}]
)
def test_wasserstein_refuses_an_axis_that_is_none(changed):
    with pytest.raises(StatisticsError):
        stats.wasserstein([1, 2, 3], [3, 2, 1], **{"edges": [1, 2], "minimum": 0, "maximum": 3, "std": 1, **changed})
