"""Keras 3, on TensorFlow, PyTorch or JAX."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from otel_ml.instrumentation._hooks import Features, Framework, Hooks
from otel_ml.instrumentation._instrumentor import Instrumentor

_SYMBOLIC: Final = ("KerasTensor", "SymbolicTensor", "Tracer")


def _features(model: Any) -> Features:
    inputs = model.inputs
    if len(inputs) > 1:
        return tuple(each.name for each in inputs), len(inputs)
    shape = inputs[0].shape
    return None, shape[1] if len(shape) == 2 else None


def _data(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """None while a graph is built or traced, and in training; several inputs in a list go by the names that the model has for them."""
    data = args[0] if args else kwargs.get("x", kwargs.get("inputs"))
    names = [each.name for each in getattr(model, "inputs", None) or ()]
    if isinstance(data, list | tuple) and len(data) == len(names) > 1:
        data = dict(zip(names, data, strict=True))
    first = next(iter(data.values()), None) if isinstance(data, Mapping) else data
    if kwargs.get("training") or any(mark in type(first).__name__ for mark in _SYMBOLIC):
        return None
    return data


def _read(data: Any) -> Any:
    """Tensors as arrays; inputs by name are a column each, which models want as n x 1."""
    if isinstance(data, Mapping):
        arrays = zip(data, map(_read, data.values()), strict=True)
        return {name: array.reshape(-1) if array.ndim > 1 else array for name, array in arrays}
    return data if not hasattr(data, "shape") or hasattr(data, "columns") else sys.modules["keras"].ops.convert_to_numpy(data)


def _answer(_: Any, __: tuple[Any, ...], ___: dict[str, Any], result: Any) -> Any:
    if isinstance(result, Mapping):
        result = next(iter(result.values()), None)
    return _read(result[0] if isinstance(result, tuple | list) else result)


def _outputs(model: Any, _: tuple[Any, ...], __: dict[str, Any], result: Any) -> Mapping[str, Any] | None:
    if isinstance(result, tuple | list) and len(result) > 1:
        result = dict(zip(model.output_names, result, strict=True))
    return {name: _read(part) for name, part in result.items()} if isinstance(result, Mapping) and len(result) > 1 else None


class KerasInstrumentor(Instrumentor):
    """Counts `Model.predict`, `predict_on_batch` and calls of a model; `fit` and `evaluate` are not counted."""

    framework = Framework(
        "keras",
        frozenset({"predict", "predict_on_batch", "__call__"}),
        _features,
        library=("keras.",),
        data=_data,
        read=_read,
        answer=_answer,
        outputs=_outputs,
    )
    module = "keras"
    packages = ("keras",)
    versions = ">= 3.0"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the model, and leave its layers alone."""
        for name in self.framework.methods:
            hooks.method(module.Model, name)
