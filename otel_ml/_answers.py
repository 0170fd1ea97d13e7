"""What frameworks answer, as labels, probabilities or values: pairs of a label and its score, and objects that hold logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import as_numpy
from otel_ml._logits import probabilities
from otel_ml._records import as_mapping, is_record
from otel_ml._values import is_number, label_of

_NUMBERED = (int, np.integer, np.bool_)
"""What a class may be called besides text; beside a float it is a label with its score."""
_LABELS = ("label", "class", "prediction")
_SCORES = ("score", "probability", "confidence")
"""What the fields of such a pair are called."""
_PLAIN = frozenset({float, int, bool, str, bytes, type(None), np.ndarray, np.float64, np.float32, np.int64, np.str_})


def plain(prediction: Any, *, logits: bool = False) -> Any:
    """An answer without its framework: probabilities for logits, an array of shape (rows, 2) for labels with scores, else itself.

    Understands `.logits` (a softmax where there are several, unless `logits` are wanted), `{"label": ..., "score": ...}`, objects with
    such fields, and `("label", 0.9)`, one or a list of them, a list of all classes for each row (the best counts), a pair of labels and
    scores, and a mapping or object of one entry, which is that entry.
    """
    if type(prediction) in _PLAIN or (isinstance(prediction, list | tuple) and _is_flat(prediction)):
        return prediction
    if hasattr(prediction, "logits"):
        found = as_numpy(prediction.logits)
        return found if logits or found.ndim != 2 or found.shape[1] < 2 else probabilities(found)
    pair = _pair(prediction)
    if pair is not None:
        return _table([pair])
    if not isinstance(prediction, list | tuple):
        return _only(prediction)
    pairs = [_pair(row) or _best(row) for row in prediction]
    if all(pairs):
        return _table([pair for pair in pairs if pair is not None])
    return [_only(row) for row in prediction] if isinstance(prediction, list) else _zipped(prediction)


def _is_flat(values: Sequence[Any]) -> bool:
    """Whether these are plainly one number or text a row; a tuple of two may be a label and its score."""
    return not values or (
        type(values[0]) in (float, int, str) and (isinstance(values, list) or len(values) != 2 or type(values[0]) is float)
    )


def is_scored(array: npt.NDArray[Any]) -> bool:
    """Whether these are labels with scores, as `plain` gives them."""
    return array.dtype.kind == "O" and array.ndim == 2 and array.shape[1] == 2 and all(isinstance(label, str) for label in array[:, 0])


def _pair(value: Any) -> tuple[str, float] | None:
    named = _named(value)
    if named is not None:
        label, score = (next((named[name] for name in known if name in named), None) for known in (_LABELS, _SCORES))
        value = label, score
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    label, score = value
    scored = is_number(score) if isinstance(label, str) else isinstance(label, _NUMBERED) and isinstance(score, float | np.floating)
    return (label_of(label), float(score)) if scored else None


def _named(value: Any) -> Mapping[Any, Any] | None:
    """The entries of a mapping or of an object with fields; None for anything else."""
    if isinstance(value, Mapping):
        return value
    return as_mapping(value) if is_record(value) else None


def _only(value: Any) -> Any:
    """The one entry of a mapping or object that has no other; anything else as it is."""
    named = None if isinstance(value, tuple) else _named(value)
    return next(iter(named.values())) if named is not None and len(named) == 1 else value


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
    pairs = [_pair(pair) for pair in zip(labels, scores, strict=False)]
    return _table(pairs) if len(labels) == len(scores) and labels and all(pairs) else prediction  # type: ignore[arg-type]


def _table(pairs: Sequence[tuple[str, float]]) -> npt.NDArray[Any]:
    table = np.empty((len(pairs), 2), dtype=object)
    table[:, 0], table[:, 1] = [label for label, _ in pairs], [score for _, score in pairs]
    return table
