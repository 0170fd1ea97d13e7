"""The multivariate reference is Ledoit and Wolf's, as scikit-learn has it."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from otel_ml import StatisticsError, stats


@pytest.mark.parametrize(("rows", "width"), [(20, 30), (100, 4), (2_000, 12)])
def test_gaussian_is_that_of_scikit_learn(rows, width):
    rng = np.random.default_rng(rows)
    data = rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + 3
    expected = LedoitWolf().fit(data)
    found = stats.gaussian(data)
    assert found.shrinkage == pytest.approx(expected.shrinkage_, rel=1e-8)
    np.testing.assert_allclose(found.mean, expected.location_)
    np.testing.assert_allclose(found.precision, expected.precision_, rtol=1e-6, atol=1e-9)


def test_distances_are_squares_of_those_of_scipy():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(50, 3))
    mean, precision, _ = stats.gaussian(data)
    expected = [mahalanobis(row, mean, precision) ** 2 for row in data]
    np.testing.assert_allclose(stats.mahalanobis(data, mean, precision), expected)


def test_rows_that_do_not_vary_have_no_distance():
    mean, precision, shrinkage = stats.gaussian(np.ones((5, 3)))
    assert shrinkage == 1.0
    assert stats.mahalanobis(np.ones((2, 3)), mean, precision).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [1.0, 2.0], [[1.0], [float("nan")]], [[1.0], [float("inf")]]])
def test_rows_that_have_no_covariance_are_refused(rows):
    with pytest.raises(StatisticsError):
        stats.gaussian(rows)


def test_hotelling_t2_is_the_squared_t_statistic_for_one_feature():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=500), rng.normal(0.2, size=80)
    result = stats.hotelling_t2([before.mean()], [after.mean()], np.array([[1.0]]), reference_samples=500, samples=80)
    z = (after.mean() - before.mean()) / np.sqrt(1 / 500 + 1 / 80)
    assert result == pytest.approx((z**2, 1, 2 * scipy_stats.norm.sf(abs(z)), 80))


def test_hotelling_t2_fires_as_often_as_it_should():
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(6, 6))
    p_values = []
    for _ in range(300):
        before, after = rng.normal(size=(2_000, 6)) @ mixing, rng.normal(size=(100, 6)) @ mixing
        mean, precision, _ = stats.gaussian(before)
        p_values.append(stats.hotelling_t2(mean, after.mean(axis=0), precision, reference_samples=2_000, samples=100).p_value)
    assert scipy_stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_design_effect_divides_t2():
    arguments = ([0.0, 0.0], [0.3, 0.4], np.eye(2))
    plain, weak = (stats.hotelling_t2(*arguments, reference_samples=100, samples=40, design_effect=e) for e in (1, 2))
    assert weak.statistic == pytest.approx(plain.statistic / 2)


@pytest.mark.parametrize(
    ("before", "after", "width", "samples"),
    [([0], [0, 1], 1, 5), ([0], [1], 2, 5), ([0], [np.nan], 1, 5), ([0], [1], 1, 0), ([], [], 0, 5)],
)
def test_hotelling_t2_refuses_means_that_do_not_fit(before, after, width, samples):
    with pytest.raises(StatisticsError):
        stats.hotelling_t2(before, after, np.eye(width), reference_samples=10, samples=samples)
