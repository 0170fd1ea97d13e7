"""MLflow: models of any flavour behind `mlflow.pyfunc`."""

from __future__ import annotations

from typing import Any

from otel_ml.instrumentation._hooks import Features, Framework, Hooks, first_argument
from otel_ml.instrumentation._instrumentor import Instrumentor


def _features(model: Any) -> Features:
    schema = model.metadata.get_input_schema()
    if schema is None or not schema.has_input_names():
        return None, None
    names = tuple(map(str, schema.input_names()))
    return names, len(names)


class MLflowInstrumentor(Instrumentor):
    """Counts `PyFuncModel.predict`; the wrapped model's own call is part of it."""

    framework = Framework(
        "mlflow", frozenset({"predict"}), _features, library=("mlflow.models.", "mlflow.tracking."), data=first_argument("data")
    )
    module = "mlflow.pyfunc"
    packages = ("mlflow", "mlflow-skinny")
    versions = ">= 2.9"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the loaded model."""
        hooks.methods(module.PyFuncModel, ("predict",))
