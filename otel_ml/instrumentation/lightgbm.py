"""LightGBM: boosters, and the scikit-learn interface around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from otel_ml._values import ABSENT
from otel_ml.instrumentation._hooks import Features, Framework, Hooks, descendants
from otel_ml.instrumentation._instrumentor import Instrumentor

_EXPLANATIONS: Final = ("pred_leaf", "pred_contrib", "raw_score")
_FLAGS: Final = slice(1, 6)
"""Where these stand among the positional arguments, beside numbers only."""


def _features(model: Any) -> Features:
    booster = getattr(model, "booster_", model)
    return tuple(booster.feature_name()), booster.num_feature()


def _data(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if any(map(kwargs.get, _EXPLANATIONS)) or any(flag is True for flag in args[_FLAGS]):
        return None
    data = args[0] if args else kwargs.get("data", kwargs.get("X"))
    return ABSENT if isinstance(data, str | Path) else data  # a file that LightGBM reads by itself


class LightGBMInstrumentor(Instrumentor):
    """Counts `Booster.predict`, and `predict` and `predict_proba` of the estimators, unless they explain or give a `raw_score`."""

    framework = Framework("lightgbm", frozenset({"predict", "predict_proba"}), _features, library=("lightgbm.", "sklearn."), data=_data)
    module = "lightgbm"
    packages = ("lightgbm",)
    versions = ">= 4.0"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the booster and, where scikit-learn is installed, the estimators."""
        hooks.methods(module.Booster, ("predict",))
        if hasattr(module, "LGBMModel"):
            for estimator in set(descendants(module.LGBMModel)):
                hooks.methods(estimator, ("predict", "predict_proba"))
