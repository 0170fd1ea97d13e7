"""The area under the ROC curve of bins is scikit-learn's, and its bounds hold that of the rows."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from otel_ml import StatisticsError, stats


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_of_scikit_learn_on_the_numbers_of_the_bins(seed):
    rng = np.random.default_rng(seed)
    score = rng.random(400)
    truth, index = rng.random(400) < score, (score * 8).astype(int)
    result = stats.roc_auc(np.bincount(index, minlength=8), np.bincount(index, weights=truth, minlength=8))
    assert result.value == pytest.approx(roc_auc_score(truth, index))
    assert result.low <= roc_auc_score(truth, score) <= result.high
    assert roc_auc_score(truth, score) == pytest.approx(result.value, abs=0.02)
    assert result.samples == 400


def test_the_bounds_are_those_of_the_best_and_the_worst_order_inside_the_bins():
    truth, bins = np.array([0, 0, 1, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    result = stats.roc_auc(np.bincount(bins), np.bincount(bins, weights=truth))
    assert result.high == pytest.approx(roc_auc_score(truth, bins + 0.1 * truth))
    assert result.low == pytest.approx(roc_auc_score(truth, bins - 0.1 * truth))


def test_one_bin_knows_nothing():
    assert stats.roc_auc([10.5], [3.5]) == pytest.approx((0.5, 0, 1, 10.5))


@pytest.mark.parametrize(("outcomes", "positives"), [([5, 5], [0, 0]), ([5, 5], [5, 5]), ([0], [0]), ([1], [2]), ([1, 2], [1])])
def test_an_area_needs_both_classes(outcomes, positives):
    with pytest.raises(StatisticsError):
        stats.roc_auc(outcomes, positives)
