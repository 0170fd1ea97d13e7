"""Calibration scores from counts equal those computed from raw rows."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from otel_ml import StatisticsError, stats


def test_ece_of_a_table_worked_by_hand():
    """|30 - 20| + |80 - 90| + |1 - 0.5| over 201; the last bin is too small to be the largest gap."""
    result = stats.ece([100, 100, 1, 0], [30, 80, 1, 0], [20.0, 90.0, 0.5, 0.0])
    assert result.value == pytest.approx(20.5 / 201)
    assert result.mce == pytest.approx(0.1)
    noise = (math.sqrt(100 * 0.2 * 0.8) + math.sqrt(100 * 0.9 * 0.1) + math.sqrt(0.25)) * math.sqrt(2 / math.pi) / 201
    assert result.noise_floor == pytest.approx(noise)
    assert result.samples == 201


def test_ece_equals_one_computed_from_rows():
    rng = np.random.default_rng(1)
    confidence, edges = rng.beta(2, 2, 3_000), np.arange(1, 15) / 15
    outcome = rng.random(3_000) < confidence**1.5
    bins = np.searchsorted(edges, confidence)
    gaps = [(abs(outcome[bins == b].mean() - confidence[bins == b].mean()), (bins == b).mean()) for b in range(15) if (bins == b).any()]
    counts = [np.bincount(bins, weights=weights, minlength=15) for weights in (None, outcome, confidence)]
    result = stats.ece(*counts, least_outcomes=1)
    assert result.value == pytest.approx(sum(gap * share for gap, share in gaps))
    assert result.mce == pytest.approx(max(gap for gap, _ in gaps))


def test_a_calibrated_model_shows_the_noise_floor():
    rng = np.random.default_rng(2)
    values, floors = [], []
    for _ in range(300):
        confidence = rng.random(400)
        bins = np.minimum((confidence * 15).astype(int), 14)
        outcome = rng.random(400) < confidence
        result = stats.ece(*(np.bincount(bins, weights=w, minlength=15) for w in (None, outcome, confidence)))
        values.append(result.value)
        floors.append(result.noise_floor)
    assert np.mean(values) == pytest.approx(np.mean(floors), rel=0.1)


def test_ece_without_a_large_bin_has_no_largest_gap():
    assert stats.ece([9, 9], [1, 2], [3.0, 4.0]).mce is None


@pytest.mark.parametrize(
    ("outcomes", "positives", "confidence"),
    [([0], [0], [0]), ([1], [2], [0.5]), ([1], [1], [1.5]), ([1, 1], [1], [1]), ([-1], [0], [0]), ([1], [math.nan], [1])],
)
def test_ece_refuses_counts_that_contradict_each_other(outcomes, positives, confidence):
    with pytest.raises(StatisticsError):
        stats.ece(outcomes, positives, confidence)


def test_brier_score_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    confidence, outcome = rng.random(500), rng.random(500) < 0.4
    bins = (confidence * 15).astype(int)
    result = stats.brier(np.bincount(bins, minlength=15), np.bincount(bins, weights=(confidence - outcome) ** 2, minlength=15))
    assert result.value == pytest.approx(brier_score_loss(outcome, confidence))
    assert result.samples == 500


def _calibrated(rng, rows, bins=15):
    confidence = rng.random(rows)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    return [np.bincount(index, weights=w, minlength=bins) for w in (None, rng.random(rows) < confidence, confidence)]


def test_debiased_ece_of_a_table_worked_by_hand():
    """The bin with one outcome is left out; the others weigh 100 and 50 of 150."""
    result = stats.debiased_ece([100, 50, 1, 0], [30, 40, 1, 0], [20.0, 45.0, 0.5, 0.0])
    squared = (100 * (0.1**2 - 0.3 * 0.7 / 99) + 50 * (0.1**2 - 0.8 * 0.2 / 49)) / 150
    assert result == pytest.approx((math.sqrt(squared), squared, 150))


def test_debiased_ece_of_a_calibrated_model_is_zero_on_average():
    rng = np.random.default_rng(6)
    squares = [stats.debiased_ece(*_calibrated(rng, 200)).squared for _ in range(400)]
    assert abs(np.mean(squares)) < 4 * np.std(squares) / 20
    assert min(squares) < 0
    assert stats.debiased_ece([10, 10], [5, 5], [5.0, 5.0])[0] == 0


def test_debiased_ece_needs_a_bin_with_two_outcomes():
    with pytest.raises(StatisticsError, match="two"):
        stats.debiased_ece([1, 1], [1, 0], [0.5, 0.5])


def test_brier_parts_give_the_brier_score_of_the_means_of_the_bins():
    rng = np.random.default_rng(7)
    levels = np.array([0.1, 0.35, 0.6, 0.9])
    index = rng.integers(0, 4, 800)
    outcome = rng.random(800) < levels[index] ** 1.3
    parts = stats.brier_decomposition(*(np.bincount(index, weights=w, minlength=5) for w in (None, outcome, levels[index])))
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(brier_score_loss(outcome, levels[index]))
    assert parts.uncertainty == pytest.approx(outcome.var())


def test_a_forecast_of_the_base_rate_has_neither_reliability_error_nor_resolution():
    assert stats.brier_decomposition([100, 0], [30, 0], [30.0, 0.0]) == pytest.approx((0, 0, 0.21))


def test_equal_mass_edges_hold_equal_numbers():
    confidences = np.random.default_rng(1).beta(5, 1, 1_000)
    edges = stats.equal_mass_edges(confidences, 10)
    assert np.bincount(np.searchsorted(edges, confidences)).tolist() == [100] * 10


def test_equal_mass_edges_merge_ties_and_leave_no_bin_empty():
    assert stats.equal_mass_edges([0.5] * 8 + [0.9, 0.95], 5) == (0.5,)
    assert stats.equal_mass_edges([1.0] * 8, 5) == ()
    assert stats.equal_mass_edges([0.3], 1) == ()


@pytest.mark.parametrize(("confidences", "bins"), [([], 3), ([1.1], 3), ([math.nan], 3), ([-0.1], 3), ([0.5], 0)])
def test_equal_mass_edges_refuse_what_is_no_confidence(confidences, bins):
    with pytest.raises(StatisticsError):
        stats.equal_mass_edges(confidences, bins)


@pytest.mark.parametrize("function", [stats.ece, stats.debiased_ece, stats.brier_decomposition])
@pytest.mark.parametrize("counts", [([0], [0], [0]), ([2], [3], [1]), ([2], [1], [3]), ([2, 2], [1], [1])])
def test_every_calibration_score_refuses_contradictions(function, counts):
    with pytest.raises(StatisticsError):
        function(*counts)
