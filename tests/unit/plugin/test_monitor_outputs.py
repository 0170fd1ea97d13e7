"""What a model answers is counted per class or interval, and its confidence where it shows one."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from otel_ml import Baseline, Monitor, testing

DATA = [[40.0, 1.0], [30.0, 2.0]]


def nonzero(counts):
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(
    ("prediction", "classes", "confidences"),
    [
        (0.3, {"no": 1}, 1),
        (np.float32(0.5), {"yes": 1}, 1),
        (np.array(0.7), {"yes": 1}, 1),
        ([0.1, 0.9], {"no": 1, "yes": 1}, 2),
        ((0.1, 0.9), {"no": 1, "yes": 1}, 2),
        (np.array([0.1, 0.9]), {"no": 1, "yes": 1}, 2),
        (np.array([[0.1], [0.9]]), {"no": 1, "yes": 1}, 2),
        (np.array([[0.9, 0.1], [0.2, 0.8]]), {"no": 1, "yes": 1}, 2),
        ([[0.9, 0.1], [0.2, 0.8]], {"no": 1, "yes": 1}, 2),
        (pd.Series([0.1, 0.9], index=[7, 3]), {"no": 1, "yes": 1}, 2),
        (pd.DataFrame({"no": [0.9], "yes": [0.1]}), {"no": 1}, 1),
        (pl.Series([0.1, None]), {"no": 1, "__missing__": 1}, 2),
        (pa.array([0.1, None]), {"no": 1, "__missing__": 1}, 2),
        ([0.1, None], {"no": 1, "__missing__": 1}, 2),
        ([float("nan")], {"__missing__": 1}, 1),
        ([1.0000001, -0.0000001], {"no": 1, "yes": 1}, 2),
        ([0.2, 1.5, -3.0], {"no": 1, "__other__": 2}, 3),
        ("yes", {"yes": 1}, 0),
        (["yes", "no", "maybe"], {"yes": 1, "no": 1, "__other__": 1}, 0),
        (np.array(["yes", "no"]), {"yes": 1, "no": 1}, 0),
        (pa.array(["yes", None]), {"yes": 1, "__missing__": 1}, 0),
        (pd.Series(["yes", "no"], dtype="category"), {"yes": 1, "no": 1}, 0),
        (["x" * 1_000_000, "yes"], {"yes": 1, "__other__": 1}, 0),
        ({"score": 0.3}, {"no": 1}, 1),
        ([], {}, 0),
        (np.empty((0, 2)), {}, 0),
        (None, {}, 0),
    ],
)
def test_every_form_of_answer_of_a_binary_model(numeric, prediction, classes, confidences, counted):
    found = counted(numeric, DATA, prediction)
    assert nonzero(found.predictions) == classes
    assert sum(found.confidences.values()) == confidences
    assert found.errors == {}


@pytest.mark.parametrize("labels", [[True, False], [1, 0], np.array([1.0, 0.0]), ["True", "False"], [np.True_, np.False_]], ids=repr)
def test_labels_count_alike_however_they_are_written(baseline, labels, counted):
    assert nonzero(counted(baseline, [], labels).predictions) == {"True": 1, "False": 1}


def test_one_strange_answer_does_not_change_how_others_are_read(numeric):
    monitor = Monitor(numeric)
    predict = monitor.wrap(lambda answer: answer)
    for answer in ([0.2], [7.5], [0.9], np.ones((1, 5)), [0.8]):
        predict(answer)
    found = testing.collect(monitor)
    assert nonzero(found.predictions) == {"no": 1, "yes": 2, "__other__": 1}
    assert found.dropped["error"] == 1


@pytest.mark.parametrize(
    ("prediction", "classes"),
    [
        (np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), {"a": 1, "c": 1}),
        (np.array([[np.nan, 0.2, 0.1]]), {"__missing__": 1}),
        ("b", {"b": 1}),
        (["b", "zz", None], {"b": 1, "__missing__": 1, "__other__": 1}),
        (pd.Series(["a", None, "c"], dtype="string"), {"a": 1, "c": 1, "__missing__": 1}),
    ],
)
def test_every_form_of_answer_of_a_multiclass_model(prediction, classes, counted):
    shares = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    baseline = Baseline.from_data({"x": [1, 2, 3]}, model="kinds", version="1", predictions=shares, labels=["a", "b", "c"])
    assert nonzero(counted(baseline, [], prediction).predictions) == classes


def test_scores_that_are_no_probabilities_name_a_class_and_no_confidence(counted):
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], 200)
    found = counted(
        Baseline.from_data(shares, model="species-3", version="1", predictions=shares),
        shares[:2],
        np.array([[5.0, 1, -3], [0.2, 0.5, 0.3]]),
    )
    assert nonzero(found.predictions) == {"0": 1, "1": 1}
    assert (found.confidences["__missing__"], sum(found.confidences.values())) == (1, 2)


def test_several_numbers_for_a_row_are_none_of_a_regression_s(counted):
    amounts = np.linspace(0, 99, 100)
    baseline = Baseline.from_data(amounts.reshape(-1, 1), model="amounts", version="1", predictions=amounts)
    found = counted(baseline, amounts[:2].reshape(-1, 1), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert (sum(found.predictions.values()), found.dropped["error"], found.errors) == (0, 2, {"ValueError": 1})


@pytest.mark.parametrize("prediction", [1.0, 1, [1], np.array([1], "i8"), "1"])
def test_a_model_that_gives_labels_is_not_read_as_one_that_gives_probabilities(prediction, counted):
    baseline = Baseline.from_data({"x": [1, 2]}, model="one-two", version="1", predictions=[1, 2])
    assert nonzero(counted(baseline, [], prediction).predictions) == {"1": 1}


def test_numbers_fall_into_the_baseline_s_intervals(counted):
    values = np.arange(100.0) * 1.5 - 20
    baseline = Baseline.from_data({"x": values}, model="demand", version="1", predictions=values)
    expected = dict(zip(baseline.prediction.labels, baseline.prediction.counts, strict=True))
    for form in (list, np.array, pd.Series, lambda v: np.array(v).reshape(-1, 1), pl.Series):
        assert counted(baseline, [], form(values)).predictions == expected
    assert counted(baseline, [], [None, float("inf"), 1]).predictions["__missing__"] == 1


def test_an_answer_that_is_changed_later_was_counted_as_given(numeric):
    monitor = Monitor(numeric)
    answers = [np.array([0.1, 0.1]), [0.1, 0.1], pd.Series([0.1, 0.1])]
    predict = monitor.wrap(lambda answer: answer)
    for answer in answers:
        predict(answer)
        answer[:] = 0.9 if not isinstance(answer, list) else [0.9, 0.9]
    assert nonzero(testing.collect(monitor).predictions) == {"no": 6}


class Answer(NamedTuple):
    label: str
    score: float


@dataclass
class Said:
    prediction: int
    probability: float


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ((1, 0.9), {"1": 1}),
        ((np.int64(0), np.float32(0.9)), {"0": 1}),
        ([(1, 0.9), (0, 0.8)], {"1": 1, "0": 1}),
        ((np.array([1, 0]), np.array([0.9, 0.8])), {"1": 1, "0": 1}),
        ({"label": 1, "score": 0.9}, {"1": 1}),
        (Said(0, 0.9), {"0": 1}),
        ([Said(0, 0.9), Said(1, 0.7)], {"1": 1, "0": 1}),
        (Answer("1", 0.9), {"1": 1}),
        ({"probability": 0.7}, {"1": 1}),
        ([{"probability": 0.7}, {"probability": 0.1}], {"1": 1, "0": 1}),
        ({"0": 0.2, "1": 0.8}, {"1": 1}),
        ({1: 0.2, 0: 0.8}, {"0": 1}),
        ([{"0": 0.2, "1": 0.8}], {"1": 1}),
        (pd.DataFrame({1: [0.2], 0: [0.8]}), {"0": 1}),
    ],
    ids=repr,
)
def test_labels_with_scores_and_named_probabilities_are_understood(prediction, expected, counted):
    score = np.linspace(0, 1, 200)
    baseline = Baseline.from_data({"a": score}, model="scored", version="1", predictions=score, labels=score > 0.5, classes=[0, 1])
    found = counted(baseline, [{"a": 0.5}] * sum(expected.values()), prediction)
    assert nonzero(found.predictions) == expected
    assert sum(found.confidences.values()) == sum(expected.values())


@pytest.mark.parametrize(
    "prediction", [{"risk": 0.7, "reason": "age"}, ("yes", 0.9, {"more": 1}), object()], ids=["mapping", "tuple", "object"]
)
def test_an_answer_that_means_nothing_is_dropped_and_told_with_the_mend(numeric, prediction, counted, caplog):
    found = counted(numeric, DATA[:1], prediction)
    assert (found.rows, nonzero(found.predictions), found.dropped["unsupported"]) == (1, {}, 1 if not isinstance(prediction, tuple) else 3)
    assert "give output=" in caplog.text


@pytest.mark.parametrize("change", [lambda answer: answer.update(label="no"), lambda answer: answer.clear()], ids=["changed", "emptied"])
def test_an_answer_is_counted_as_it_was_when_it_was_given(numeric, change):
    monitor = Monitor(numeric)
    change(monitor.wrap(lambda _: {"label": "yes", "score": 0.9})(DATA[:1]))
    assert nonzero(testing.collect(monitor).predictions) == {"yes": 1}


def test_nested_answers_may_be_used_again(numeric):
    monitor, buffer = Monitor(numeric), np.array([0.1, 0.9])
    monitor.wrap(lambda _: [buffer])(DATA[:1])
    buffer[:] = 0.9, 0.1
    assert nonzero(testing.collect(monitor).predictions) == {"yes": 1}
