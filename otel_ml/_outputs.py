"""What a prediction says: which class or value, and with what confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from otel_ml import stats
from otel_ml._answers import is_scored, plain
from otel_ml._arrays import as_numpy
from otel_ml._certainty import Measure, certainty
from otel_ml._logits import probabilities, table_of
from otel_ml._values import as_numbers, is_missing, is_number, label_of

Task = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)
BOOLEAN_TWINS = {"True": "1", "1": "True", "False": "0", "0": "False"}
"""What a boolean is called by those who write it as a number, and the other way round."""

ROUNDING = 1e-6
"""How far beyond 0 and 1 a float32 softmax may land."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Outputs(NamedTuple):
    """Predictions, understood; each present part has shape (rows,).

    `position` is that in the classes, then one for missing and one for unknown classes (classifiers only); `value` is the
    number predicted (regression only); `confidence` is that of the positive class (binary) or the predicted class (multiclass);
    `certainty` is what the baseline measures instead, margin or entropy; `energy` that of logits.
    """

    position: Indices | None = None
    value: Floats | None = None
    confidence: Floats | None = None
    certainty: Floats | None = None
    energy: Floats | None = None


def as_array(predictions: Any, *, logits: bool = False) -> npt.NDArray[Any]:
    """`predictions` of any framework or container as a numpy array with at least one dimension.

    Text stays objects, since an array of text is as wide as its longest; numbers with gaps become floats. What a framework's object has
    as `.logits` becomes probabilities, unless `logits` are wanted.
    """
    if type(predictions) is np.ndarray and predictions.dtype.kind in "fiub" and predictions.ndim:
        return predictions
    predictions = plain(predictions, logits=logits)
    if isinstance(predictions, str | bytes) or (isinstance(predictions, list | tuple) and str in set(map(type, predictions))):
        predictions = np.array(predictions, dtype=object)
    array = as_numpy(predictions)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.dtype.kind == "O" and all(is_number(value) or is_missing(value) for value in array.flat):
        array = as_numbers(array.flat)[0].reshape(array.shape)
    return array.reshape(1) if array.ndim == 0 else array


def interpret(
    predictions: Any,
    task: Task,
    classes: Sequence[str],
    threshold: float,
    *,
    scored: bool | None = None,
    measure: Measure = "probability",
    logits: bool = False,
) -> Outputs:
    """Understand raw predictions: labels, probabilities (of the positive class, or a column for each class), or values.

    With `logits` floats are these, and their probabilities a softmax.

    In a classifier whole numbers, booleans and text are labels. Floats are probabilities where the model is known to be `scored`;
    where it is known to give labels, a float that names a class (`1.0`) is one. None: the values themselves tell.
    """
    array = as_array(predictions, logits=logits)
    table = table_of(array, task) if logits else None
    if table is not None:
        array = probabilities(table)
    outputs = _understood(array, task, classes, threshold, scored=scored)
    if table is not None:
        outputs = outputs._replace(energy=stats.energy(table))
    if measure == "probability" or outputs.confidence is None:
        return outputs
    if task == "binary":
        return outputs._replace(certainty=certainty(np.column_stack([1 - outputs.confidence, outputs.confidence]), measure))
    return outputs if is_scored(array) else outputs._replace(certainty=certainty(_numbers(array), measure))


def _understood(array: npt.NDArray[Any], task: Task, classes: Sequence[str], threshold: float, *, scored: bool | None) -> Outputs:
    if task == "regression":
        if array.size > len(array):
            raise ValueError(f"an answer of shape {array.shape} where the model predicts one number a row")
        return Outputs(value=_numbers(array.reshape(-1)))
    if array.ndim > 1 and array.shape[-1] == 1:
        array = array.reshape(-1)
    if is_scored(array):
        return _from_scored(array, task, classes)
    if array.ndim > 1:
        return _from_columns(_numbers(array), task, classes, threshold)
    if task == "binary" and array.dtype.kind == "f" and (scored is not None or are_probabilities(array)):
        outputs = _from_positive(_numbers(array), threshold)
        return _named_first(array, classes, outputs) if scored is False else outputs
    return Outputs(position=positions_of(array, classes))


def positions_of(labels: Any, classes: Sequence[str]) -> Indices:
    """The position of each label in `classes`; len(classes) when it is missing, len(classes) + 1 when it is unknown."""
    array = as_array(labels)
    known = {name: position for position, name in enumerate(classes)}
    known |= {twin: known[name] for name, twin in BOOLEAN_TWINS.items() if name in known and twin not in known}
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
    if is_scored(array):
        array = array[:, 0]
    if array.ndim > 1 and array.shape[-1] > 1:
        return "binary" if array.shape[-1] == 2 else "multiclass"
    array = array.reshape(-1)
    known = set() if labels is None else distinct_labels(labels)
    if are_probabilities(array):
        return "binary" if len(known) <= 2 else "regression"
    if array.dtype.kind == "f" or (array.dtype.kind == "O" and all(map(is_number, array.tolist()))):
        return None if known and known <= set(BOOLEAN_TWINS) else "regression"  # scores of two classes, or numbers
    count = len(one_spelling(known | distinct_labels(array)))
    if array.dtype.kind in "iu" and count > 100:
        return None
    return "binary" if count <= 2 else "multiclass"


