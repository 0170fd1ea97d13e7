"""ONNX Runtime: a session counts its named inputs and its probabilities."""

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
    histograms = {feature.name: dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True)) for feature in baseline.features}
    assert watched["churn"].features == {name: {bin_: n for bin_, n in bins.items() if n} for name, bins in histograms.items()}


def test_a_failing_run_is_an_error_of_an_unknown_model(watch, classifier):
    session, _ = classifier
    watched = watch(OnnxRuntimeInstrumentor)
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        session.run(None, {"X": np.zeros((3, 9), dtype=np.float32)})
    found = watched["InferenceSession"]
    assert (found.calls, found.failures, found.rows) == (1, 1, 3)


def test_uninstrument_puts_the_method_back(watch):
    before = {owner: dict(vars(owner)) for owner in onnxruntime.InferenceSession.__mro__[:-1]}
    watch(OnnxRuntimeInstrumentor)
    OnnxRuntimeInstrumentor().uninstrument()
    assert {owner: dict(vars(owner)) for owner in before} == before
