"""Principal axes and reconstruction errors are scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from otel_ml import StatisticsError, stats


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(("rows", "width"), [(300, 5), (8, 20)])
def test_axes_and_errors_are_those_of_scikit_learn(variance, rows, width):
    rng = np.random.default_rng(rows)
    data = rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + 5
    expected = PCA(n_components=variance, svd_solver="full").fit(data)
    model = stats.pca(data, variance=variance)
    assert model.components.shape == expected.components_.shape
    np.testing.assert_allclose(model.explained, expected.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(model.components), np.abs(expected.components_), atol=1e-9)
    fresh = rng.normal(size=(30, width))
    errors = ((fresh - expected.inverse_transform(expected.transform(fresh))) ** 2).sum(axis=1)
    np.testing.assert_allclose(stats.reconstruction_error(fresh, model), errors, atol=1e-9)


def test_all_of_the_variance_leaves_no_error_in_the_baseline():
    data = np.random.default_rng(0).normal(size=(50, 3)) @ np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1.0]])
    model = stats.pca(data, variance=1)
    assert stats.reconstruction_error(data, model) == pytest.approx(np.zeros(50), abs=1e-20)


def test_a_row_that_breaks_the_correlation_stands_out_although_its_values_are_usual():
    value = np.random.default_rng(1).normal(size=500)
    model = stats.pca(np.column_stack([value, value + 0.01 * np.random.default_rng(2).normal(size=500)]))
    usual, odd = stats.reconstruction_error([[1.0, 1.0], [1.0, -1.0]], model)
    assert odd > 1_000 * usual


def test_rows_that_do_not_vary_have_no_axes():
    model = stats.pca(np.full((5, 3), 0.1))
    assert model.components.shape == (0, 3)
    assert stats.reconstruction_error([[0.1, 0.1, 2.1]], model) == pytest.approx([4])


@pytest.mark.parametrize(("rows", "variance"), [([[1.0]], 0.9), ([[1.0], [np.nan]], 0.9), ([[1.0], [2.0]], 0), ([[1.0], [2.0]], 1.1)])
def test_rows_without_axes_are_refused(rows, variance):
    with pytest.raises(StatisticsError):
        stats.pca(rows, variance=variance)


def test_rows_of_another_width_are_refused():
    with pytest.raises(StatisticsError, match="3 features where 2"):
        stats.reconstruction_error([[1.0, 2.0, 3.0]], stats.pca([[1.0, 2.0], [2.0, 3.0]]))


def test_chance_stays_below_the_floor_of_the_ratio_in_99_of_100_windows():
    rng = np.random.default_rng(5)
    found = [stats.error_ratio(rng.chisquare(3, 500), rng.chisquare(3, 300)) for _ in range(1_000)]
    assert np.mean([ratio.value for ratio in found]) == pytest.approx(1, abs=0.01)
    assert 0.002 < np.mean([ratio.value > ratio.noise_floor for ratio in found]) < 0.025


@pytest.mark.parametrize(("reference", "window"), [([1.0], [1.0]), ([0.0, 0.0], [1.0]), ([1.0, 2.0], []), ([1.0, np.nan], [1.0])])
def test_errors_that_cannot_be_compared_are_refused(reference, window):
    with pytest.raises(StatisticsError):
        stats.error_ratio(reference, window)
