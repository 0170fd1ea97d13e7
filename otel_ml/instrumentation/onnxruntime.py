"""ONNX Runtime: inputs and outputs by their names in the graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from otel_ml._at_work import models_at_work
from otel_ml._calls import Stream
from otel_ml._values import ABSENT
from otel_ml.instrumentation._hooks import Counted, Features, Framework, Hooks
from otel_ml.instrumentation._instrumentor import Instrumentor


class _OnDevice:
    """An OrtValue as an array, which is copied to main memory only where somebody reads it."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self.shape = tuple(value.shape())

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self._value.numpy()


def _array(value: Any) -> Any:
    return _OnDevice(value) if hasattr(value, "numpy") else value


def _features(session: Any) -> Features:
    inputs = session.get_inputs()
    if len(inputs) > 1:
        return tuple(each.name for each in inputs), len(inputs)
    shape = inputs[0].shape
    return None, shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _binding(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `run_with_iobinding` is given; None for the other methods."""
    first = args[0] if args else kwargs.get("iobinding")
    return first if hasattr(first, "get_outputs") else None


def _data(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The inputs by name, one by itself; a binding does not give them back."""
    if _binding(args, kwargs) is not None:
        return ABSENT
    feed = args[1] if len(args) > 1 else kwargs.get("input_feed", kwargs.get("input_dict_ort_values"))
    if not isinstance(feed, Mapping):
        return None
    arrays = {name: _array(value) for name, value in feed.items()}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _read(data: Any) -> Any:
    """One input is rows x features; several are a column each, which graphs often want as n x 1."""
    if not isinstance(data, Mapping):
        return data
    arrays = {name: np.asarray(value) if isinstance(value, _OnDevice) else value for name, value in data.items()}
    return {name: value.reshape(-1) if getattr(value, "ndim", 0) == 2 and value.shape[1] == 1 else value for name, value in arrays.items()}


def _outputs(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Sequence[Any]) -> dict[str, Any] | None:
    found = _readable(session, args, kwargs, result)
    return {name: _read_output(value) for name, value in found} if len(found) > 1 else None


def _answer(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Sequence[Any]) -> Any:
    """The output whose name tells of probabilities, else the first."""
    found = _readable(session, args, kwargs, result)
    return _read_output(next((value for name, value in found if "prob" in name.lower()), found[0][1]))


def _readable(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Sequence[Any]) -> list[tuple[str, Any]]:
    """The outputs and their names; those of a binding are taken to be bound in the model's order."""
    binding = _binding(args, kwargs)
    wanted, outputs = (None, binding.get_outputs()) if binding is not None else (args[0] if args else kwargs.get("output_names"), result)
    named = zip(wanted or [each.name for each in session.get_outputs()], outputs, strict=False)
    return [(name, value) for name, value in named if not hasattr(value, "is_tensor") or value.is_tensor()]


def _read_output(answer: Any) -> Any:
    if isinstance(answer, list) and answer and isinstance(answer[0], Mapping):
        return np.array([list(row.values()) for row in answer])  # a ZipMap: for each row, class to probability
    return _array(answer)


def _called_back(hooks: Hooks) -> Counted:
    """What counts `run_async`: a call ends when the session calls back, in a thread of its own."""

    def counted(function: Callable[..., Any], method: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def calling(session: Any, output_names: Any, input_feed: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
            asked = (output_names, input_feed)
            begun = None if models_at_work() else hooks.begin(session, method, asked, {})
            if begun is None:
                return function(session, *asked, callback, *args, **kwargs)
            begun.call.start()
            stream = Stream(begun.call)

            def ended(results: Any, user_data: Any, error: str) -> None:
                try:
                    if not error and begun.monitor.baseline is not None:
                        stream.whole(hooks.answer(begun, session, asked, {}, results))
                    stream.end(RuntimeError(error) if error else None)
                finally:
                    callback(results, user_data, error)

            try:
                return function(session, *asked, ended, *args, **kwargs)
            except BaseException as error:
                stream.end(error)
                raise

        return calling

    return counted


class OnnxRuntimeInstrumentor(Instrumentor):
    """Counts `InferenceSession.run`, `run_with_ort_values`, `run_async`, and `run_with_iobinding` without its inputs."""

    framework = Framework(
        "onnxruntime",
        frozenset({"run", "run_with_ort_values", "run_with_iobinding", "run_async"}),
        _features,
        data=_data,
        read=_read,
        answer=_answer,
        outputs=_outputs,
    )
    module = "onnxruntime"
    packages = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
    versions = ">= 1.16"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the session."""
        for name in ("run", "run_with_ort_values", "run_with_iobinding"):
            hooks.method(module.InferenceSession, name)
        hooks.method(module.InferenceSession, "run_async", _called_back(hooks))
