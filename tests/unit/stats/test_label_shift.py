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


def test_the_errors_are_those_of_samples_of_predictions_and_confusion():
    rng = np.random.default_rng(3)
    mistaken = np.array([[0.8, 0.15, 0.05], [0.1, 0.85, 0.05], [0.1, 0.2, 0.7]])
    shares, truths = np.array([0.2, 0.5, 0.3]), [400, 300, 300]
    found = [
        stats.bbse([rng.multinomial(n, row) for n, row in zip(truths, mistaken, strict=True)], rng.multinomial(800, shares @ mistaken))
        for _ in range(2_000)
    ]
    spread = np.std([result.shares for result in found], axis=0)
    np.testing.assert_allclose(np.mean([result.errors for result in found], axis=0), spread, rtol=0.06)


def test_rows_that_are_not_independent_make_errors_larger():
    confusion = [[9e6, 1e6], [2e6, 8e6]]
    plain, effect = (stats.bbse(confusion, [50, 50], design_effect=factor).errors for factor in (1, 4))
    np.testing.assert_allclose(effect, 2 * plain, rtol=1e-3)
