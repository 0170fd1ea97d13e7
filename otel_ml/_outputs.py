"""What a prediction says: which class or value, and with what confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from otel_ml._values import as_numbers, is_missing, is_number, label_of

Task = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Outputs(NamedTuple):
    """Predictions, understood; each present part has shape (rows,).

    `position` is that in the classes, then one for missing and one for unknown classes (classifiers only); `value` is the
    number predicted (regression only); `confidence` is that of the positive class (binary) or the predicted class (multiclass).
    """

    position: Indices | None = None
    value: Floats | None = None
    confidence: Floats | None = None


def as_array(predictions: Any) -> npt.NDArray[Any]:
    """`predictions` of any framework or container as a numpy array with at least one dimension."""
    if hasattr(predictions, "to_numpy"):
        predictions = predictions.to_numpy()
    array = np.asarray(predictions)
    return array.reshape(1) if array.ndim == 0 else array


def interpret(predictions: Any, task: Task, classes: Sequence[str], threshold: float) -> Outputs:
    """Understand raw predictions: labels, probabilities (of the positive class, or a column for each class), or values.

    In a classifier whole numbers, booleans and text are labels, floats are probabilities; a float that is no probability
    but names a class (`1.0`) is a label too.
    """
    array = as_array(predictions)
    if task == "regression":
        return Outputs(value=_numbers(array.reshape(-1)))
    if array.ndim > 1 and array.shape[-1] == 1:
        array = array.reshape(-1)
    if array.ndim > 1:
        return _from_columns(_numbers(array.reshape(-1)).reshape(array.shape), task, classes, threshold)
    if task == "binary" and _are_probabilities(array):
        return _from_positive(_numbers(array), threshold)
    return Outputs(position=positions_of(array, classes))


def positions_of(labels: Any, classes: Sequence[str]) -> Indices:
    """The position of each label in `classes`; len(classes) when it is missing, len(classes) + 1 when it is unknown."""
    array = as_array(labels)
    known = {name: position for position, name in enumerate(classes)}
    if array.dtype.kind in "iub":
        distinct, inverse = np.unique(array, return_inverse=True)
        return np.array([known.get(label_of(value), len(classes) + 1) for value in distinct.tolist()], dtype=np.int64)[inverse]
    return np.array(
        [len(classes) if is_missing(value) else known.get(label_of(value), len(classes) + 1) for value in array.tolist()],
        dtype=np.int64,
    )


def infer_task(predictions: Any, labels: Any) -> Task | None:
    """The task that these predictions and labels show, or None when both readings are possible."""
    array = as_array(predictions)
    if array.ndim > 1 and array.shape[-1] > 1:
        return "binary" if array.shape[-1] == 2 else "multiclass"
    array = array.reshape(-1)
    known = set() if labels is None else distinct_labels(labels)
    if _are_probabilities(array):
        return "binary" if len(known) <= 2 else "regression"
    if array.dtype.kind == "f" or (array.dtype.kind == "O" and all(map(is_number, array.tolist()))):
        return "regression"
    count = len(known | distinct_labels(array))
    if array.dtype.kind in "iu" and count > 100:
        return None
    return "binary" if count <= 2 else "multiclass"


def distinct_labels(labels: Any) -> set[str]:
    """The classes that occur among `labels`, missing ones left out."""
    return {label_of(value) for value in set(as_array(labels).reshape(-1).tolist()) if not is_missing(value)}


def ordered_classes(names: set[str]) -> tuple[str, ...]:
    """Classes in the order that users expect: numbers by size, text by alphabet.

    >>> ordered_classes({"10", "9"}), ordered_classes({"yes", "no"})
    (('9', '10'), ('no', 'yes'))
    """
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))


def _are_probabilities(array: npt.NDArray[Any]) -> bool:
    if array.dtype.kind != "f":
        return False
    finite = array[np.isfinite(array)]
    return bool(((finite >= 0) & (finite <= 1)).all())


def _from_positive(probability: Floats, threshold: float) -> Outputs:
    position = np.where(np.isnan(probability), 2, probability >= threshold).astype(np.int64)
    return Outputs(position=position, confidence=probability)


def _from_columns(probabilities: Floats, task: Task, classes: Sequence[str], threshold: float) -> Outputs:
    if probabilities.shape[-1] != len(classes):
        raise ValueError(f"{probabilities.shape[-1]} probabilities for {len(classes)} classes ({', '.join(classes)})")
    if task == "binary":
        return _from_positive(probabilities[:, 1], threshold)
    missing = np.isnan(probabilities).any(axis=1)
    position = np.where(missing, len(classes), np.argmax(np.nan_to_num(probabilities), axis=1)).astype(np.int64)
    return Outputs(position=position, confidence=probabilities.max(axis=1))


def _numbers(array: npt.NDArray[Any]) -> Floats:
    return array.astype(np.float64) if array.dtype.kind in "iufb" else as_numbers(array.tolist())[0]