def distinct_labels(labels: Any) -> set[str]:
    """The classes that occur among `labels`, missing ones left out."""
    return {label_of(value) for value in set(as_array(labels).reshape(-1).tolist()) if not is_missing(value)}


def one_spelling(names: set[str]) -> set[str]:
    """Classes without twins: where some write `True` and others `1`, the number stays.

    >>> sorted(one_spelling({"0", "1", "True"})), sorted(one_spelling({"True", "False"}))
    (['0', '1'], ['False', 'True'])
    """
    if names <= set(BOOLEAN_TWINS) and names & {"0", "1"}:
        return {BOOLEAN_TWINS[name] if name in ("True", "False") else name for name in names}
    return names


def ordered_classes(names: set[str], *, text: bool = False) -> tuple[str, ...]:
    """Classes in the order of a model's columns, which is that of `numpy.unique`: numbers by size, and by alphabet what came as `text`.

    >>> ordered_classes({"10", "9"}), ordered_classes({"10", "9"}, text=True), ordered_classes({"yes", "no"})
    (('9', '10'), ('10', '9'), ('no', 'yes'))
    """
    try:
        return tuple(sorted(names, key=str if text else float))
    except ValueError:
        return tuple(sorted(names))


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for a message, the first of many.

    >>> listed(["no", "yes"]), listed(["a", "b", "c"], most=2)
    ('no, yes', 'a, b and 1 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def are_probabilities(array: npt.NDArray[Any], rounding: float = 0.0) -> bool:
    """Whether these can be probabilities: floats between 0 and 1, missing ones aside, or beyond by no more than `rounding`."""
    if array.dtype.kind != "f":
        return False
    finite = array[np.isfinite(array)]
    return bool(((finite >= -rounding) & (finite <= 1 + rounding)).all())


def _from_positive(probability: Floats, threshold: float) -> Outputs:
    """A missing probability is a missing prediction; a number that is no probability is an unknown one, without confidence."""
    if probability.size == 1:  # what tells of single rows waits for this, and Python is six times as fast with them
        number = probability.item()
        sane_number = -ROUNDING <= number <= 1 + ROUNDING
        place = int(number >= threshold) if sane_number else 2 if math.isnan(number) else 3
        return Outputs(position=np.array([place]), confidence=np.array([min(max(number, 0.0), 1.0) if sane_number else math.nan]))
    missing = np.isnan(probability)
    with np.errstate(invalid="ignore"):
        sane = (probability >= -ROUNDING) & (probability <= 1 + ROUNDING)
        answered = probability >= threshold
    position = np.where(missing, 2, np.where(sane, answered, 3))  # a fifth of what `select` costs a single row
    return Outputs(position=position, confidence=np.where(sane, np.minimum(np.maximum(probability, 0), 1), np.nan))


def _from_scored(array: npt.NDArray[Any], task: Task, classes: Sequence[str]) -> Outputs:
    position, score = positions_of(array[:, 0], classes), _numbers(array[:, 1])
    if task == "binary":
        score = np.select([position == 1, position == 0], [score, 1 - score], np.nan)
    return Outputs(position=position, confidence=score)


def _named_first(array: npt.NDArray[Any], classes: Sequence[str], outputs: Outputs) -> Outputs:
    named = positions_of(array, classes)
    return outputs._replace(position=np.where(named < len(classes), named, outputs.position))  # type: ignore[arg-type]


def _from_columns(probabilities: Floats, task: Task, classes: Sequence[str], threshold: float) -> Outputs:
    if probabilities.shape[-1] != len(classes):
        raise ValueError(f"{probabilities.shape[-1]} probabilities for {len(classes)} classes ({listed(classes)})")
    if task == "binary":
        return _from_positive(probabilities[:, 1], threshold)
    missing = np.isnan(probabilities).any(axis=1)
    position = np.where(missing, len(classes), np.argmax(np.nan_to_num(probabilities), axis=1)).astype(np.int64)
    confidence = probabilities.max(axis=1)
    sane = (probabilities.min(axis=1) >= -ROUNDING) & (confidence <= 1 + ROUNDING)  # logits have a best class too, and no confidence
    return Outputs(position=position, confidence=np.where(sane, np.minimum(confidence, 1), np.nan))


def _numbers(array: npt.NDArray[Any]) -> Floats:
    return array.astype(np.float64) if array.dtype.kind in "iufb" else as_numbers(array.reshape(-1).tolist())[0].reshape(array.shape)
