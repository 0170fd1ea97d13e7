"""XGBoost: boosters, and the scikit-learn interface around them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from otel_ml.instrumentation import sklearn
from otel_ml.instrumentation._hooks import Features, Framework, Hooks, descendants
from otel_ml.instrumentation._instrumentor import Instrumentor

_EXPLANATIONS: Final = ("pred_leaf", "pred_contribs", "pred_interactions", "output_margin")


def _features(model: Any) -> Features:
    if not hasattr(model, "num_features"):
        return sklearn.features(model)
    names = model.feature_names
    return (None if names is None else tuple(names)), model.num_features()


def _data(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if any(map(kwargs.get, _EXPLANATIONS)):
        return None
    return args[0] if args else kwargs.get("data", kwargs.get("X"))


def _read(data: Any) -> Any:
    """A DMatrix as the columns it was made of; it holds 32-bit floats, codes of categories, and leaves out what is missing."""
    if not hasattr(data, "num_row"):
        return data
    sparse = data.get_data().tocoo()
    dense = np.full((data.num_row(), data.num_col()), np.nan, dtype=np.float32)
    dense[sparse.row, sparse.col] = sparse.data
    if data.feature_names is None:
        return dense
    columns: dict[str, Any] = dict(zip(data.feature_names, dense.T, strict=True))
    coded = [name for name, kind in zip(columns, data.feature_types or (), strict=False) if kind == "c"]
    if coded:
        categories = _categories(data)
        for name in coded:
            codes = columns.pop(name)
            if name in categories:
                columns[name] = [None if np.isnan(code) else categories[name][int(code)] for code in codes.tolist()]
    return columns


def _categories(data: Any) -> dict[str, Sequence[Any]]:
    """The values that the codes in a DMatrix stand for, of each column of categories; none where XGBoost does not tell."""
    if not hasattr(data, "get_categories") or importlib.util.find_spec("pyarrow") is None:
        return {}
    known = data.get_categories(export_to_arrow=True).to_arrow()
    return {name: values.to_pylist() for name, values in known if values is not None}


class XGBoostInstrumentor(Instrumentor):
    """Counts `Booster.predict` and `inplace_predict`, `predict` and `predict_proba`, unless they explain or give margins."""

    framework = Framework(
        "xgboost",
        frozenset({"predict", "inplace_predict", "predict_proba"}),
        _features,
        library=("xgboost.", "sklearn."),
        data=_data,
        read=_read,
    )
    module = "xgboost"
    packages = ("xgboost", "xgboost-cpu")
    versions = ">= 1.7"

    def hook(self, module: Any, hooks: Hooks) -> None:
        """Change the booster and the estimators."""
        hooks.methods(module.Booster, ("predict", "inplace_predict"))
        for estimator in set(descendants(module.XGBModel)):
            hooks.methods(estimator, ("predict", "predict_proba"))
