"""Calibration scores from counts equal those computed from raw rows."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
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


@pytest.mark.parametrize(("successes", "samples"), [(0, 1), (1, 1), (0, 50), (8, 10), (500, 1_000), (999, 1_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_interval_is_that_of_scipy(successes, samples, confidence):
    expected = binomtest(successes, samples).proportion_ci(confidence, "wilson")
    result = stats.wilson_interval(successes, samples, confidence=confidence)
    assert result == pytest.approx((successes / samples, expected.low, expected.high), abs=1e-9)
