"""scikit-learn: every estimator, those of other libraries and of the user included, defined before or after."""

from __future__ import annotations

from typing import Any, Final

from otel_ml.instrumentation._hooks import Features, Framework, Hooks, descendants
from otel_ml.instrumentation._instrumentor import Instrumentor

_METHODS: Final = ("predict", "predict_proba", "decision_function", "predict_log_proba", "score_samples")
_WITH_A_HOOK_OF_THEIR_OWN: Final = ("xgboost", "lightgbm")


def features(model: Any) -> Features:
    """What the model was fitted with: names where it was a frame, and their number."""
    names = getattr(model, "feature_names_in_", None)
    return (None if names is None else tuple(map(str, names))), getattr(model, "n_features_in_", None)


SKLEARN: Final = Framework("sklearn", frozenset({"predict", "predict_proba"}), features, library=("sklearn.",))


class SklearnInstrumentor(Instrumentor):
    """Counts `predict` and `predict_proba`; the other methods that score rows where the configuration names one."""

    framework = SKLEARN
    module = "sklearn.base"
    packages = ("scikit-learn",)
    versions = ">= 1.3"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the estimators there are, and those that will be."""
        base = module.BaseEstimator
        for estimator in set(descendants(base)):
            _hook_estimator(estimator, hooks)
        inherited = base.__dict__.get("__init_subclass__")

        def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:  # noqa: N807 - it replaces a method of this name
            super(base, cls).__init_subclass__(**kwargs) if inherited is None else inherited.__get__(None, cls)(**kwargs)
            _hook_estimator(cls, hooks)

        def undo() -> None:
            if inherited is None:
                del base.__init_subclass__
            else:
                base.__init_subclass__ = inherited

        base.__init_subclass__ = classmethod(__init_subclass__)
        hooks.at_undo(undo)


def _hook_estimator(estimator: type, hooks: Hooks) -> None:
    """Its own methods and those of its bases, which need not be estimators: mixins are none."""
    for owner in estimator.__mro__:
        if owner.__module__.partition(".")[0] not in _WITH_A_HOOK_OF_THEIR_OWN:
            hooks.methods(owner, _METHODS)
