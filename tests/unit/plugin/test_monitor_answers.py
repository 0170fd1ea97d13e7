"""What frameworks answer is read as what it says: labels with scores, logits, and what a function of the user's makes of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from otel_ml import Baseline, Monitor, testing

ROWS = [[40.0, 1.0], [30.0, 2.0]]


def nonzero(counts):
    return {name: count for name, count in counts.items() if count}


@pytest.fixture(scope="module")
def kinds():
    """A multiclass model of a, b and c that gives probabilities."""
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], 300)
    return Baseline.from_data({"x": range(300)}, model="kinds", version="1", predictions=shares, labels=list("abc") * 100)


@pytest.mark.parametrize(
    "answer",
    [
        [("no", 0.9), ("yes", 0.7)],
        [{"label": "no", "score": 0.9}, {"label": "yes", "score": 0.7}],
        [[{"label": "no", "score": 0.9}, {"label": "yes", "score": 0.1}], [{"label": "no", "score": 0.3}, {"label": "yes", "score": 0.7}]],
        (("no", "yes"), np.array([0.9, 0.7])),
        (["no", "yes"], [0.9, 0.7]),
        SimpleNamespace(logits=np.log([[0.9, 0.1], [0.3, 0.7]])),
        np.array([[0.9, 0.1], [0.3, 0.7]]),
    ],
    ids=["tuples", "dicts", "all classes", "labels and scores", "lists", "logits", "probabilities"],
)
def test_labels_with_scores_and_logits_are_probabilities(numeric, answer, counted):
    found, expected = counted(numeric, ROWS, answer), counted(numeric, ROWS, [0.1, 0.7])
    assert (found.predictions, found.errors) == (expected.predictions, {})
    assert found.confidences == expected.confidences


@pytest.mark.parametrize("answer", [("b", 0.6), {"label": "b", "score": 0.6}, [("b", 0.6)]])
def test_one_label_with_its_score_is_one_answer(kinds, answer, counted):
    found = counted(kinds, [3], answer)
    assert nonzero(found.predictions) == {"b": 1}
    assert sum(found.confidences.values()) == 1


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, lambda values: np.array(values, "f4"), lambda values: pytest.importorskip("torch").tensor(values)]
)
def test_a_flat_vector_of_probabilities_for_one_row_is_one_answer(kinds, numeric, form, counted):
    assert nonzero(counted(kinds, [3], form([0.2, 0.5, 0.3])).predictions) == {"b": 1}
    assert nonzero(counted(numeric, ROWS[:1], form([0.2, 0.8])).predictions) == {"yes": 1}
    assert nonzero(counted(numeric, ROWS, form([0.2, 0.8])).predictions) == {"no": 1, "yes": 1}


def test_tensors_with_a_gradient_are_read(numeric, counted):
    torch = pytest.importorskip("torch")
    answer = torch.tensor([0.1, 0.7], requires_grad=True)
    assert nonzero(counted(numeric, ROWS, answer).predictions) == {"no": 1, "yes": 1}


def test_a_function_says_what_the_answer_is(numeric):
    monitor = Monitor(numeric, output=lambda answer: [entry["p"] for entry in answer["items"]])
    answer = {"items": [{"p": 0.1}, {"p": 0.7}]}
    assert monitor.wrap(lambda _: answer)(ROWS) is answer
    assert nonzero(testing.collect(monitor).predictions) == {"no": 1, "yes": 1}
    broken = Monitor(numeric, output=lambda _: 1 / 0)
    assert broken.wrap(lambda _: answer)(ROWS) is answer
    found = testing.collect(broken)
    assert (found.rows, found.errors) == (2, {"ZeroDivisionError": 1})


def test_a_baseline_is_built_from_labels_with_scores(counted):
    random = np.random.default_rng(0)
    answers = [
        {"label": str(label), "score": float(score)}
        for label, score in zip(random.choice(["ham", "spam"], 300), random.uniform(0.5, 1, 300), strict=True)
    ]
    baseline = Baseline.from_data(
        {"x": range(300)}, model="mail", version="1", predictions=answers, labels=[answer["label"] for answer in answers]
    )
    assert (baseline.task, baseline.classes) == ("binary", ("ham", "spam"))
    assert baseline.performance["accuracy"] == 1
    found = counted(baseline, {"x": list(range(300))}, answers)
    assert found.predictions == dict(zip(baseline.prediction.labels, baseline.prediction.counts, strict=True))
    assert found.confidences == dict(zip(baseline.confidence.labels, baseline.confidence.counts, strict=True))
