"""What frameworks answer, as labels, probabilities or values: pairs of a label and its score, and objects that hold logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import as_numpy
from otel_ml._logits import probabilities
from otel_ml._values import is_number

_PLAIN = frozenset({float, int, bool, str, bytes, type(None), np.ndarray, np.float64, np.float32, np.int64, np.str_})


def plain(prediction: Any, *, logits: bool = False) -> Any:
    """An answer without its framework: probabilities for logits, an array of shape (rows, 2) for labels with scores, else itself.

    Understands `.logits` (a softmax where there are several, unless `logits` are wanted), `{"label": ..., "score": ...}` and
    `("label", 0.9)`, one or a list of them, a list of all classes for each row (the best counts), and a pair of labels and scores.
    """
    if type(prediction) in _PLAIN:
        return prediction
    if hasattr(prediction, "logits"):
        found = as_numpy(prediction.logits)
        return found if logits or found.ndim != 2 or found.shape[1] < 2 else probabilities(found)
    pair = _pair(prediction)
    if pair is not None:
        return _table([pair])
    if not isinstance(prediction, list | tuple) or not prediction or type(prediction[0]) in (float, int, str):
        return prediction
    pairs = [_pair(row) or _best(row) for row in prediction]
    if all(pairs):
        return _table([pair for pair in pairs if pair is not None])
    return _zipped(prediction)


def is_scored(array: npt.NDArray[Any]) -> bool:
    """Whether these are labels with scores, as `plain` gives them."""
    return array.dtype.kind == "O" and array.ndim == 2 and array.shape[1] == 2 and all(isinstance(label, str) for label in array[:, 0])


def of_row(prediction: Any, classes: int, *, logits: bool = False) -> Any:
    """An answer for one row: a flat vector of one probability for each class, 1 together, is a row of them; so is one of `logits`."""
    if type(prediction) in (float, int, str) or classes < 2:
        return prediction
    if isinstance(prediction, list | tuple):
        if len(prediction) != classes or not all(isinstance(value, float | np.floating) for value in prediction):
            return prediction
        array = np.array(prediction)
    elif getattr(prediction, "shape", None) == (classes,):
        array = as_numpy(prediction)
    else:
        return prediction
    return array.reshape(1, -1) if array.dtype.kind == "f" and (logits or abs(float(array.sum()) - 1) < 1e-3) else prediction


def _pair(value: Any) -> tuple[str, float] | None:
    if isinstance(value, Mapping) and "label" in value and "score" in value:
        value = value["label"], value["score"]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and is_number(value[1]):
        return value[0], float(value[1])
    return None


def _best(row: Any) -> tuple[str, float] | None:
    """Of several labels for one row that with the highest score."""
    pairs = [_pair(entry) for entry in row] if isinstance(row, list) else []
    known = [pair for pair in pairs if pair is not None]
    return max(known, key=lambda pair: pair[1]) if known and len(known) == len(pairs) else None


def _zipped(prediction: Sequence[Any]) -> Any:
    """Labels beside their scores, in two columns of one length."""
    if not isinstance(prediction, tuple) or len(prediction) != 2 or not all(hasattr(part, "__len__") for part in prediction):
        return prediction
    labels, scores = (part.tolist() if hasattr(part, "tolist") else list(part) for part in prediction)
    matching = len(labels) == len(scores) and all(isinstance(label, str) for label in labels) and all(map(is_number, scores))
    return _table(list(zip(labels, scores, strict=True))) if matching and labels else prediction


def _table(pairs: Sequence[tuple[str, float]]) -> npt.NDArray[Any]:
    table = np.empty((len(pairs), 2), dtype=object)
    table[:, 0], table[:, 1] = [label for label, _ in pairs], [score for _, score in pairs]
    return table
