"""ONNX Runtime: inputs and outputs by their names in the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from otel_ml.instrumentation._hooks import Features, Framework, Hooks
from otel_ml.instrumentation._instrumentor import Instrumentor


def _features(session: Any) -> Features:
    inputs = session.get_inputs()
    if len(inputs) > 1:
        return tuple(each.name for each in inputs), len(inputs)
    shape = inputs[0].shape
    return None, shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _data(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    feed = args[1] if len(args) > 1 else kwargs.get("input_feed")
    if not isinstance(feed, Mapping):
        return None
    return next(iter(feed.values())) if len(feed) == 1 else feed


def _read(data: Any) -> Any:
    """One input is rows x features; several are a column each, which graphs often want as n x 1."""
    if not isinstance(data, Mapping):
        return data
    return {name: value.reshape(-1) if getattr(value, "ndim", 0) == 2 and value.shape[1] == 1 else value for name, value in data.items()}


def _answer(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Sequence[Any]) -> Any:
    """The output whose name tells of probabilities, else the first."""
    wanted = args[0] if args else kwargs.get("output_names")
    names = wanted or [each.name for each in session.get_outputs()]
    answer = next((value for name, value in zip(names, result, strict=False) if "prob" in name.lower()), result[0])
    if isinstance(answer, list) and answer and isinstance(answer[0], Mapping):
        return np.array([list(row.values()) for row in answer])  # a ZipMap: for each row, class to probability
    return answer


class OnnxRuntimeInstrumentor(Instrumentor):
    """Counts `InferenceSession.run`."""

    framework = Framework("onnxruntime", frozenset({"run"}), _features, data=_data, read=_read, answer=_answer)
    module = "onnxruntime"
    packages = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
    versions = ">= 1.16"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the session."""
        hooks.method(module.InferenceSession, "run")
