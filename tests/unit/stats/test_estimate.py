"""Estimates of accuracy come near the accuracy where their assumption holds, and equal the baseline's on the baseline."""

import math

import numpy as np
import pytest

from otel_ml import StatisticsError, stats

EDGES = np.arange(1, 15) / 15
ESTIMATES = pytest.mark.parametrize("estimate", [stats.cbpe, stats.atc])


def _binned(scores, weights=None):
    return np.bincount(np.searchsorted(EDGES, scores), weights=weights, minlength=15)


def _binary(rng, rows, a, b):
    """Scores that are overconfident, and truths; the concept is the same for all a and b."""
    score = rng.beta(a, b, rows)
    truth = rng.random(rows) < 0.1 + 0.8 * score
    return score, truth


def _top_label(rng, rows, a, b):
    score = 0.2 + 0.8 * rng.beta(a, b, rows)
    return score, rng.random(rows) < score**1.4


def test_cbpe_of_a_table_worked_by_hand():
    """Below 0.4 right with 0.9, above 0.6 with 0.8, between half with 0.7 and half with 0.3; the empty bin has its centre."""
    arguments = ([100, 50, 100, 0], [10, 35, 80, 0], [10, 20, 30, 40])
    result = stats.cbpe(*arguments, edges=[0.4, 0.6, 0.9])
    assert result.value == pytest.approx(0.1 * 0.9 + 0.2 * 0.5 + 0.3 * 0.8 + 0.4 * 0.95)
    assert result.samples == 100
    top = stats.cbpe(*arguments, edges=[0.4, 0.6, 0.9], binary=False)
    assert top.value == pytest.approx(0.1 * 0.1 + 0.2 * 0.7 + 0.3 * 0.8 + 0.4 * 0.95)


def test_the_bin_that_holds_the_threshold_is_cut_there():
    result = stats.cbpe([100, 100], [20, 80], [0, 10], edges=[0.4], threshold=0.55)
    assert result.value == pytest.approx(0.75 * 0.8 + 0.25 * 0.2)
    assert stats.cbpe([100, 100], [20, 80], [0, 10], edges=[0.4], threshold=1).value == pytest.approx(0.2)
    assert stats.cbpe([100, 100], [20, 80], [10, 0], edges=[0.4], threshold=0).value == pytest.approx(0.2)


@ESTIMATES
@pytest.mark.parametrize("binary", [True, False])
def test_the_baseline_itself_is_estimated_at_its_own_accuracy(estimate, binary):
    score, right = (_binary if binary else _top_label)(np.random.default_rng(1), 4_000, 2, 2)
    counts = _binned(score), _binned(score, right)
    accuracy = ((score > 0.5) == right).mean() if binary else right.mean()
    tolerance = 1e-9 if not binary else 0.01  # the bin around 0.5 is cut
    assert estimate(*counts, counts[0], edges=EDGES, binary=binary).value == pytest.approx(accuracy, abs=tolerance)


@pytest.mark.parametrize("binary", [True, False])
def test_a_window_of_other_inputs_is_estimated_near_its_accuracy(binary):
    """CBPE within its interval; ATC, which knows one threshold only, at least moves the right way."""
    rng, draw = np.random.default_rng(2), _binary if binary else _top_label
    score, truth = draw(rng, 20_000, 2, 2)
    shifted, other_truth = draw(rng, 20_000, 1, 1 if binary else 2)
    before, after = (((s > 0.5) == t).mean() if binary else t.mean() for s, t in ((score, truth), (shifted, other_truth)))
    arguments = _binned(score), _binned(score, truth), _binned(shifted)
    cbpe, atc = (estimate(*arguments, edges=EDGES, binary=binary) for estimate in (stats.cbpe, stats.atc))
    assert abs(after - before) > 0.04
    assert cbpe.low - 0.005 < after < cbpe.high + 0.005
    assert np.sign(atc.value - before) == np.sign(after - before)
    assert abs(atc.value - after) < 0.15


