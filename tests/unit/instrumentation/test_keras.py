"""Keras: a model counts, its layers, training and evaluation do not."""

import os
from importlib.util import find_spec

import numpy as np
import pytest

from otel_ml.instrumentation.keras import KerasInstrumentor
from otel_ml.instrumentation.torch import TorchInstrumentor

BACKEND = next((name for name in ("tensorflow", "torch") if find_spec(name)), "numpy")
os.environ.setdefault("KERAS_BACKEND", BACKEND)
keras = pytest.importorskip("keras")


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy")
    return model


@pytest.mark.parametrize("call", ["predict", "predict_on_batch", "__call__"])
def test_each_way_to_predict_counts_once(watch, problem, baseline, model, call):
    watched = watch(KerasInstrumentor, baseline)
    watch(TorchInstrumentor)
    options = {"verbose": 0, "batch_size": 16} if call == "predict" else {}
    answer = keras.ops.convert_to_numpy(getattr(model, call)(problem.X, **options))
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped) == (1, 200, {})
    assert churn.predictions["1"] == (answer >= 0.5).sum()
    assert watched.models() == {"churn"}


@pytest.mark.skipif(keras.backend.backend() == "numpy", reason="Keras cannot train on numpy")
def test_training_and_evaluation_count_nothing(watch, problem, model):
    watched = watch(KerasInstrumentor)
    watched_torch = watch(TorchInstrumentor)
    model.fit(problem.X, problem.y[:, None].astype(np.float32), validation_split=0.5, verbose=0)
    model.evaluate(problem.X, problem.y[:, None].astype(np.float32), verbose=0)
    model(problem.X, training=True)
    assert watched.models() | watched_torch.models() == set()


@pytest.mark.parametrize("form", [dict, lambda columns: list(columns.values())[::-1]], ids=["by name", "in a list"])
def test_several_inputs_are_matched_with_the_baseline(watch, problem, baseline, form):
    inputs = {name: keras.Input((1,), name=name) for name in problem.names[::-1]}
    model = keras.Model(
        inputs if form is dict else list(inputs.values()),
        keras.layers.Dense(1, activation="sigmoid")(keras.layers.Concatenate()(list(inputs.values()))),
    )
    watched = watch(KerasInstrumentor, baseline)
    model.predict(form({name: problem.X[:, i : i + 1] for i, name in enumerate(problem.names)}), verbose=0)
    histograms = {feature.name: dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True)) for feature in baseline.features}
    assert watched["churn"].features == {name: {bin_: n for bin_, n in bins.items() if n} for name, bins in histograms.items()}


def test_uninstrument_puts_the_methods_back(watch):
    before = set(vars(keras.Model))
    watch(KerasInstrumentor)
    assert "__call__" in vars(keras.Model)
    KerasInstrumentor().uninstrument()
    assert set(vars(keras.Model)) == before


@pytest.mark.parametrize("names", [("kind", "price"), ("first", "second")], ids=["by name", "in order"])
@pytest.mark.parametrize("form", [dict, lambda parts: list(parts.values())], ids=["mapping", "list"])
def test_each_of_several_outputs_counts_as_itself(watch, problem, several, names, form):
    given = keras.Input((4,))
    parts = {name: keras.layers.Dense(1, activation=kind, name=name)(given) for name, kind in zip(names, ("sigmoid", None), strict=True)}
    model = keras.Model(given, form(parts))
    watched = watch(KerasInstrumentor, several)
    answer = model.predict(problem.X, verbose=0)
    counted, kind = watched["several"], next(iter(answer.values())) if isinstance(answer, dict) else answer[0]
    assert (counted.errors, counted.dropped, counted.outputs) == ({}, {}, {"price": 200})
    assert counted.predictions["1"] == (kind >= 0.5).sum()


def test_an_output_of_two_columns_is_not_taken_for_two_outputs(watch, problem, several):
    given = keras.Input((4,))
    parts = [keras.layers.Dense(2, activation="softmax", name="kind")(given), keras.layers.Dense(1, name="price")(given)]
    watched = watch(KerasInstrumentor, several)
    answer = keras.Model(given, parts).predict(problem.X, verbose=0)[0]
    assert watched["several"].predictions["1"] == (answer[:, 1] >= 0.5).sum()
    assert watched["several"].outputs == {"price": 200}
