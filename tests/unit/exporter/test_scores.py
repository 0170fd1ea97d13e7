"""Numbers from cells: what the store counted gives the scores that scikit-learn computes from the rows."""

import time
from dataclasses import replace

import numpy as np
import pytest

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml_exporter.database import Database
from otel_ml_exporter.evaluate import agreement_readings, evaluate_outcomes, labelled, layout_of, total_readings
from otel_ml_exporter.evaluate.truth import cohen_kappa, selection_readings
from otel_ml_exporter.outcomes import cells
from otel_ml_exporter.outcomes.ledger import Known
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.thresholds import Costs, Limits

LIMITS = Limits(minimum_samples=50, minimum_outcomes=50)
ROWS = 2_000
NOW = 1_000_000.0


@pytest.fixture
def store():
    database = Database("sqlite://")
    yield OutcomeStore(database, width=1)
    database.close()


@pytest.fixture
def kept(store, baseline):
    """Pairs of the binary model in the store, and the rows they are of."""
    rng = np.random.default_rng(11)
    score = rng.uniform(0, 1, ROWS)
    truth = (rng.uniform(0, 1, ROWS) < score**2).astype(int)
    store.known = Known({(baseline.model, baseline.version): layout_of(baseline)}, {baseline.model: frozenset({"expert"})})
    predictions = [
        Prediction("churn", "3", str(i), NOW - 100, str(int(p > 0.5)), None, float(p), 1.0, "eu" if i % 4 else "us")
        for i, p in enumerate(score)
    ]
    outcomes = [Outcome("churn", str(i), str(y), NOW, value=10.0 * y - 1) for i, y in enumerate(truth)]
    store.keep(predictions, outcomes)
    return score, (score > 0.5).astype(int), truth


def known(store, baseline, *, delay=0.0, span=60.0):
    key = (baseline.model, baseline.version)
    arrived = store.window(*key, cells.ARRIVAL, NOW - span, NOW)
    cohort = store.window(*key, cells.COHORT, NOW - delay - span, NOW - delay)
    return labelled(baseline, arrived, cohort, store.newest_pairs(*key, NOW - span, NOW))


def published(readings, metric):
    return {reading.labels: reading.value for reading in readings if reading.metric is metric}


def performance(readings, estimate="realized"):
    return {labels[3]: value for labels, value in published(readings, names.PERFORMANCE).items() if labels[4] == estimate}


def test_binary_scores_are_those_of_scikit_learn(store, baseline, kept):
    metrics = pytest.importorskip("sklearn.metrics")
    score, predicted, truth = kept
    readings = evaluate_outcomes(baseline, known(store, baseline), "1h", LIMITS)
    found = performance(readings)
    for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1"):
        reference = getattr(metrics, f"{name}_score")(truth, predicted)
        assert found[name] == pytest.approx(reference, abs=1e-9), name
    (log_loss,) = published(readings, names.LOG_LOSS).values()
    assert log_loss == pytest.approx(metrics.log_loss(truth, score), abs=1e-9)
    (brier,) = published(readings, names.BRIER_SCORE).values()
    assert brier == pytest.approx(metrics.brier_score_loss(truth, score), abs=1e-9)


def test_ece_is_that_of_the_published_definition(store, baseline, kept):
    """Guo et al. (2017), as torchmetrics has it for binary models: per bin |accuracy - confidence| times the share of the bin."""
    score, _, truth = kept
    position = np.ceil(score * 15).astype(int)
    gaps = [abs(truth[position == b].mean() - score[position == b].mean()) * (position == b).mean() for b in np.unique(position)]
    readings = evaluate_outcomes(baseline, known(store, baseline), "1h", LIMITS)
    assert published(readings, names.CALIBRATION_ECE) == {("churn", "3", "1h"): pytest.approx(sum(gaps), abs=1e-9)}
    equal_mass = np.argsort(np.argsort(score, kind="stable")) * 15 // ROWS
    gaps = [abs(truth[equal_mass == b].mean() - score[equal_mass == b].mean()) / 15 for b in range(15)]
    assert published(readings, names.CALIBRATION_ECE_EQUAL_MASS)["churn", "3", "1h"] == pytest.approx(sum(gaps), abs=1e-3)
    assert set(published(readings, names.CALIBRATION_ECE_CLASS)) == {("churn", "3", "1h", "0"), ("churn", "3", "1h", "1")}
    assert published(readings, names.CALIBRATION_ECE_DEBIASED)["churn", "3", "1h"] > 0


