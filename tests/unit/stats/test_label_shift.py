"""The class shares of a shifted window are found from its predictions."""

import numpy as np
import pytest

from otel_ml import StatisticsError, stats


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_shares_that_were_mixed_by_the_confusion_are_found(classes):
    rng = np.random.default_rng(classes)
    confusion = rng.integers(1, 40, (classes, classes)) + 200 * np.eye(classes)
    shares = rng.dirichlet(np.ones(classes))
    predicted = 77.7 * shares @ (confusion / confusion.sum(axis=1, keepdims=True))
    result = stats.bbse(confusion, predicted)
    np.testing.assert_allclose(result.shares, shares, atol=1e-12)
    np.testing.assert_allclose(result.weights * confusion.sum(axis=1) / confusion.sum(), shares, atol=1e-12)


def test_it_is_the_solution_of_the_joint_system_of_the_paper():
    confusion, predicted = np.array([[80.0, 20, 5], [10, 60, 5], [2, 8, 30]]), np.array([50.0, 30, 40])
    weights = np.linalg.inv(confusion.T / confusion.sum()) @ (predicted / predicted.sum())
    np.testing.assert_allclose(stats.bbse(confusion, predicted).weights, weights)


def test_negative_shares_are_cut_and_the_rest_sums_to_one():
    result = stats.bbse([[80, 20], [20, 80]], [95, 5])
    assert result.shares.tolist() == [1, 0]
    assert result.weights.tolist() == [2, 0]


def test_a_perfect_model_is_taken_at_its_word():
    result = stats.bbse(np.eye(3) * 10, [1, 2, 1])
    assert result.condition == pytest.approx(1)
    assert result.shares == pytest.approx([0.25, 0.5, 0.25])


def test_one_class_is_all_there_is():
    assert stats.bbse([[5]], [3]).shares.tolist() == [1]


@pytest.mark.parametrize(
    ("confusion", "predicted", "message"),
    [
        ([[50, 50], [50, 50]], [1, 1], "well enough"),
        ([[501, 499], [499, 501]], [1, 1], "well enough"),
        ([[50, 5], [0, 0]], [1, 1], "class 1"),
        ([[50, 5], [5, 50]], [0, 0], "no samples"),
        ([[50, 5], [5, 50]], [1, 1, 1], "3 bins where 2"),
        ([[50, 5]], [1, 1], "square"),
    ],
)
def test_what_cannot_be_solved_is_refused(confusion, predicted, message):
    with pytest.raises(StatisticsError, match=message):
        stats.bbse(confusion, predicted)
