"""A model that answers with logits: probabilities are their softmax, and the energy of each row is counted beside them."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from otel_ml import Abstain, Baseline, BaselineError, ConfigurationError, Monitor, stats, testing


@pytest.fixture(scope="module")
def digits():
    """A model that knows the digits 0 to 7, held-out rows of these, and rows of the digits 8 and 9."""
    pixels, labels = load_digits(return_X_y=True)
    known = labels < 8
    model = LogisticRegression(max_iter=500).fit(pixels[known][:700] / 16, labels[known][:700])
    return model, pixels[known][700:] / 16, labels[known][700:], pixels[~known] / 16


@pytest.fixture(scope="module")
def baseline(digits):
    model, rows, labels, _ = digits
    return Baseline.from_data(
        rows, model="digits", version="1", predictions=model.decision_function(rows), labels=labels, logits=True, golden=8
    )


def collected(baseline, answer, data):
    monitor = Monitor(baseline)
    monitor.wrap(lambda _: answer)(data)
    found = testing.collect(monitor)
    assert (found.errors, found.dropped["error"]) == ({}, 0)
    return found


def test_everything_but_the_energy_is_as_of_the_probabilities(digits, baseline):
    model, rows, labels, _ = digits
    usual = Baseline.from_data(rows, model="digits", version="2", predictions=model.predict_proba(rows), labels=labels)
    for part in ("task", "classes", "prediction", "confidence", "confusion"):
        assert getattr(baseline, part) == getattr(usual, part), part
    assert baseline.calibration.confidence == pytest.approx(usual.calibration.confidence)
    assert (baseline.logits, usual.logits) == (True, False)
    logits = model.decision_function(rows)
    assert collected(baseline, logits, rows).confidences == collected(usual, model.predict_proba(rows), rows).confidences


def test_digits_that_the_model_never_saw_have_more_energy(digits, baseline):
    model, rows, _, unseen = digits
    assert baseline.energy.edges == pytest.approx(np.quantile(stats.energy(model.decision_function(rows)), [0.5, 0.9, 0.99, 0.999]))
    usual = collected(baseline, model.decision_function(rows), rows).energies
    strange = collected(baseline, model.decision_function(unseen), unseen).energies
    assert tuple(usual.values()) == baseline.energy.counts
    beyond = {name: sum(list(found.values())[2:5]) / sum(found.values()) for name, found in (("usual", usual), ("strange", strange))}
    assert beyond["usual"] < 0.11
    assert beyond["strange"] > 0.5


FORMS = {
    "a flat row": lambda row: row,
    "a list": lambda row: row.tolist(),
    "a row of float32": lambda row: row[None].astype("f4"),
    "an object": lambda row: SimpleNamespace(logits=row[None]),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_logits_of_one_row_are_read_in_every_form(digits, baseline, form):
    model, rows, _, _ = digits
    logits = model.decision_function(rows[:1])[0]
    found = collected(baseline, form(logits), rows[:1])
    place = int(np.searchsorted(baseline.energy.edges, stats.energy([logits])[0]))
    assert list(found.energies.values())[place] == sum(found.energies.values()) == 1
    assert found.predictions[str(model.predict(rows[:1])[0])] == 1


def test_labels_and_what_is_missing_have_no_energy(baseline, digits):
    rows = digits[1][:2]
    found = collected(baseline, [3, 4], rows)
    assert (found.predictions["3"], sum(found.energies.values())) == (1, 0)
    found = collected(baseline, np.full((2, 8), np.nan), rows)
    assert found.energies["__missing__"] == found.predictions["__missing__"] == found.confidences["__missing__"] == 2


def test_one_logit_of_a_binary_model_is_that_of_the_positive_class():
    data, labels = load_breast_cancer(return_X_y=True)
    data = StandardScaler().fit_transform(data)
    model = LogisticRegression().fit(data, labels)
    logit, probability = model.decision_function(data), model.predict_proba(data)[:, 1]
    for answer in (logit, logit[:, None], np.column_stack([-logit / 2, logit / 2])):
        baseline = Baseline.from_data(data, model="cells", version="1", predictions=answer, labels=labels, logits=True)
        usual = Baseline.from_data(data, model="cells", version="2", predictions=probability, labels=labels)
        assert (baseline.task, baseline.confidence, baseline.prediction) == ("binary", usual.confidence, usual.prediction)
        found = collected(baseline, answer, data)
        assert tuple(found.confidences.values()) == baseline.confidence.counts
        assert tuple(found.energies.values()) == baseline.energy.counts
    assert sum(collected(baseline, 12.5, data[:1]).energies.values()) == 1


def test_energies_are_saved_verified_and_withheld(digits, baseline, tmp_path):
    model, rows, _, unseen = digits
    baseline.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json") == baseline
    limit = baseline.energy.edges[-1]
    monitor = Monitor(baseline, abstain=Abstain(energy_above=limit), fallback=np.nan)
    assert monitor.verify(lambda data: SimpleNamespace(logits=model.decision_function(data))).ok
    assert not monitor.verify(model.predict_proba).ok
    answer = monitor.wrap(model.decision_function)(unseen)
    assert np.isnan(answer).all(axis=1).tolist() == (stats.energy(model.decision_function(unseen)) > limit).tolist()
    assert np.isnan(answer).any()
    assert not np.isnan(monitor.wrap(model.decision_function)(rows[:50])).any()
    with pytest.raises(ConfigurationError, match="abstain: needs energies"):
        Monitor(Baseline.from_data(rows, model="m", version="1"), abstain=Abstain(energy_above=0.0))


@pytest.mark.parametrize(
    ("predictions", "options", "message"),
    [
        (np.array([[0.2, 0.8], [0.5, 0.5]]), {}, "logits: are probabilities"),
        (["a", "b"], {}, "logits: are not in the predictions"),
        (np.array([1.5, 2.5]), {"task": "regression"}, "logits: are not in the predictions"),
        (None, {}, "logits: are not in the predictions"),
    ],
    ids=["probabilities", "labels", "regression", "none"],
)
def test_what_cannot_be_logits_is_refused(predictions, options, message):
    with pytest.raises(BaselineError, match=message):
        Baseline.from_data({"x": [1.0, 2.0]}, model="m", version="1", predictions=predictions, logits=True, **options)


def test_importance_by_permutation_understands_logits(digits):
    model, rows, labels, _ = digits
    found = Baseline.from_data(
        rows, model="m", version="1", predictions=model.decision_function(rows), labels=labels, predict=model.decision_function, logits=True
    )
    assert sum(feature.importance for feature in found.features) == pytest.approx(1)


def test_of_several_outputs_the_first_may_be_logits():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 3))
    answers = {"kind": logits, "price": rng.normal(size=300)}
    baseline = Baseline.from_data({"x": rng.normal(size=300)}, model="m", version="1", predictions=answers, logits=True)
    found = collected(baseline, answers, {"x": rng.normal(size=300)})
    assert tuple(found.energies.values()) == baseline.energy.counts
    assert sum(found.outputs["price"].values()) == 300
