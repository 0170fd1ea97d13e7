"""The domain classifier sees what moved, names it, and sees nothing where nothing did."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from otel_ml import StatisticsError, stats
from otel_ml.stats import _logistic
from otel_ml.stats.domain import rank_area


@pytest.mark.parametrize("ridge", [0.1, 1.0, 30.0])
def test_the_regression_is_that_of_scikit_learn(ridge):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(400, 4))
    labels = (rng.random(400) < 1 / (1 + np.exp(-columns @ [1.0, -2.0, 0.0, 0.5] - 0.7))).astype(float)
    expected = LogisticRegression(C=1 / ridge, tol=1e-10, max_iter=1_000).fit(columns, labels)
    intercept, weights = _logistic.fit(columns, labels, ridge=ridge)
    np.testing.assert_allclose(weights, expected.coef_[0], atol=1e-4)
    assert intercept == pytest.approx(expected.intercept_[0], abs=1e-4)


def test_the_regression_ends_where_the_sides_are_apart():
    columns = np.concatenate([np.full(500, -1.0), np.full(500, 1.0)])[:, None] * 1e3
    intercept, weights = _logistic.fit(columns, np.repeat([0.0, 1.0], 500), ridge=1e-3)
    assert np.isfinite([intercept, *weights]).all()
    assert weights[0] > 0


def test_the_area_from_ranks_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    scores, truth = rng.integers(0, 20, 300).astype(float), rng.random(300) < 0.3
    assert rank_area(scores, truth) == pytest.approx(roc_auc_score(truth, scores))


def test_a_feature_that_moved_is_seen_and_named():
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=(600, 4)) * [1, 100, 1, 0], rng.normal(size=(400, 4)) * [1, 100, 1, 0]
    after[:, 1] += 150
    result = stats.domain_classifier(before, after)
    assert result.auc == pytest.approx(roc_auc_score(np.repeat([0, 1], [600, 400]), np.concatenate([before[:, 1], after[:, 1]])), abs=0.02)
    assert result.importances.argmax() == 1
    assert result.importances[1] > 0.6
    assert result.importances[3] == 0  # it does not vary
    assert result.importances.sum() == pytest.approx(1)
    assert result.samples == 400


def test_a_change_of_scale_is_seen():
    rng = np.random.default_rng(3)
    result = stats.domain_classifier(rng.normal(size=(500, 3)), rng.normal(size=(500, 3)) * [1, 1, 2.5])
    assert result.auc > 0.7
    assert result.importances.argmax() == 2


def test_nothing_is_seen_where_nothing_moved():
    rng = np.random.default_rng(4)
    areas = [stats.domain_classifier(rng.normal(size=(200, 5)), rng.normal(size=(80, 5))).auc for _ in range(40)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)


def test_rows_that_are_all_equal_are_a_coin_toss():
    result = stats.domain_classifier(np.full((20, 2), 0.1), np.full((10, 2), 0.1))
    assert result.auc == 0.5
    assert result.importances.tolist() == [0, 0]


def test_the_same_seed_gives_the_same_folds():
    rng = np.random.default_rng(5)
    sides = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    assert stats.domain_classifier(*sides, seed=1).auc == stats.domain_classifier(*sides, seed=1).auc
    assert stats.domain_classifier(*sides, seed=1).auc != stats.domain_classifier(*sides, seed=2).auc


@pytest.mark.parametrize(
    ("before", "after", "folds"),
    [
        (np.ones((4, 2)), np.ones((9, 2)), 5),
        (np.ones((9, 2)), np.ones((4, 2)), 5),
        (np.ones((9, 2)), np.ones((9, 3)), 5),
        (np.ones((9, 2)), np.ones((9, 2)), 1),
    ],
)
def test_too_few_rows_and_other_features_are_refused(before, after, folds):
    with pytest.raises(StatisticsError):
        stats.domain_classifier(before, after, folds=folds)


def test_chance_stays_below_the_floor_of_the_area_in_99_of_100_windows():
    rng = np.random.default_rng(6)
    found = [stats.domain_classifier(rng.normal(size=(300, 4)), rng.normal(size=(200, 4))).auc for _ in range(100)]
    assert np.mean(np.array(found) > stats.auc_noise_floor(300, 200)) <= 0.04
    assert stats.auc_noise_floor(300, 200, design_effect=4) - 0.5 == pytest.approx(2 * (stats.auc_noise_floor(300, 200) - 0.5))
    assert stats.auc_noise_floor(1, 1) == 1
    with pytest.raises(StatisticsError):
        stats.auc_noise_floor(0, 5)