def test_scores_of_several_classes_are_those_of_scikit_learn(store, baseline):
    metrics = pytest.importorskip("sklearn.metrics")
    many = replace(baseline, task="multiclass", classes=("a", "b", "c"))
    rng = np.random.default_rng(4)
    truth, predicted = rng.choice(list("abc"), 500), rng.choice(list("abc"), 500, p=[0.6, 0.3, 0.1])
    store.keep(
        [Prediction("churn", "3", str(i), NOW, str(p), None, 0.8, 1.0) for i, p in enumerate(predicted)],
        [Outcome("churn", str(i), str(y), NOW) for i, y in enumerate(truth)],
    )
    found = performance(evaluate_outcomes(many, known(store, many), "1h", LIMITS))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted), abs=1e-9)
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted), abs=1e-9)
    for name in ("precision", "recall", "f1"):
        assert found[name] == pytest.approx(getattr(metrics, f"{name}_score")(truth, predicted, average="macro"), abs=1e-9)


def test_regression_scores_are_those_of_scikit_learn_and_say_where_it_errs(store):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(6)
    predicted = rng.normal(100, 20, ROWS)
    truth = predicted - np.where(predicted > 110, 8, -2) + rng.normal(0, 3, ROWS)
    baseline = Baseline.from_data(predicted[:, None], model="price", version="1", predictions=predicted, task="regression")
    store.known = Known({("price", "1"): layout_of(baseline)})
    store.keep(
        [Prediction("price", "1", str(i), NOW, None, float(p), None, 1.0) for i, p in enumerate(predicted)],
        [Outcome("price", str(i), repr(float(y)), NOW) for i, y in enumerate(truth)],
    )
    readings = evaluate_outcomes(baseline, known(store, baseline), "1h", LIMITS)
    found = performance(readings)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, predicted), abs=1e-9)
    assert found["rmse"] == pytest.approx(np.sqrt(metrics.mean_squared_error(truth, predicted)), abs=1e-9)
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, predicted), abs=1e-9)
    assert found["over"] == pytest.approx((predicted > truth).mean())
    assert found["over"] + found["under"] == pytest.approx(1)
    by_range = list(published(readings, names.RESIDUAL_MEAN).values())
    assert (by_range[0], by_range[-1]) == (pytest.approx(-2, abs=1), pytest.approx(8, abs=1))
    totals = list(total_readings(baseline, store.totals("price", "1")))
    assert sum(published(totals, names.OUTCOME_RESIDUALS).values()) == ROWS
    sizes = sum(published(totals, names.OUTCOME_RESIDUAL_SUM).values())
    assert sizes / ROWS == pytest.approx(found["mae"])


def test_a_cohort_is_judged_when_its_labels_are_due(store, baseline, kept):
    early, due = (evaluate_outcomes(baseline, known(store, baseline, delay=delay), "1h", LIMITS) for delay in (0, 100))
    assert performance(early, "cohort") == {}
    assert performance(due, "cohort") == performance(due)
    assert published(early, names.OUTCOME_COVERAGE_RATIO) == {}
    assert published(due, names.OUTCOME_COVERAGE_RATIO) == {("churn", "3", "1h"): 1}


def test_each_segment_has_scores_of_its_own(store, baseline, kept):
    _, predicted, truth = kept
    right, us = predicted == truth, np.arange(ROWS) % 4 == 0
    readings = evaluate_outcomes(baseline, known(store, baseline), "1h", LIMITS)
    found = published(readings, names.SEGMENT_PERFORMANCE)
    assert found["churn", "3", "1h", "us", "accuracy"] == pytest.approx(right[us].mean())
    ends = [
        published(readings, end)["churn", "3", "1h", "us", "accuracy"]
        for end in (names.SEGMENT_PERFORMANCE_LOW, names.SEGMENT_PERFORMANCE_HIGH)
    ]
    assert ends == pytest.approx(stats.wilson_interval(right[us].sum(), us.sum())[1:3])
    assert found["churn", "3", "1h", "eu", "accuracy"] == pytest.approx(right[~us].mean())
    few = evaluate_outcomes(baseline, known(store, baseline), "1h", replace(LIMITS, minimum_outcomes=600))
    assert {labels[3] for labels in published(few, names.SEGMENT_PERFORMANCE)} == {"eu"}


