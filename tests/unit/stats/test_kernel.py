"""Random features stand for the Gaussian kernel, and the distance of their means for the MMD of all pairs."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

from otel_ml import StatisticsError, stats


def test_products_of_features_are_the_kernel_of_scikit_learn():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    features = stats.fourier_features(rows, seed=3, components=20_000, bandwidth=1.7)
    np.testing.assert_allclose(features @ features.T, rbf_kernel(rows, gamma=1 / (2 * 1.7**2)), atol=0.04)


def test_features_are_the_same_for_a_seed_whatever_the_rows():
    rows = np.random.default_rng(0).normal(size=(10, 3))
    whole = stats.fourier_features(rows, seed=3, components=7, bandwidth=2)
    np.testing.assert_allclose(stats.fourier_features(rows[4:6], seed=3, components=7, bandwidth=2), whole[4:6])
    assert not np.allclose(stats.fourier_features(rows, seed=4, components=7, bandwidth=2), whole)
    assert stats.fourier_features([[0.0, 0.0]], seed=1, components=2, bandwidth=1)[0] == pytest.approx([-0.796913, -0.970405], abs=1e-6)


def test_no_rows_have_no_features():
    assert stats.fourier_features(np.empty((0, 3)), seed=0, components=5, bandwidth=1).shape == (0, 5)


@pytest.mark.parametrize(
    "arguments", [{"bandwidth": 0}, {"bandwidth": math.nan}, {"components": 0}, {"rows": [[math.nan]]}, {"rows": [1.0]}]
)
def test_features_that_are_none_are_refused(arguments):
    with pytest.raises(StatisticsError):
        stats.fourier_features(**{"rows": [[1.0]], "seed": 0, "components": 3, "bandwidth": 1.0, **arguments})


def test_bandwidth_is_the_median_distance_of_scipy():
    rows = np.random.default_rng(1).normal(100, 1, size=(200, 4))
    assert stats.median_bandwidth(rows) == pytest.approx(np.median(pdist(rows)))


def test_bandwidth_of_many_rows_is_that_of_some():
    rows = np.random.default_rng(1).normal(size=(20_000, 4))
    assert stats.median_bandwidth(rows) == pytest.approx(np.median(pdist(rows[:1_000])), rel=0.03)


def test_rows_that_are_mostly_equal_take_the_distances_above_zero():
    assert stats.median_bandwidth([[0.0]] * 20 + [[3.0]]) == pytest.approx(3)
    with pytest.raises(StatisticsError, match="all equal"):
        stats.median_bandwidth([[0.1, 1e9]] * 5)


def test_mmd_is_the_biased_estimate_over_all_pairs():
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(200, 2)), rng.normal(0.5, size=(150, 2))
    gamma = 1 / (2 * 1.5**2)
    exact = math.sqrt(
        rbf_kernel(left, gamma=gamma).mean() + rbf_kernel(right, gamma=gamma).mean() - 2 * rbf_kernel(left, right, gamma=gamma).mean()
    )
    means = [stats.fourier_features(rows, seed=1, components=20_000, bandwidth=1.5).mean(axis=0) for rows in (left, right)]
    assert stats.mmd(*means).value == pytest.approx(exact, rel=0.03)
    assert stats.mmd(*means).noise == 0
    assert stats.mmd(means[0], means[0]).value == 0


def test_chance_gives_the_noise_that_mmd_names_and_hardly_ever_three_times_it():
    rng = np.random.default_rng(3)
    pool = stats.fourier_features(rng.normal(size=(60_000, 3)), seed=1, components=128, bandwidth=2.0)
    found = []
    for part in pool.reshape(200, 300, 128):
        found.append(stats.mmd(part[:200].mean(axis=0), part[200:].mean(axis=0), reference_samples=200, samples=100))
    assert np.mean([result.value**2 for result in found]) == pytest.approx(np.mean([result.noise**2 for result in found]), rel=0.1)
    assert np.mean([result.value > 3 * result.noise for result in found]) <= 0.01


@pytest.mark.parametrize(("before", "after", "samples"), [([1.0], [1.0, 2.0], 5), ([math.nan], [1.0], 5), ([1.0], [1.0], 0), ([], [], 5)])
def test_mmd_refuses_means_that_do_not_fit(before, after, samples):
    with pytest.raises(StatisticsError):
        stats.mmd(before, after, samples=samples)


@pytest.mark.parametrize(("repeats", "effect"), [(1, 1.0), (5, 5.0)])
def test_chance_stays_below_the_floor_in_99_of_100_windows(repeats, effect):
    """Rows that come five times each are worth a fifth of their number."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(150):
        rows = rng.normal(size=(2_000, 3)) @ np.array([[1, 0.8, 0], [0, 0.6, 0], [0, 0, 1.0]])
        before, after = (stats.fourier_features(part, seed=1, components=64, bandwidth=2.0) for part in (rows[:1_500], rows[1_500:]))
        after = np.repeat(after[: 500 // repeats], repeats, axis=0)
        value = stats.mmd(before.mean(axis=0), after.mean(axis=0)).value
        found.append(value > stats.mmd_noise_floor(before, samples=500, design_effect=effect))
    assert np.mean(found) <= 0.04


def test_the_floor_of_features_that_do_not_vary_is_nothing():
    assert stats.mmd_noise_floor([[1.0, 2.0]] * 3, samples=5) == 0
    with pytest.raises(StatisticsError):
        stats.mmd_noise_floor([[1.0], [2.0]], samples=0)
