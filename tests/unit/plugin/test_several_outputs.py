"""A model with several outputs: each is counted by itself, the first with all that a single one has."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

from otel_ml import Baseline, BaselineError, Monitor, testing
from otel_ml.baseline import Batch

random = np.random.default_rng(0)
DATA = {"area": random.normal(80, 20, 400)}
PRICE = DATA["area"] * 3 + random.normal(0, 10, 400)
SOLD = random.random(400)
KIND = np.array(["flat", "house", "land"])[random.integers(0, 3, 400)]
ANSWERS = {"sold": SOLD, "price": PRICE, "kind": KIND}


@pytest.fixture(scope="module")
def baseline():
    labels = {"sold": (random.random(400) < SOLD).astype(int)}
    return Baseline.from_data(DATA, model="homes", version="1", predictions=ANSWERS, labels=labels, bins=4)


def counted(baseline, answer, rows=2):
    monitor = Monitor(baseline)
    monitor.wrap(lambda _: answer)([{"area": 80.0}] * rows)
    found = testing.collect(monitor)
    assert found.errors == {}
    return found


def test_the_first_output_has_quality_and_the_others_have_bins(baseline):
    assert (baseline.output, baseline.task, baseline.output_names) == ("sold", "binary", ("sold", "price", "kind"))
    assert baseline.calibration is not None
    assert [(output.name, output.task, output.classes) for output in baseline.outputs] == [
        ("price", "regression", ()),
        ("kind", "multiclass", ("flat", "house", "land")),
    ]
    assert {output.histogram.samples for output in baseline.outputs} == {400}


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": ["flat", "sea"], "sold": [0.9, 0.2], "price": [240.0, 1e6]},
        [{"kind": "flat", "sold": 0.9, "price": 240.0}, {"kind": "sea", "sold": 0.2, "price": 1e6}],
        ([0.9, 0.2], [240.0, 1e6], ["flat", "sea"]),
        [np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([[240.0], [1e6]]), np.array(["flat", "sea"])],
        pd.DataFrame({"sold": [0.9, 0.2], "price": [240.0, 1e6], "kind": ["flat", "sea"]}),
        np.array([[0.9, 240.0, "flat"], [0.2, 1e6, "sea"]], dtype=object),
    ],
    ids=["mapping", "rows", "tuple", "arrays", "frame", "table"],
)
def test_each_output_is_counted_in_its_own_bins(baseline, answer):
    found = counted(baseline, answer)
    assert {name: count for name, count in found.predictions.items() if count} == {"0": 1, "1": 1}
    assert sum(found.confidences.values()) == 2
    assert {name: sum(bins.values()) for name, bins in found.outputs.items()} == {"price": 2, "kind": 2}
    assert {name: count for name, count in found.outputs["kind"].items() if count} == {"flat": 1, "__other__": 1}
    assert list(found.outputs["price"].values())[3] == 1


@pytest.mark.parametrize("answer", [{"sold": 0.9, "price": 240.0, "kind": "flat"}, (0.9, 240.0, "flat")], ids=["mapping", "tuple"])
def test_one_row_is_counted_once_for_each_output(baseline, answer):
    found = counted(baseline, answer, rows=1)
    assert found.predictions["1"] == found.outputs["kind"]["flat"] == 1
    assert sum(found.outputs["price"].values()) == 1


@pytest.mark.parametrize("answer", [[0.3, 0.4], {"sold": [0.3, 0.4]}, None], ids=["too few", "one is absent", "nothing"])
def test_an_answer_without_an_output_is_a_counted_fault_and_goes_out(baseline, answer):
    monitor = Monitor(baseline)
    assert monitor.wrap(lambda _: answer)([{"area": 80.0}] * 2) is answer
    found = testing.collect(monitor)
    assert found.rows == 2
    assert sum(found.predictions.values()) == 0
    assert bool(found.errors) == (answer is not None)


def test_what_one_call_answers_does_not_tell_how_another_is_read():
    answers = {"price": PRICE, "sold": SOLD > 0.5}
    monitor = Monitor(Baseline.from_data(DATA, model="homes", version="1", predictions=answers, labels={"price": PRICE}))
    predict = monitor.wrap(lambda rows, sold: (np.zeros(len(rows)), sold))
    for sold in (0.3, 7.0, np.array([0.9]), np.array([1.0, 0.0]), np.array([0.2, 7.0])):  # the last are labels, neither of them known
        predict([{"area": 80.0}] * np.size(sold), sold)
    found = testing.collect(monitor)
    assert found.outputs["sold"] == {"False": 2, "True": 2, "__missing__": 0, "__other__": 3}


def test_segments_split_the_first_output(baseline):
    monitor = Monitor(baseline, segment=lambda _: ["a", "b"], segments=["a", "b"])
    monitor.wrap(lambda _: ([0.9, 0.2], [240.0, 1.0], ["flat", "sea"]))([{"area": 80.0}] * 2)
    found = testing.collect(monitor)
    assert (found.segments["a"], found.segments["b"], sum(found.outputs["price"].values())) == (1, 1, 2)


def test_the_caller_may_reuse_what_was_answered(baseline):
    monitor = Monitor(baseline)
    answer = {"sold": np.array([0.9]), "price": np.array([240.0]), "kind": ["flat"]}
    monitor.wrap(lambda _: answer)([{"area": 80.0}])
    answer["sold"][:] = 0.0
    assert testing.collect(monitor).predictions["1"] == 1


def test_a_regression_and_a_multilabel_model_of_scikit_learn_are_read_as_they_answer():
    rows = np.column_stack([DATA["area"], SOLD])
    truth = np.column_stack([PRICE, PRICE * 2])
    model = LinearRegression().fit(rows, truth)
    prices = dict(zip(["now", "later"], model.predict(rows).T, strict=True))
    baseline = Baseline.from_data(rows, model="prices", version="1", predictions=prices, task="regression", golden=8)
    monitor = Monitor(baseline)
    assert monitor.verify(model.predict).ok
    monitor.wrap(model.predict)(rows)
    assert tuple(testing.collect(monitor).outputs["later"].values()) == baseline.outputs[0].histogram.counts

    labels = np.column_stack([PRICE > 240, SOLD > 0.3]).astype(int)
    tagger = MultiOutputClassifier(LogisticRegression()).fit(rows, labels)
    tags = dict(zip(["dear", "gone"], tagger.predict_proba(rows), strict=True))
    baseline = Baseline.from_data(rows, model="tags", version="1", predictions=tags, predict=tagger.predict_proba)
    monitor = Monitor(baseline)
    monitor.wrap(tagger.predict_proba)(rows)
    found = testing.collect(monitor)
    assert tuple(found.predictions.values()) == baseline.prediction.counts
    assert tuple(found.outputs["gone"].values()) == baseline.outputs[0].histogram.counts


def test_a_file_holds_the_outputs_and_a_model_with_one_has_none(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json") == baseline
    single = Baseline.from_data(DATA, model="homes", version="1", predictions=SOLD)
    assert not {"output", "outputs"} & set(single.to_dict())
    assert "ml.output.observations" not in {metric.name for metric in Monitor(single)._counts.layout.series}
    document = baseline.to_dict()
    document["outputs"]["price"]["task"] = "binary"
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(BaselineError, match=r"outputs\.price\.task: 'binary' is unknown, or not that of the bins"):
        Baseline.load(tmp_path / "b.json")


def test_batches_and_keys_are_counted_alike():
    key = np.arange(400) // 10
    whole = Baseline.from_data(DATA, model="homes", version="1", predictions=ANSWERS, key=key)
    parts = [
        Batch({"area": DATA["area"][at]}, {name: answers[at] for name, answers in ANSWERS.items()}, key=key[at])
        for at in (slice(0, 150), slice(150, None))
    ]
    assert Baseline.from_batches(lambda: parts, model="homes", version="1").fingerprint == whole.fingerprint
    sampled = Baseline.from_batches(lambda: parts, model="homes", version="1", sample=300)
    assert {output.histogram.samples for output in sampled.outputs} == {400}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"predictions": {}}, "predictions: have outputs without a name"),
        ({"predictions": {"a": SOLD, "b": SOLD[:9]}}, "predictions: has 9 entries for 400 rows"),
        ({"predictions": {"a": SOLD}, "labels": {"b": SOLD}}, "labels: are not those of the outputs"),
        ({"predictions": {"a": SOLD}, "labels": SOLD}, "labels: are not those of the outputs"),
        ({"predictions": {"a": SOLD, "b": PRICE}, "task": {"b": "guess"}}, "task: 'guess' is unknown"),
        ({"predictions": {"a": SOLD, "b": PRICE}, "task": {"c": "binary"}}, "task: names 'c'"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(options, fault):
    with pytest.raises(BaselineError, match=fault):
        Baseline.from_data(DATA, model="homes", version="1", **options)
