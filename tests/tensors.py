"""Tensors of TensorFlow and JAX, and what models of transformers answer, as they are read in a service: `make frameworks`.

Gigabytes of libraries, so `make test` leaves it out: pytest collects it only where it is named.
"""

from __future__ import annotations

import asyncio
import importlib
import os

import numpy as np
import pytest

from otel_ml import Baseline, Monitor, testing

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the models of transformers for TensorFlow know no other
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

NUMBERS = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32).round(2)
NAMES = ["a", "b", "c"]


def lazily(name):
    return pytest.fixture(scope="module", name=name)(lambda: importlib.import_module({"jax_numpy": "jax.numpy"}.get(name, name)))


tensorflow, jax, jax_numpy, transformers = map(lazily, ("tensorflow", "jax", "jax_numpy", "transformers"))


@pytest.fixture(scope="module")
def baseline():
    score = np.random.default_rng(1).random(300)
    return Baseline.from_data(NUMBERS, model="tensors", version="1", feature_names=NAMES, predictions=score, labels=score > 0.5)


@pytest.fixture(params=["tensorflow", "jax_numpy"])
def tensor(request):
    """Makes a tensor of an array."""
    module = request.getfixturevalue(request.param)
    return getattr(module, "convert_to_tensor", None) or module.asarray


def counted(baseline, data, answer=None, **options):
    monitor = Monitor(baseline, **options)
    assert monitor.wrap(lambda _: answer)(data) is answer
    found = testing.collect(monitor)
    assert (found.errors, sum(found.dropped.values())) == ({}, 0)
    return found


FORMS = {
    "matrix": lambda make: make(NUMBERS),
    "columns": lambda make: {name: make(NUMBERS[:, place]) for place, name in enumerate(NAMES)},
    "rows": lambda make: [make(row) for row in NUMBERS],
    "scalars": lambda make: [dict(zip(NAMES, map(make, row), strict=True)) for row in NUMBERS],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_tensor_counts_as_the_array_does(baseline, tensor, form):
    found, expected = counted(baseline, form(tensor)), counted(baseline, NUMBERS)
    assert (found.features, found.violations, found.outliers) == (expected.features, expected.violations, expected.outliers)


def test_a_baseline_is_built_from_tensors(baseline, tensor):
    matrix = Baseline.from_data(tensor(NUMBERS), model="tensors", version="1", feature_names=NAMES)
    columns = Baseline.from_data(FORMS["columns"](tensor), model="tensors", version="1")
    for made in (matrix, columns):
        assert [(feature.name, feature.histogram) for feature in made.features] == [
            (name, baseline.feature(name).histogram) for name in NAMES
        ]


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "int32", "bool"])
def test_every_type_of_number_is_read(tensor, tensorflow, jax_numpy, kind):
    data = (NUMBERS * 4).round()
    made = tensorflow.cast(data, kind) if tensor is tensorflow.convert_to_tensor else jax_numpy.asarray(data).astype(kind)
    expected = np.asarray(made).astype(np.float32)
    baseline = Baseline.from_data(expected, model="tensors", version="2", feature_names=NAMES)
    assert counted(baseline, made).features == counted(baseline, expected).features


@pytest.mark.parametrize("shape", [(300,), (300, 1), (300, 2)])
def test_answers_that_are_tensors_are_understood(baseline, tensor, shape):
    score = np.random.default_rng(1).random(300).astype(np.float32)
    answer = np.column_stack([1 - score, score]) if shape[1:] == (2,) else score.reshape(shape)
    found, expected = counted(baseline, NUMBERS, tensor(answer)), counted(baseline, NUMBERS, answer)
    assert (found.predictions, found.confidences) == (expected.predictions, expected.confidences)
    assert found.predictions["True"] == (score >= 0.5).sum()