def test_errors_cost_what_the_configuration_says(store, baseline, kept):
    _, predicted, truth = kept
    limits = replace(LIMITS, costs=Costs(false_positive=1, false_negative=20))
    cost = ((predicted > truth) + 20 * (predicted < truth)).mean()
    assert performance(evaluate_outcomes(baseline, known(store, baseline), "1h", limits))["cost"] == pytest.approx(cost)
    assert "cost" not in performance(evaluate_outcomes(baseline, known(store, baseline), "1h", LIMITS))


def test_confusion_and_values_are_counters(store, baseline, kept):
    _, predicted, truth = kept
    totals = list(total_readings(baseline, store.totals("churn", "3")))
    confusion = {labels[3:]: pairs for labels, pairs in published(totals, names.OUTCOME_CONFUSION).items()}
    assert confusion == {(str(y), str(p)): ((truth == y) & (predicted == p)).sum() for y in (0, 1) for p in (0, 1)}
    values = {labels[2:]: value for labels, value in published(totals, names.OUTCOME_VALUE_SUM).items()}
    assert values["1", "gain"] == 9 * ((predicted == 1) & (truth == 1)).sum()
    assert values["0", "loss"] == ((predicted == 0) & (truth == 0)).sum()
    assert sum(published(totals, names.OUTCOME_VALUES).values()) == ROWS


def test_a_selection_of_labels_is_seen(store, baseline):
    rng = np.random.default_rng(2)
    score = rng.uniform(0, 1, ROWS)

    def found(model, chosen):
        kept = [Prediction(model, "3", str(i), NOW, str(int(p > 0.5)), None, float(p), 1.0) for i, p in enumerate(score)]
        store.keep(kept, [Outcome(model, str(i), "1", NOW) for i in np.flatnonzero(chosen)])
        cohort = store.window(model, "3", cells.COHORT, NOW - 60, NOW)
        psi, floor = (reading.value for reading in selection_readings(replace(baseline, model=model), cohort, "1h", LIMITS))
        return psi, floor

    psi, floor = found("even", rng.uniform(0, 1, ROWS) < 0.3)
    assert psi < floor
    psi, floor = found("certain", score > 0.6)
    assert psi > 2 * floor


def test_labels_are_judged_by_trusted_sources_and_by_each_other(store):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(8)
    expert = rng.integers(0, 2, 400)
    log, anna = np.where(rng.uniform(0, 1, 400) < 0.1, 1 - expert, expert), np.where(rng.uniform(0, 1, 400) < 0.2, 1 - expert, expert)
    for source, labels in (("", log), ("anna", anna), ("expert", expert)):
        store.keep([], [Outcome("churn", str(i), str(y), NOW, source) for i, y in enumerate(labels)])
    found = list(agreement_readings("churn", store.window("churn", "", cells.ARRIVAL, NOW - 60, NOW), "1h", frozenset({"expert"}), 50))
    kappa = published(found, names.LABEL_KAPPA)
    assert kappa["churn", "1h", "log, anna"] == pytest.approx(metrics.cohen_kappa_score(log, anna), abs=1e-9)
    assert kappa["churn", "1h", "anna, expert"] == pytest.approx(metrics.cohen_kappa_score(anna, expert), abs=1e-9)
    assert published(found, names.LABEL_NOISE)["churn", "1h"] == pytest.approx(((log != expert).mean() + (anna != expert).mean()) / 2)


def test_sources_that_always_say_the_same_have_no_kappa():
    assert cohen_kappa({("1", "1"): 10.0}) is None


def test_the_newest_pairs_are_those_of_the_version(store, baseline, kept):
    assert len(store.newest_pairs("churn", "3", NOW - 60, NOW)) == ROWS
    assert store.newest_pairs("churn", "4", NOW - 60, NOW) == []
    assert store.newest_pairs("churn", "3", NOW, time.time()) == []
