"""Scores from a confusion matrix or from sums are scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from otel_ml import StatisticsError, stats


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_classification_is_that_of_scikit_learn(classes, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 300)
    predicted = np.where(rng.random(300) < 0.6, truth, rng.integers(0, classes, 300))
    average = "binary" if classes == 2 else "macro"
    assert stats.classification(metrics.confusion_matrix(truth, predicted)) == pytest.approx(
        (
            metrics.accuracy_score(truth, predicted),
            metrics.balanced_accuracy_score(truth, predicted),
            metrics.precision_score(truth, predicted, average=average),
            metrics.recall_score(truth, predicted, average=average),
            metrics.f1_score(truth, predicted, average=average),
            300,
        )
    )


def test_a_class_that_never_occurs_does_not_lower_the_means():
    assert stats.classification([[5, 5, 0], [0, 10, 0], [0, 0, 0]]).recall == pytest.approx(0.75)


def test_a_score_that_would_divide_by_zero_is_zero():
    assert stats.classification([[10, 0], [10, 0]])[2:5] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("confusion", [[[1, 2]], [[0, 0], [0, 0]], [[1, -1], [0, 1]], [[1, float("nan")], [0, 1]], []])
def test_a_confusion_matrix_that_is_none_is_refused(confusion):
    with pytest.raises(StatisticsError):
        stats.classification(confusion)


def _sums(truth, predicted):
    error = predicted - truth
    return {
        "error": error.sum(),
        "absolute_error": np.abs(error).sum(),
        "squared_error": (error**2).sum(),
        "truth": truth.sum(),
        "squared_truth": (truth**2).sum(),
    }


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_regression_is_that_of_scikit_learn(offset):
    rng = np.random.default_rng(5)
    truth = offset + rng.normal(size=200)
    predicted = truth + rng.normal(0.2, 0.5, 200)
    result = stats.regression(200, **_sums(truth, predicted))
    assert result.bias == pytest.approx((predicted - truth).mean())
    assert result.mae == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert result.rmse == pytest.approx(metrics.mean_squared_error(truth, predicted) ** 0.5)
    assert result.r2 == pytest.approx(metrics.r2_score(truth, predicted), rel=1e-6)


def test_r2_is_absent_where_the_truth_does_not_vary():
    assert stats.regression(5, **_sums(np.full(5, 0.1), np.full(5, 0.2))).r2 is None


def test_regression_needs_an_outcome():
    with pytest.raises(StatisticsError):
        stats.regression(0, error=0, absolute_error=0, squared_error=0, truth=0, squared_truth=0)