def test_texts_and_variables_of_tensorflow_are_read(tensorflow):
    plans = np.random.default_rng(0).choice(["basic", "pro"], 300)
    baseline = Baseline.from_data({"plan": plans.tolist(), "x": NUMBERS[:, 0]}, model="tensors", version="3")
    found = counted(baseline, {"plan": tensorflow.constant(plans), "x": tensorflow.Variable(NUMBERS[:, 0])})
    assert found.features["plan"] == dict(
        zip(baseline.feature("plan").histogram.labels, baseline.feature("plan").histogram.counts, strict=True)
    )
    assert not any(any(kinds.values()) for kinds in found.violations.values())


def test_a_signature_of_a_saved_model_is_wrapped_as_a_function_is(baseline, tensorflow, tmp_path):
    class Score(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 3], "float32", name="rows")])
        def serve(self, rows):
            return {"score": tensorflow.sigmoid(rows[:, 0])}

    model = Score()
    tensorflow.saved_model.save(model, str(tmp_path), signatures={"serving_default": model.serve})
    signature = tensorflow.saved_model.load(str(tmp_path)).signatures["serving_default"]
    monitor = Monitor(baseline, output=lambda answer: answer["score"])
    answer = monitor.wrap(signature)(rows=tensorflow.constant(NUMBERS))
    found = testing.collect(monitor)
    assert (found.rows, found.errors, sum(found.dropped.values())) == (300, {}, 0)
    assert found.predictions["True"] == (answer["score"].numpy() >= 0.5).sum()


def test_what_is_traced_is_compiled_as_ever_and_what_is_called_counts(baseline, tensorflow, jax):
    """A compiled function sees placeholders instead of values: monitor what calls it."""
    for compiled in (jax.jit(lambda rows: rows[:, 0] * 0), tensorflow.function(lambda rows: rows[:, 0] * 0)):
        assert counted(baseline, NUMBERS).rows == 300
        outside = Monitor(baseline)
        assert np.asarray(outside.wrap(compiled)(NUMBERS)).shape == (300,)
        assert testing.collect(outside).rows == 300


def test_a_placeholder_breaks_nothing(baseline, tensorflow, jax):
    inside = Monitor(baseline)
    assert np.asarray(jax.jit(inside.wrap(lambda rows: rows[:, 0] * 0))(NUMBERS)).shape == (300,)
    assert np.asarray(tensorflow.function(inside.wrap(lambda rows: rows[:, 0] * 0))(NUMBERS)).shape == (300,)
    assert sum(testing.collect(inside).dropped.values()) > 0


@pytest.mark.parametrize("logits", [True, False])
def test_a_model_of_transformers_answers_with_logits(transformers, logits):
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3, initializer_range=1.0
    )
    model = transformers.TFBertForSequenceClassification(config)
    tokens = np.random.default_rng(0).integers(0, 50, (60, 4))

    def predict(rows):
        return model(rows)

    raw = np.asarray(model(tokens).logits, dtype=np.float64)
    shares = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    baseline = Baseline.from_data(
        tokens, model="bert", version="1", predictions=model(tokens), classes=["0", "1", "2"], logits=logits, golden=6
    )
    assert (
        baseline.confidence == Baseline.from_data(tokens, model="bert", version="1", predictions=shares, classes=["0", "1", "2"]).confidence
    )
    monitor = Monitor(baseline)
    answer = monitor.wrap(predict)(tokens)
    assert type(answer).__name__ == "TFSequenceClassifierOutput"
    monitor.wrap(predict)(tokens[:1])
    found = testing.collect(monitor)
    assert (found.errors, sum(found.predictions.values())) == ({}, 61)
    assert [found.predictions[name] for name in "012"] == np.bincount([*raw.argmax(axis=1), raw[0].argmax()], minlength=3).tolist()
    assert sum(found.energies.values()) == (61 if logits else 0)
    assert monitor.verify(predict).ok


def test_a_coroutine_that_answers_with_a_tensor_counts(baseline, tensor):
    monitor = Monitor(baseline)

    async def predict(rows):
        return tensor(np.full(len(rows), 0.75, dtype=np.float32))

    asyncio.run(monitor.wrap(predict)(tensor(NUMBERS)))
    assert testing.collect(monitor).predictions["True"] == 300
