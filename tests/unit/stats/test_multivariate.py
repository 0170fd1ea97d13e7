"""The multivariate reference is Ledoit and Wolf's, as scikit-learn has it."""

import numpy as np
import pytest
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
