"""A drop is laid at the door of the shift that explains most of it, and the rest is named."""

import math

import numpy as np
import pytest

from otel_ml import StatisticsError, stats


def test_the_rest_is_what_the_nearer_account_leaves():
    assert stats.attribute_drop(0.9, 0.82, 0.88, 0.8) == pytest.approx((0.1, 0.08, 0.02, 0.02))
    assert stats.attribute_drop(0.9, 0.88, 0.79, 0.8) == pytest.approx((0.1, 0.02, 0.11, -0.01))


def test_nothing_changed_is_nothing_to_explain():
    assert stats.attribute_drop(0.9, 0.9, 0.9, 0.9) == (0, 0, 0, 0)


def _rows(rng, rows, share, slope):
    """Two classes whose inputs are normal around -1 and 1, and the predictions of a model that cuts at 0."""
    truth = rng.random(rows) < share
    inputs = rng.normal(np.where(truth, slope, -slope) * 1.0, np.where(truth, 1.5, 0.5))
    return inputs, truth, (inputs > 0) == truth


def test_a_label_shift_is_explained_by_labels_and_a_concept_shift_by_nothing():
    rng = np.random.default_rng(0)
    inputs, truth, right = _rows(rng, 20_000, 0.5, 1)
    confusion = [[((truth == t) & ((inputs > 0) == p)).sum() for p in (False, True)] for t in (False, True)]
    for share, slope in ((0.8, 1), (0.5, -1)):
        moved, _, realised = _rows(rng, 20_000, share, slope)
        shift = stats.bbse(confusion, [(moved <= 0).sum(), (moved > 0).sum()])
        weighted = np.average(right, weights=stats.odds_weights(inputs[:, None], moved[:, None]).values)
        result = stats.attribute_drop(right.mean(), weighted, np.average(right, weights=shift.weights[truth.astype(int)]), realised.mean())
        assert (abs(result.rest) < 0.02) == (slope == 1)
        assert result.drop > 0.05


@pytest.mark.parametrize("accuracies", [(1.1, 1, 1, 1), (1, -0.1, 1, 1), (1, 1, math.nan, 1), (1, 1, 1, math.inf)])
def test_what_is_no_accuracy_is_refused(accuracies):
    with pytest.raises(StatisticsError):
        stats.attribute_drop(*accuracies)
