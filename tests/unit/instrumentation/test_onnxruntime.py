"""ONNX Runtime: a session counts its named inputs and its probabilities."""

import threading

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from otel_ml.instrumentation.onnxruntime import OnnxRuntimeInstrumentor

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
helper = onnx.helper


def session_of(inputs, nodes, outputs):
    """A session of a graph on floats; inputs and outputs map names to shapes."""
    kinds = [[helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in part.items()] for part in (inputs, outputs)]
    graph = helper.make_graph(nodes, "graph", *kinds)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return onnxruntime.InferenceSession(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module", params=["array", "zipmap"])
def classifier(request, problem):
    """What converters of scikit-learn make: a label, and probabilities as an array or as a mapping for each row."""
    model = LogisticRegression().fit(problem.X, problem.y)
    weights, bias = np.vstack([-model.coef_, model.coef_]), np.r_[-model.intercept_, model.intercept_]
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["X"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=weights.ravel().tolist(),
            intercepts=bias.tolist(),
            classlabels_ints=[0, 1],
            post_transform="LOGISTIC",
            multi_class=0,
        )
    ]
    float_matrix, label = (onnx.TensorProto.FLOAT, [None, 4]), (onnx.TensorProto.INT64, [None])
    if request.param == "array":
        nodes.append(helper.make_node("Identity", ["scores"], ["probabilities"]))
        return session_of({"X": float_matrix}, nodes, {"label": label, "probabilities": (onnx.TensorProto.FLOAT, [None, 2])}), model
    nodes.append(helper.make_node("ZipMap", ["scores"], ["output_probability"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]))
    kind = helper.make_map_type_proto(onnx.TensorProto.INT64, helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, []))
    outputs = [
        helper.make_tensor_value_info("label", *label),
        helper.make_value_info("output_probability", helper.make_sequence_type_proto(kind)),
    ]
    graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info("X", *float_matrix)], outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return onnxruntime.InferenceSession(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString(), providers=["CPUExecutionProvider"]
    ), model


def test_a_run_counts_its_rows_and_probabilities(watch, problem, baseline, classifier):
    session, model = classifier
    watched = watch(OnnxRuntimeInstrumentor, baseline)
    session.run(None, {"X": problem.X})
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped) == (1, 200, {})
    assert churn.predictions["1"] == model.predict(problem.X).sum()
    assert churn.predictions["0"] + churn.predictions["1"] == 200


def test_the_outputs_asked_for_are_those_that_count(watch, problem, baseline, classifier):
    session, model = classifier
    watched = watch(OnnxRuntimeInstrumentor, baseline)
    session.run(output_names=["label"], input_feed={"X": problem.X})
    assert watched["churn"].predictions["1"] == model.predict(problem.X).sum()


def test_an_input_for_each_feature_is_matched_by_name(watch, problem, baseline):
    column = (onnx.TensorProto.FLOAT, [None, 1])
    session = session_of(dict.fromkeys(problem.names[::-1], column), [helper.make_node("Sum", problem.names, ["total"])], {"total": column})
    watched = watch(OnnxRuntimeInstrumentor, baseline)
    session.run(None, {name: problem.X[:, i : i + 1] for i, name in enumerate(problem.names)})
    assert watched["churn"].features == histograms_of(baseline)


def histograms_of(baseline):
    found = {feature.name: dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True)) for feature in baseline.features}
    return {name: {bin_: n for bin_, n in bins.items() if n} for name, bins in found.items()}


def later(session, feed):
    """What `run_async` calls back with: results, the user's data and the error."""
    came, found = threading.Event(), []
    session.run_async(None, feed, lambda *given: (found.extend(given), came.set()), "mine")
    assert came.wait(30)
    return found


def test_values_of_the_runtime_are_read_as_arrays_are(watch, problem, baseline, classifier):
    session, model = classifier
    watched = watch(OnnxRuntimeInstrumentor, baseline)
    label, _ = session.run_with_ort_values(None, {"X": onnxruntime.OrtValue.ortvalue_from_numpy(problem.X)})
    assert label.numpy().sum() == model.predict(problem.X).sum()
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped, churn.features) == (1, 200, {}, histograms_of(baseline))
    assert churn.predictions["1"] == model.predict(problem.X).sum()


def test_a_run_that_calls_back_counts_when_it_does(watch, problem, baseline, classifier):
    session, model = classifier
    watched = watch(OnnxRuntimeInstrumentor, baseline)
    results, mine, error = later(session, {"X": problem.X})
    assert (len(results), mine, error) == (2, "mine", "")
    churn = watched["churn"]
    assert (churn.calls, churn.failures, churn.rows, churn.features) == (1, 0, 200, histograms_of(baseline))
    assert churn.predictions["1"] == model.predict(problem.X).sum()


def test_a_run_with_a_binding_counts_the_rows_of_its_answer(watch, problem, baseline, classifier):
    session, model = classifier
    watched = watch(OnnxRuntimeInstrumentor, baseline)
    binding = session.io_binding()
    binding.bind_cpu_input("X", problem.X)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    session.run_with_iobinding(binding)
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped, churn.features) == (1, 200, {}, {})
    assert churn.predictions["1"] == model.predict(problem.X).sum()


def test_without_a_baseline_every_way_to_run_gives_calls_and_rows(watch, problem, classifier):
    session, _ = classifier
    watched = watch(OnnxRuntimeInstrumentor)
    session.run(None, {"X": problem.X})
    session.run_with_ort_values(["label"], {"X": onnxruntime.OrtValue.ortvalue_from_numpy(problem.X)})
    later(session, {"X": problem.X})
    binding = session.io_binding()
    binding.bind_cpu_input("X", problem.X)
    binding.bind_output("label")
    session.run_with_iobinding(iobinding=binding)
    found = watched["InferenceSession"]
    assert (found.calls, found.failures, found.rows) == (4, 0, 800)


def test_a_failing_run_is_an_error_of_an_unknown_model(watch, classifier):
    session, _ = classifier
    watched = watch(OnnxRuntimeInstrumentor)
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        session.run(None, {"X": np.zeros((3, 9), dtype=np.float32)})
    assert "invalid dimensions" in later(session, {"X": np.zeros((3, 9), dtype=np.float32)})[2]
    with pytest.raises(ValueError, match="Required inputs"):
        session.run_async(None, {}, print, None)
    found = watched["InferenceSession"]
    assert (found.calls, found.failures, found.rows) == (3, 3, 6)


def test_uninstrument_puts_the_method_back(watch):
    before = {owner: dict(vars(owner)) for owner in onnxruntime.InferenceSession.__mro__[:-1]}
    watch(OnnxRuntimeInstrumentor)
    OnnxRuntimeInstrumentor().uninstrument()
    assert {owner: dict(vars(owner)) for owner in before} == before


def test_each_of_several_outputs_counts_as_itself(watch, problem, several):
    watched = watch(OnnxRuntimeInstrumentor, several)
    number = onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Split", ["x"], ["a", "price", "c", "d"], axis=1),
        helper.make_node("Sigmoid", ["a"], ["kind"]),
    ]
    outputs = {"price": (number, [None, 1]), "kind": (number, [None, 1])}
    session = session_of({"x": (number, [None, 4])}, nodes, outputs)
    session.run(None, {"x": problem.X.astype(np.float32)})
    counted = watched["several"]
    assert (counted.errors, counted.dropped, counted.outputs) == ({}, {}, {"price": 200})
    assert counted.predictions["1"] == (problem.X[:, 0] >= 0).sum()