def test_atc_equals_a_threshold_found_on_the_rows_where_bins_are_narrow():
    rng = np.random.default_rng(3)
    score, right = _top_label(rng, 5_000, 2, 2)
    window, _ = _top_label(rng, 5_000, 2, 4)
    edges = np.arange(1, 1_000) / 1_000
    counted = [
        np.bincount(np.searchsorted(edges, s), weights=w, minlength=1_000) for s, w in ((score, None), (score, right), (window, None))
    ]
    threshold = np.quantile(score, 1 - right.mean())
    assert stats.atc(*counted, edges=edges, binary=False).value == pytest.approx((window > threshold).mean(), abs=2e-3)
    folded = [
        np.bincount(np.searchsorted(edges, s), weights=w, minlength=1_000) for s, w in ((score, None), (score, score > 0.5), (window, None))
    ]
    assert stats.atc(*folded, edges=edges).value == pytest.approx(1)  # a binary model that is always right


def test_atc_folds_a_binary_confidence_at_the_threshold():
    """All of the baseline is right at 0.9 and its mirror image 0.1, and wrong half of the time at 0.5 to 0.6."""
    edges = [0.2, 0.4, 0.6, 0.8]
    result = stats.atc([50, 0, 100, 0, 50], [0, 0, 50, 0, 50], [30, 0, 40, 0, 30], edges=edges)
    assert result.value == pytest.approx(0.6 + 0.4 / 2)


@ESTIMATES
def test_the_interval_holds_the_accuracy_of_the_stream(estimate):
    """For CBPE as often as promised; for ATC the estimate of endless samples takes the place of the accuracy."""
    rng = np.random.default_rng(4)
    large, right = _top_label(rng, 400_000, 2, 2)
    window, _ = _top_label(rng, 400_000, 3, 2)
    truth = estimate(_binned(large), _binned(large, right), _binned(window), edges=EDGES, binary=False).value
    held = []
    for _ in range(300):
        score, hit = _top_label(rng, 800, 2, 2)
        result = estimate(_binned(score), _binned(score, hit), _binned(_top_label(rng, 300, 3, 2)[0]), edges=EDGES, binary=False)
        held.append(result.low <= truth <= result.high)
    assert 0.91 < np.mean(held) <= 0.995


@ESTIMATES
def test_the_interval_lies_around_the_estimate_within_zero_and_one_and_shrinks(estimate):
    counts, edges = ([100, 100, 100], [20, 50, 99]), [0.4, 0.7]
    one, some, many = (estimate(*counts, [0, 0, n], edges=edges) for n in (1, 100, 1e6))
    for result in (one, some, many, estimate(*counts, [0.3, 0.2, 0.1], edges=edges)):
        assert 0 <= result.low <= result.value <= result.high <= 1
    assert one.high - one.low > some.high - some.low > many.high - many.low > 0


@ESTIMATES
@pytest.mark.parametrize("accuracy", [0, 1])
def test_a_baseline_that_is_always_right_or_wrong_stays_so(estimate, accuracy):
    result = estimate([50, 50], [50 * accuracy, 50 * accuracy], [5, 5], edges=[0.5], binary=False)
    assert result.value == accuracy


@ESTIMATES
def test_edges_at_the_end_and_bins_of_no_width_are_bins(estimate):
    for binary in (True, False):
        assert 0 <= estimate([5, 5, 5], [1, 2, 5], [3, 3, 3], edges=[0, 0.5], binary=binary).value <= 1
    assert 0 <= estimate([5], [4], [3], edges=[]).value <= 1


@ESTIMATES
@pytest.mark.parametrize(
    "changed",
    [
        {"edges": [0.5, 0.6]},
        {"edges": [1.5]},
        {"edges": [math.nan]},
        {"threshold": 1.1},
        {"confidence": 1},
        {"confidences": [0, 0]},
        {"calibration_positives": [6, 1]},
        {"calibration_outcomes": [5, -1]},
        {"confidences": [1]},
    ],
)
def test_what_does_not_fit_is_refused(estimate, changed):
    whole = {"calibration_outcomes": [5, 5], "calibration_positives": [1, 4], "confidences": [2, 2], "edges": [0.5]}
    with pytest.raises(StatisticsError):
        estimate(**{**whole, **changed})


def test_atc_needs_outcomes_and_cbpe_falls_back_on_the_centre_of_bins():
    with pytest.raises(StatisticsError):
        stats.atc([0, 0], [0, 0], [1, 1], edges=[0.5])
    assert stats.cbpe([0, 0], [0, 0], [1, 1], edges=[0.5]).value == pytest.approx(0.75)
