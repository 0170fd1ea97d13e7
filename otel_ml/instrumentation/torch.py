"""PyTorch: modules that predict, which is in evaluation mode or without gradients."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from otel_ml.instrumentation._hooks import Framework, Hooks
from otel_ml.instrumentation._instrumentor import Instrumentor


def _data(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The first argument; None while training, tracing or exporting, and for Keras' layers, which have an instrumentor of their own."""
    torch, keras = sys.modules["torch"], sys.modules.get("keras")
    if (module.training and torch.is_grad_enabled()) or torch.jit.is_tracing() or isinstance(module, getattr(keras, "Layer", ())):
        return None
    data = args[0] if args else next(iter(kwargs.values()), None)
    return None if "Fake" in type(data).__name__ else data


def _read(data: Any) -> Any:
    """A tensor as an array in main memory."""
    if not hasattr(data, "detach"):
        return data
    tensor = data.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _answer(_: Any, __: tuple[Any, ...], ___: dict[str, Any], result: Any) -> Any:
    """The tensor; of several the one called logits, or the first."""
    if isinstance(result, Mapping):
        result = result.get("logits", next(iter(result.values()), None))
    return _read(result[0] if isinstance(result, tuple | list) else result)


def _outputs(_: Any, __: tuple[Any, ...], ___: dict[str, Any], result: Any) -> Mapping[str, Any] | None:
    if isinstance(result, tuple | list):
        result = {str(place): part for place, part in enumerate(result)}
    several = isinstance(result, Mapping) and len(result) > 1 and "logits" not in result
    return {name: _read(part) for name, part in result.items()} if several else None


class TorchInstrumentor(Instrumentor):
    """Counts calls of a module in evaluation mode, or without gradients; what it calls in turn, and training, is not counted."""

    framework = Framework(
        "torch",
        frozenset({"__call__"}),
        lambda _: (None, None),
        library=("torch.jit.", "torch.export."),
        data=_data,
        read=_read,
        answer=_answer,
        outputs=_outputs,
    )
    module = "torch"
    packages = ("torch",)
    versions = ">= 2.1"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change `Module.__call__`: torch's global hooks would slow each inner module, and fire twice for a compiled one."""
        hooks.unless = module.compiler.is_compiling
        hooks.method(module.nn.Module, "__call__")
