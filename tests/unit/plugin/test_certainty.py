"""How sure a classifier is: the probability, the margin between the best two classes, or the entropy, as the baseline was built."""

import json

import numpy as np
import pytest

from otel_ml import Baseline, BaselineError, Monitor, testing

ROWS = np.random.default_rng(0).dirichlet([0.5, 0.5, 0.5], 300)
POSITIVE = np.random.default_rng(1).random(300)
DATA = {"x": np.arange(300.0)}


def build(predictions, **options):
    return Baseline.from_data(DATA, **({"model": "sure", "version": "1", "predictions": predictions} | options))


def bin_of(baseline, answer):
    """The interval in which one row's confidence is counted."""
    monitor = Monitor(baseline)
    monitor.wrap(lambda _: answer)({"x": 1.0})
    found = [label for label, count in testing.collect(monitor).confidences.items() if count]
    return found[0].split(" ", 1)[1] if found else None


@pytest.mark.parametrize(
    ("measure", "answer", "interval"),
    [
        ("probability", [[0.5, 0.4, 0.1]], "(0.466667, 0.533333]"),
        ("margin", [[0.5, 0.42, 0.08]], "(0.0666667, 0.133333]"),
        ("entropy", [[0.5, 0.5, 0.0]], "(0.333333, 0.4]"),
        ("entropy", [[1 / 3, 1 / 3, 1 / 3]], "(-inf, 0.0666667]"),
        ("entropy", [[0.0, 1.0, 0.0]], "(0.933333, inf]"),
    ],
)
def test_probabilities_of_classes_are_measured_as_the_baseline_says(measure, answer, interval):
    assert bin_of(build(ROWS, confidence=measure), answer) == interval


@pytest.mark.parametrize("answer", [[0.3], 0.3, [[0.7, 0.3]]], ids=["one", "a number", "columns"])
@pytest.mark.parametrize(("measure", "interval"), [("margin", "(0.333333, 0.4]"), ("entropy", "(0.0666667, 0.133333]")])
def test_a_binary_model_is_as_sure_of_no_as_of_yes(measure, interval, answer):
    baseline = build(POSITIVE, confidence=measure)
    assert bin_of(baseline, answer) == interval
    assert bin_of(baseline, [0.7]) == interval


def test_a_missing_probability_is_a_missing_confidence():
    monitor = Monitor(build(ROWS, confidence="entropy"))
    monitor.wrap(lambda _: [[0.5, np.nan, 0.5], [0.2, 0.2, 0.6]])([{"x": 1.0}, {"x": 2.0}])
    found = testing.collect(monitor)
    assert (found.confidences["__missing__"], sum(found.confidences.values())) == (1, 2)


def test_calibration_is_of_the_probability_whatever_is_watched():
    labels = (np.random.default_rng(2).random(300) < POSITIVE).astype(int)
    usual, margin = build(POSITIVE, labels=labels), build(POSITIVE, labels=labels, confidence="margin")
    assert margin.calibration == usual.calibration
    assert margin.performance == usual.performance
    assert margin.confidence != usual.confidence


def test_the_measure_is_in_the_file_and_in_its_fingerprint_only_where_it_is_not_the_usual(tmp_path):
    usual, margin = build(ROWS), build(ROWS, confidence="margin")
    assert "confidence_measure" not in usual.to_dict()
    margin.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json") == margin
    assert build(ROWS, confidence="probability").fingerprint == usual.fingerprint != margin.fingerprint
    assert build(ROWS, like=margin).confidence_measure == "margin"
    strange = margin.to_dict() | {"confidence_measure": "mood"}
    (tmp_path / "b.json").write_text(json.dumps(strange))
    with pytest.raises(BaselineError, match="confidence_measure: 'mood' is unknown"):
        Baseline.load(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("predictions", "measure", "fault"),
    [
        (ROWS, "mood", "confidence: 'mood' is unknown"),
        (None, "margin", "confidence: needs predictions"),
        (["a", "b", "c"] * 100, "margin", "confidence: has no margin in these predictions; give a probability of each class"),
        (POSITIVE * 9, "entropy", "confidence: has no entropy in these predictions"),
    ],
)
def test_what_has_no_such_confidence_is_refused(predictions, measure, fault):
    with pytest.raises(BaselineError, match=fault):
        build(predictions, confidence=measure)
