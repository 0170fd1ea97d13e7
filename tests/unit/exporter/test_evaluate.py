"""From counts to numbers: what is published, what is left out, and when a feature has drifted."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate import Labelled, describe, evaluate, evaluate_outcomes, judge_of, total_readings
from otel_ml_exporter.outcomes.cells import Cell, Sums
from otel_ml_exporter.outcomes.readout import Errors, Joined
from otel_ml_exporter.thresholds import GROUPS, FeatureLimits, Limits, overridden

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
    assert evaluation.problems == ()


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


@pytest.mark.parametrize(
    ("effects", "far", "drifted"),
    [
        ({}, 0.0, 1),
        ({"design_effect": 50.0}, 0.0, 1),
        ({"spell_rows": 50.0}, 0.0, 0),
        ({"spell_rows": 50.0}, 20.0, 1),
        ({"spell_rows": 50.0}, 5.0, 0),
        ({"design_effect": 50.0, "key_effect": 50.0}, 20.0, 0),
    ],
)
def test_weather_may_leave_the_range_but_not_by_far_and_rows_of_one_key_are_one_value(baseline, counts, effects, far, drifted):
    """20 of 1,000 values out of range are evidence, unless they are one spell of weather or 20 rows of one user."""
    features = tuple(replace(feature, **effects) if feature.name == "age" else feature for feature in baseline.features)
    known = replace(baseline, features=features)
    violations = {"age": {names.VIOLATION_OUT_OF_RANGE: 20.0, names.VIOLATION_FAR: far}}
    window = replace(counts(violations=violations), baseline_id=known.fingerprint)
    assert value(evaluate(known, [window], "1h", LIMITS), names.FEATURE_DRIFTED, "age") == drifted


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
    readings = {reading.metric: reading.value for reading in evaluate_outcomes(baseline, Labelled(few, coverage=0.5), "1h", LIMITS)}
    assert readings == {names.WINDOW_SAMPLES: 99, names.OUTCOME_COVERAGE_RATIO: 0.5}


def test_calibration_is_published_with_its_noise(baseline):
    joined = Joined((100.0, 100.0), (30.0, 80.0), (20.0, 90.0), (21.0, 17.0))
    readings = {reading.metric: reading.value for reading in evaluate_outcomes(baseline, Labelled(joined), "1h", LIMITS)}
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
    series = [reading.labels for reading in limits]
    assert len(series) == len(set(series))
    assert ("churn", "3", "input_violations", "critical") in series


def test_a_floor_for_the_accuracy_is_published_only_where_somebody_stated_one(baseline):
    def floors(limits):
        return [reading.value for reading in describe(baseline, limits) if reading.labels[2:] == ("performance", "critical")]

    assert floors(LIMITS) == []
    assert floors(replace(LIMITS, thresholds=overridden({"performance": 0.8}))) == [0.8]


def test_the_fullest_bin_of_a_feature_has_its_share(baseline, counts):
    stuck = dict.fromkeys(counts().features["age"], 0.0) | {next(iter(counts().features["age"])): 500.0}
    evaluation = evaluate(baseline, [counts(features={**counts().features, "age": stuck})], "1h", LIMITS)
    assert value(evaluation, names.FEATURE_TOP_BIN_RATIO, "age") == 1.0


def test_a_binary_model_is_sure_of_either_class(baseline, counts):
    low, *_, high = baseline.confidence.labels[:-2]
    sure = {
        label: value(evaluate(baseline, [counts(confidences={label: 500.0})], "1h", LIMITS), names.CONFIDENCE_MEAN) for label in (low, high)
    }
    edges = baseline.confidence.edges
    assert sure == {low: pytest.approx(1 - edges[0] / 2), high: pytest.approx((1 + edges[-1]) / 2)}
    few = evaluate(baseline, [counts(confidences={low: 5.0})], "1h", LIMITS)
    assert not [reading for reading in few.readings if reading.metric is names.CONFIDENCE_MEAN]


def test_the_baseline_says_how_sure_and_how_good_it_was(baseline):
    said = {
        reading.metric: reading for reading in describe(baseline, LIMITS) if reading.labels[-1] == "accuracy" or len(reading.labels) == 3
    }
    assert said[names.BASELINE_PERFORMANCE].value == baseline.performance["accuracy"]
    assert 0.5 <= said[names.BASELINE_CONFIDENCE_MEAN].value <= 1


def test_a_small_margin_is_no_confidence_in_the_other_class(baseline, counts):
    margin = replace(baseline, confidence_measure="margin")
    lowest = counts(confidences={baseline.confidence.labels[0]: 500.0}, baseline_id=margin.fingerprint)
    assert value(evaluate(margin, [lowest], "1h", LIMITS), names.CONFIDENCE_MEAN) == pytest.approx(1 / 30)


def test_distances_are_those_of_stats(baseline, counts):
    ages = wobbling(counts().features["age"], 0.5)
    evaluation = evaluate(baseline, [counts(features={**counts().features, "age": ages})], "1h", LIMITS)
    age = baseline.feature("age")
    expected, actual = list(age.histogram.counts), [ages[label] for label in age.histogram.labels]
    inner = expected[:-2], actual[:-2]
    span = {"edges": age.histogram.edges, "minimum": age.minimum, "maximum": age.maximum, "std": age.std}
    assert value(evaluation, names.FEATURE_JS_DISTANCE, "age") == pytest.approx(stats.js_distance(expected, actual).value)
    assert value(evaluation, names.FEATURE_KS, "age") == pytest.approx(stats.ks(*inner).value)
    assert value(evaluation, names.FEATURE_WASSERSTEIN, "age") == pytest.approx(stats.wasserstein(*inner, **span).value)


def test_categories_have_no_order_and_so_no_distance_that_needs_one(baseline, counts):
    evaluation = evaluate(baseline, [counts()], "1h", LIMITS)
    of_airport = {reading.metric for reading in evaluation.readings if "airport" in reading.labels}
    assert names.FEATURE_JS_DISTANCE in of_airport
    assert not {names.FEATURE_KS, names.FEATURE_WASSERSTEIN} & of_airport


def test_a_feature_that_went_missing_has_a_psi_and_no_distance_of_the_few_values_left(baseline, counts):
    ages = {names.MISSING: 950.0, baseline.feature("age").histogram.labels[0]: 50.0}
    evaluation = evaluate(baseline, [counts(features={"age": ages})], "1h", LIMITS)
    assert value(evaluation, names.FEATURE_PSI, "age") > 1
    assert not {names.FEATURE_KS, names.FEATURE_WASSERSTEIN} & published(evaluation)


def test_p_values_are_adjusted_over_the_features(baseline, counts):
    features = {name: wobbling(bins, share) for (name, bins), share in zip(counts().features.items(), (0.2, 0.05, 0.0), strict=True)}
    evaluation = evaluate(baseline, [counts(features=features)], "1h", LIMITS)
    raw = [
        stats.chi_square(feature.histogram.counts, [features[feature.name].get(label, 0.0) for label in feature.histogram.labels]).p_value
        for feature in baseline.features
    ]
    found = [value(evaluation, names.FEATURE_DRIFT_PVALUE, feature.name) for feature in baseline.features]
    assert found == pytest.approx(stats.benjamini_hochberg(raw).tolist())


def test_features_that_move_together_are_evidence_for_each_other(baseline, counts):
    """Each alone stays below the noise floor of three features; that both moved is no chance."""
    small = counts(samples=150).features
    features = {name: wobbling(small[name], 0.43) for name in ("age", "income")}
    evaluation = evaluate(baseline, [counts(features=features)], "1h", LIMITS)
    assert [value(evaluation, names.FEATURE_DRIFTED, name) for name in features] == [0, 0]
    assert value(evaluation, names.DRIFTED_FEATURES_RATIO) == 1


def test_a_feature_may_have_a_limit_of_its_own(baseline, counts):
    entry = counts(features={**counts().features, "age": wobbling(counts().features["age"], 0.4)})
    assert value(evaluate(baseline, [entry], "1h", LIMITS), names.FEATURE_DRIFTED, "age") == 1
    patient = replace(LIMITS, features={"age": FeatureLimits(psi=1.0)})
    evaluation = evaluate(baseline, [entry], "1h", patient)
    assert value(evaluation, names.FEATURE_DRIFTED, "age") == value(evaluation, names.DRIFTED_FEATURES_RATIO) == 0


def test_an_ignored_feature_is_published_and_neither_drifts_nor_counts(baseline, counts):
    shifted = {baseline.feature("age").histogram.labels[0]: 1_000.0}
    entry = counts(features={**counts().features, "age": shifted}, violations={"age": {names.VIOLATION_OUT_OF_RANGE: 500.0}})
    evaluation = evaluate(baseline, [entry], "1h", replace(LIMITS, features={"age": FeatureLimits(ignore=True)}))
    assert value(evaluation, names.FEATURE_PSI, "age") > 1
    assert value(evaluation, names.FEATURE_DRIFTED, "age") == value(evaluation, names.DRIFTED_FEATURES_RATIO) == 0
    everything = replace(LIMITS, features=dict.fromkeys(("age", "income", "airport"), FeatureLimits(ignore=True)))
    assert names.DRIFTED_FEATURES_RATIO not in published(evaluate(baseline, [entry], "1h", everything))


def with_feature(baseline, name, **fields):
    features = tuple(replace(feature, **fields) if feature.name == name else feature for feature in baseline.features)
    changed = replace(baseline, features=features)
    return changed, changed.fingerprint


def test_impact_is_importance_times_psi_where_importance_is_known(baseline, counts):
    weighed, fingerprint = with_feature(baseline, "age", importance=0.25)
    entry = counts(baseline_id=fingerprint, features={**counts().features, "age": wobbling(counts().features["age"], 0.5)})
    evaluation = evaluate(weighed, [entry], "1h", LIMITS)
    assert value(evaluation, names.FEATURE_IMPACT) == pytest.approx(0.25 * value(evaluation, names.FEATURE_PSI, "age"))


def test_dependent_rows_raise_the_noise_floor_and_the_p_value(baseline, counts):
    dependent, fingerprint = with_feature(baseline, "age", design_effect=5.0)
    features = {"age": wobbling(counts().features["age"], 0.3)}
    alone = evaluate(baseline, [counts(features=features)], "1h", LIMITS)
    together = evaluate(dependent, [counts(features=features, baseline_id=fingerprint)], "1h", LIMITS)
    floors = [value(evaluation, names.FEATURE_PSI_NOISE_FLOOR, "age") for evaluation in (alone, together)]
    assert floors[1] == pytest.approx(5 * floors[0])
    assert value(alone, names.FEATURE_DRIFT_PVALUE, "age") < 0.01 < value(together, names.FEATURE_DRIFT_PVALUE, "age")


def test_dependent_predictions_raise_their_noise_floor(baseline, counts):
    dependent = replace(baseline, prediction_design_effect=3.0)
    alone = evaluate(baseline, [counts()], "1h", LIMITS)
    together = evaluate(dependent, [counts(baseline_id=dependent.fingerprint)], "1h", LIMITS)
    floor = names.PREDICTION_PSI_NOISE_FLOOR
    assert value(together, floor) == pytest.approx(3 * value(alone, floor))


def of_reference(evaluation, reference):
    return {(r.metric, r.labels[2]): r.value for r in evaluation.readings if reference in r.labels}


def test_a_window_like_the_one_of_a_week_ago_has_not_drifted_since_however_far_the_baseline_is(baseline, counts):
    shifted = {**counts().features, "age": {baseline.feature("age").histogram.labels[0]: 1_000.0}}
    week = counts(features=shifted, predictions={"0": 10.0, "1": 990.0})
    evaluation = evaluate(baseline, [week], "1h", LIMITS, previous=[week])
    since = of_reference(evaluation, "previous")
    assert of_reference(evaluation, "baseline")[names.FEATURE_DRIFTED, "age"] == 1
    assert since[names.FEATURE_PSI, "age"] == since[names.FEATURE_DRIFTED, "age"] == 0
    assert since[names.DRIFTED_FEATURES_RATIO, "1h"] == since[names.PREDICTION_PSI, "1h"] == 0
    floor = stats.psi([1.0] * 12, [1.0] * 12, alpha=0.01 / 3).noise_floor * 12 / 2 * (1 / 1_000 + 1 / 1_000)
    assert since[names.FEATURE_PSI_NOISE_FLOOR, "age"] == pytest.approx(floor)


def test_a_change_since_a_week_ago_is_drift_against_that_reference(baseline, counts):
    shifted = {**counts().features, "age": {baseline.feature("age").histogram.labels[0]: 1_000.0}}
    since = of_reference(evaluate(baseline, [counts()], "1h", LIMITS, previous=[counts(features=shifted)]), "previous")
    assert since[names.FEATURE_DRIFTED, "age"] == 1
    assert since[names.FEATURE_DRIFTED, "income"] == 0


@pytest.mark.parametrize("fields", [{"samples": 99}, {"baseline_id": "0123456789abcdef"}])
def test_too_few_samples_or_another_baseline_a_week_ago_give_no_score_against_it(baseline, counts, fields):
    evaluation = evaluate(baseline, [counts()], "1h", LIMITS, previous=[counts(**fields)])
    assert of_reference(evaluation, "previous") == {}
    assert evaluation.problems == ()


def performance(readings):
    known = (names.PERFORMANCE, names.PERFORMANCE_LOW, names.PERFORMANCE_HIGH)
    return {(*reading.labels[3:], reading.metric.name.rpartition(".")[2]): reading.value for reading in readings if reading.metric in known}


def test_the_accuracy_is_estimated_without_labels_and_under_its_own_name(baseline, counts):
    """A window like the baseline is estimated to be as good as the baseline was."""
    found = performance(evaluate(baseline, [counts()], "1h", LIMITS).readings)
    assert {labels[:2] for labels in found} == {("accuracy", "cbpe"), ("accuracy", "atc")}
    for estimate in ("cbpe", "atc"):
        low, middle, high = (found["accuracy", estimate, end] for end in ("low", "performance", "high"))
        assert middle == pytest.approx(baseline.performance["accuracy"], abs=0.02)
        assert low < middle < high


@pytest.mark.parametrize("change", [{"calibration": None}, {"confidence": None}, {"confidence_measure": "margin"}])
def test_an_estimate_needs_the_baseline_to_know_calibration(baseline, counts, change):
    without = replace(baseline, **change)
    assert performance(evaluate(without, [counts(baseline_id=without.fingerprint)], "1h", LIMITS).readings) == {}


def test_an_estimate_needs_enough_confidences_and_enough_labels_in_the_baseline(baseline, counts):
    assert performance(evaluate(baseline, [counts(confidences={})], "1h", LIMITS).readings) == {}
    assert performance(evaluate(baseline, [counts()], "1h", replace(LIMITS, minimum_outcomes=5_000)).readings) == {}


def test_measured_performance_has_intervals(baseline):
    confusion = {("0", "0"): 50.0, ("0", "1"): 10.0, ("1", "0"): 5.0, ("1", "1"): 35.0}
    readings = evaluate_outcomes(baseline, Labelled(confusion=confusion), "1h", LIMITS)
    found = performance(readings)
    assert found["accuracy", "realized", "performance"] == 0.85
    assert found["precision", "realized", "performance"] == pytest.approx(35 / 45)
    assert found["recall", "realized", "performance"] == pytest.approx(35 / 40)
    assert found["f1", "realized", "performance"] == pytest.approx(70 / 85)
    assert found["precision", "realized", "low"] == pytest.approx(stats.wilson_interval(35, 45).low)
    assert found["f1", "realized", "low"] == pytest.approx(stats.f1_interval(35, 15).low)
    assert found["balanced_accuracy", "realized", "low"] == pytest.approx(stats.mean_share_interval([50, 35], [60, 40]).low)
    assert [reading.value for reading in readings if "performance" in reading.labels] == [100]


def test_precision_is_absent_where_nothing_was_predicted_positive(baseline):
    found = performance(evaluate_outcomes(baseline, Labelled(confusion={("0", "0"): 100.0, ("1", "0"): 5.0}), "1h", LIMITS))
    assert {labels[0] for labels in found} == {"accuracy", "balanced_accuracy", "recall", "f1"}


def test_many_classes_have_accuracy_and_its_mean_over_classes(baseline):
    many = replace(baseline, task="multiclass", classes=("a", "b", "c"))
    confusion = {("a", "a"): 90.0, ("b", "c"): 5.0, ("c", "c"): 5.0}
    found = performance(evaluate_outcomes(many, Labelled(confusion=confusion), "1h", LIMITS))
    assert found["accuracy", "realized", "performance"] == 0.95
    assert found["balanced_accuracy", "realized", "performance"] == pytest.approx(2 / 3)


def test_a_regression_has_errors_with_intervals():
    rows = np.random.default_rng(1).normal(size=(500, 1))
    numbers = Baseline.from_data(rows, model="price", version="1", predictions=rows[:, 0], task="regression")
    error = np.random.default_rng(2).normal(0.5, 1, 400)
    sums = Errors(400.0, error.sum(), np.abs(error).sum(), (error**2).sum(), 0.0, 400.0)
    found = performance(evaluate_outcomes(numbers, Labelled(errors=sums), "1h", LIMITS))
    assert found["bias", "realized", "performance"] == pytest.approx(error.mean())
    assert found["mae", "realized", "performance"] == pytest.approx(np.abs(error).mean())
    assert found["rmse", "realized", "performance"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["bias", "realized", "low"] < 0.5 < found["bias", "realized", "high"]
    few = Errors(1.0, 2.0, 2.0, 4.0, 0.0, 0.0)
    alone = performance(evaluate_outcomes(numbers, Labelled(errors=few), "1h", Limits(minimum_outcomes=1)))
    assert {labels[0] for labels in alone if labels[2] == "low"} == {"over", "under"}


def test_under_the_minimum_of_outcomes_there_is_a_sample_count_and_no_performance(baseline):
    readings = evaluate_outcomes(baseline, Labelled(confusion={("1", "1"): 99.0}), "1h", LIMITS)
    assert {reading.metric for reading in readings} == {names.WINDOW_SAMPLES}


def test_delays_are_published_by_quantile(baseline):
    readings = evaluate_outcomes(baseline, Labelled(delays={"0.5": 60.0, "0.9": 600.0}), "1h", LIMITS)
    assert {reading.labels[3]: reading.value for reading in readings} == {"0.5": 60.0, "0.9": 600.0}


def test_groups_of_metrics_can_be_switched_off(baseline, counts):
    def found(off):
        limits = replace(LIMITS, off=frozenset(off))
        joined = Joined((100.0, 100.0), (30.0, 80.0), (20.0, 90.0), (21.0, 17.0))
        known = Labelled(joined, {("1", "1"): 200.0}, coverage=0.5, delays={"0.5": 1.0})
        labelled = evaluate_outcomes(baseline, known, "1h", limits)
        return {*evaluate(baseline, [counts()], "1h", limits).readings, *labelled, *describe(baseline, limits)}

    assert all(found([]) - found([group]) for group in GROUPS)
    assert {reading.metric.name for reading in found(GROUPS)} == {
        "ml.feature.psi",
        "ml.feature.psi.noise_floor",
        "ml.feature.drifted",
        "ml.feature.top_bin.ratio",
        "ml.feature.missing.ratio",
        "ml.feature.unseen.ratio",
        "ml.feature.out_of_range.ratio",
        "ml.drifted_features.ratio",
        "ml.window.samples",
        "ml.baseline.info",
        "ml.baseline.created_timestamp",
        "ml.threshold",
    }


def test_the_baseline_says_how_large_and_how_well_calibrated_it_is(baseline):
    readings = describe(baseline, LIMITS)
    samples = {reading.labels[3:]: reading.value for reading in readings if reading.metric is names.BASELINE_SAMPLES}
    assert samples["feature", "age"] == samples["prediction", ""] == samples["calibration", ""] == 2_000
    ratios = {reading.labels[3]: reading.value for reading in readings if reading.metric is names.BASELINE_CALIBRATION_RATIO}
    assert list(ratios) == list(baseline.confidence.labels[:-2])
    assert ratios[baseline.confidence.labels[3]] == baseline.calibration.positives[3] / baseline.calibration.outcomes[3]


def test_a_bin_of_the_baseline_without_outcomes_has_no_ratio(baseline):
    known = replace(
        baseline.calibration, outcomes=(0, *baseline.calibration.outcomes[1:]), positives=(0, *baseline.calibration.positives[1:])
    )
    readings = describe(replace(baseline, calibration=known), LIMITS)
    assert sum(reading.metric is names.BASELINE_CALIBRATION_RATIO for reading in readings) == 14


def test_totals_are_counters_in_the_bins_of_the_confidence(baseline):
    totals = {Cell("pair", "", "1", label, 14): Sums(pairs, pairs, pairs, pairs * 0.975) for label, pairs in (("1", 3.0), ("0", 1.0))}
    readings = list(total_readings(baseline, totals))
    assert {reading.labels[:3] for reading in readings} == {("churn", "3", baseline.fingerprint)}
    last = {reading.metric: reading.value for reading in readings if reading.labels[3] == baseline.confidence.labels[14]}
    assert last == {names.OUTCOME_PAIRS: 4.0, names.OUTCOME_POSITIVES: 3.0, names.OUTCOME_CONFIDENCE_SUM: 3.9}
    assert all(metric.instrument == "counter" for metric in last)
    assert len(readings) == 45 + 4


def shares(evaluation, metric=names.ESTIMATED_LABEL_RATIO):
    return {reading.labels[-1]: reading.value for reading in evaluation.readings if reading.metric is metric}


def test_the_shares_of_true_classes_are_estimated_from_predictions(baseline, counts):
    """Classes that are predicted as often as in the baseline are there as often; the intervals hold them."""
    truths = np.array(baseline.confusion).sum(axis=1) / np.sum(baseline.confusion)
    predictions = dict(zip(baseline.classes, np.array(baseline.confusion).sum(axis=0).tolist(), strict=True))
    as_before = evaluate(baseline, [counts(predictions=predictions)], "1h", LIMITS)
    assert list(shares(as_before).values()) == pytest.approx(truths.tolist())
    shifted = evaluate(baseline, [counts(predictions={"0": 700.0, "1": 300.0, names.MISSING: 9.0})], "1h", LIMITS)
    low, high = (shares(shifted, metric) for metric in (names.ESTIMATED_LABEL_RATIO_LOW, names.ESTIMATED_LABEL_RATIO_HIGH))
    assert shares(shifted)["0"] > truths[0] + 0.1
    assert all(0 <= low[name] < share < high[name] <= 1 for name, share in shares(shifted).items())


@pytest.mark.parametrize("predictions", [{"0": 50.0, "1": 40.0}, {"0": 500.0, "1": 500.0, names.OTHER: 1.0}])
def test_no_share_is_estimated_from_few_predictions_or_unknown_classes(baseline, counts, predictions):
    assert shares(evaluate(baseline, [counts(predictions=predictions)], "1h", LIMITS)) == {}


def test_no_share_is_estimated_for_a_model_that_hardly_tells_its_classes(baseline, counts):
    guessing = replace(baseline, confusion=((500, 500), (499, 501)))
    assert shares(evaluate(guessing, [counts(baseline_id=guessing.fingerprint)], "1h", LIMITS)) == {}
    assert shares(evaluate(baseline, [counts()], "1h", replace(LIMITS, off=frozenset({"estimates"})))) == {}
