"""LightGBM: boosters, and the scikit-learn interface around them."""

from __future__ import annotations

from typing import Any, Final

from otel_ml.instrumentation._hooks import Features, Framework, Hooks, descendants
from otel_ml.instrumentation._instrumentor import Instrumentor

_EXPLANATIONS: Final = ("pred_leaf", "pred_contrib", "raw_score")


def _features(model: Any) -> Features:
    booster = getattr(model, "booster_", model)
    return tuple(booster.feature_name()), booster.num_feature()


def _data(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if any(map(kwargs.get, _EXPLANATIONS)):
        return None
    return args[0] if args else kwargs.get("data", kwargs.get("X"))


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
