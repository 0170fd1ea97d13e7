"""From counts to numbers: what is published, what is left out, and when a feature has drifted."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate import describe, evaluate, evaluate_outcomes, judge_of
from otel_ml_exporter.outcomes.store import Joined
from otel_ml_exporter.thresholds import Limits, overridden

LIMITS = Limits()


def value(evaluation, metric, *labels):
    found = [reading.value for reading in evaluation.readings if reading.metric is metric and set(labels) <= set(reading.labels)]
    assert len(found) == 1, (metric.name, labels, found)
    return found[0]


def published(evaluation):
    return {reading.metric for reading in evaluation.readings}


def test_a_window_like_the_baseline_has_not_drifted(baseline, counts):
    evaluation = evaluate(baseline, [counts()], "1h", LIMITS)
    assert value(evaluation, names.DRIFTED_FEATURES_RATIO) == 0
    for feature in baseline.features:
        assert value(evaluation, names.FEATURE_DRIFTED, feature.name) == 0
    assert value(evaluation, names.WINDOW_SAMPLES, "feature") == pytest.approx(1_000)
    assert evaluation.problems == evaluation.strangers == ()


def test_a_shifted_feature_has_drifted_and_only_that(baseline, counts):
    shifted = dict.fromkeys(baseline.feature("age").histogram.labels[:2], 500.0)
    evaluation = evaluate(baseline, [counts(features={**counts().features, "age": shifted})], "1h", LIMITS)
    expected = stats.psi(baseline.feature("age").histogram.counts, [500.0, 500.0, *[0.0] * 10], alpha=0.01 / 3)
    assert value(evaluation, names.FEATURE_PSI, "age") == pytest.approx(expected.value)
    assert value(evaluation, names.FEATURE_PSI_NOISE_FLOOR, "age") == pytest.approx(expected.noise_floor)
    assert value(evaluation, names.FEATURE_DRIFTED, "age") == 1
    assert value(evaluation, names.FEATURE_DRIFTED, "income") == 0
    assert value(evaluation, names.DRIFTED_FEATURES_RATIO) == pytest.approx(1 / 3)


def wobbling(bins, share):
    """Every second interval gets a share more, the others less."""
    return {label: count * (1 + share * (-1) ** index) for index, (label, count) in enumerate(bins.items())}


def test_an_effect_without_significance_is_no_drift(baseline, counts):
    ages = wobbling(counts(samples=60).features["age"], 0.5)
    evaluation = evaluate(baseline, [counts(features={"age": ages})], "1h", Limits(minimum_samples=50))
    psi, floor = (value(evaluation, metric, "age") for metric in (names.FEATURE_PSI, names.FEATURE_PSI_NOISE_FLOOR))
    assert 0.05 < psi < floor
    assert value(evaluation, names.FEATURE_DRIFTED, "age") == 0


def test_significance_without_an_effect_is_no_drift(baseline, counts):
    entry = counts(features={"age": wobbling(counts(samples=1_000_000).features["age"], 0.15)})
    evaluation = evaluate(baseline, [entry], "1h", LIMITS)
    psi, floor = (value(evaluation, metric, "age") for metric in (names.FEATURE_PSI, names.FEATURE_PSI_NOISE_FLOOR))
    assert floor < psi < 0.05
    assert value(evaluation, names.FEATURE_DRIFTED, "age") == 0
    lower = evaluate(baseline, [entry], "1h", Limits(overridden({"feature_psi": 0.01})))
    assert value(lower, names.FEATURE_DRIFTED, "age") == 1


def test_values_outside_the_observed_range_are_drift_even_where_the_bins_cannot_see_them(baseline, counts):
    violated = counts(
        violations={"age": {names.VIOLATION_OUT_OF_RANGE: 40.0, names.VIOLATION_INFINITE: 10.0, names.VIOLATION_MISSING: 900.0}}
    )
    evaluation = evaluate(baseline, [violated], "1h", LIMITS)
    assert value(evaluation, names.FEATURE_OUT_OF_RANGE_RATIO, "age") == pytest.approx(0.05)
    assert value(evaluation, names.FEATURE_DRIFTED, "age") == 1


def test_unseen_categories_are_published_for_categorical_features_only(baseline, counts):
    evaluation = evaluate(baseline, [counts(violations={"airport": {names.VIOLATION_UNSEEN: 100.0}})], "1h", LIMITS)
    assert value(evaluation, names.FEATURE_UNSEEN_RATIO) == pytest.approx(0.1)
    assert value(evaluation, names.FEATURE_DRIFTED, "airport") == 1


def test_under_the_minimum_there_is_a_sample_count_and_no_score(baseline, counts):
    evaluation = evaluate(baseline, [counts(samples=99)], "1h", LIMITS)
    assert published(evaluation) == {names.WINDOW_SAMPLES}
    assert value(evaluation, names.WINDOW_SAMPLES, "prediction") == pytest.approx(99)


def test_without_counts_the_samples_are_zero(baseline):
    evaluation = evaluate(baseline, [], "1h", LIMITS)
    assert [reading.value for reading in evaluation.readings] == [0.0] * 4


def test_counts_of_another_baseline_are_never_compared(baseline, counts):
    evaluation = evaluate(baseline, [counts(baseline_id="0123456789abcdef")], "1h", LIMITS)
    assert evaluation.strangers == ("0123456789abcdef",)
    assert published(evaluation) == {names.WINDOW_SAMPLES}


def test_an_unknown_bin_leaves_its_feature_without_a_score_and_says_so(baseline, counts):
    strange = counts(features={**counts().features, "age": {"99 (1, 2]": 1_000.0}}, confidences={"x": 1_000.0})
    evaluation = evaluate(baseline, [strange], "1h", LIMITS)
    assert {score.feature.name for score in evaluation.scores} == {"income", "airport"}
    assert names.CONFIDENCE_PSI not in published(evaluation)
    assert len(evaluation.problems) == 2
    assert "age" in evaluation.problems[0]


def test_an_unknown_feature_is_a_problem(baseline, counts):
    evaluation = evaluate(baseline, [counts(features={"aeg": {"x": 1.0}})], "1h", LIMITS)
    assert evaluation.problems == ("feature 'aeg' is not in the baseline",)


def test_outputs_have_scores_and_floors(baseline, counts):
    evaluation = evaluate(baseline, [counts(predictions={"0": 10.0, "1": 990.0})], "24h", LIMITS)
    assert value(evaluation, names.PREDICTION_PSI, "24h", "baseline") > 1
    assert value(evaluation, names.CONFIDENCE_PSI) < 0.01
    assert value(evaluation, names.OUTLIER_PSI) < 0.01
    assert 0 < value(evaluation, names.PREDICTION_PSI_NOISE_FLOOR) < 0.1


@given(st.lists(st.floats(0, 1e6), min_size=12, max_size=12))
def test_no_counts_give_a_number_that_is_not_finite(baseline, ages):
    bins = dict(zip(baseline.feature("age").histogram.labels, ages, strict=True))
    entry = ModelCounts("churn", "3", baseline.fingerprint, {"age": bins}, {"age": {"out_of_range": 7.5}}, {}, {}, {})
    evaluation = evaluate(baseline, [entry], "1h", Limits(minimum_samples=1))
    assert all(math.isfinite(reading.value) for reading in evaluation.readings)
    assert evaluation.problems == ()


def test_calibration_needs_enough_outcomes(baseline):
    few = Joined((50.0, 49.0), (10.0, 30.0), (10.0, 30.0), (1.0, 1.0))
    readings = {reading.metric: reading.value for reading in evaluate_outcomes(baseline, few, 0.5, "1h", LIMITS)}
    assert readings == {names.WINDOW_SAMPLES: 99, names.OUTCOME_COVERAGE_RATIO: 0.5}


def test_calibration_is_published_with_its_noise(baseline):
    joined = Joined((100.0, 100.0), (30.0, 80.0), (20.0, 90.0), (21.0, 17.0))
    readings = {reading.metric: reading.value for reading in evaluate_outcomes(baseline, joined, None, "1h", LIMITS)}
    assert readings[names.CALIBRATION_ECE] == pytest.approx(0.1)
    assert readings[names.CALIBRATION_MCE] == pytest.approx(0.1)
    assert readings[names.BRIER_SCORE] == pytest.approx(0.19)
    assert 0 < readings[names.CALIBRATION_ECE_NOISE_FLOOR] < 0.1
    assert names.OUTCOME_COVERAGE_RATIO not in readings


def test_the_positive_class_of_a_binary_model_is_the_last(baseline):
    assert judge_of(baseline).positive == "1"
    assert len(judge_of(baseline).edges) == 14
    assert judge_of(replace(baseline, task="multiclass")).positive is None
    assert judge_of(replace(baseline, calibration=None, confidence=None)) is None


def test_the_baseline_is_published_as_series_that_sum_to_one(baseline):
    shares = {}
    for reading in describe(baseline, LIMITS):
        if reading.metric is names.BASELINE_BIN_RATIO:
            key = reading.labels[3:5]
            shares[key] = shares.get(key, 0.0) + reading.value
    assert len(shares) == 6
    assert all(total == pytest.approx(1) for total in shares.values())


def test_each_threshold_is_one_series_for_each_model(baseline):
    limits = [reading for reading in describe(baseline, LIMITS) if reading.metric is names.THRESHOLD]
    assert len(limits) == 8
    assert ("churn", "3", "input_violations", "critical") in {reading.labels for reading in limits}
