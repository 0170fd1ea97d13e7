"""What is kept of an answer until it is counted: arrays that are safe from a caller who changes the answer later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import as_numpy
from otel_ml._capture import Unsupported
from otel_ml._frames import frame_columns, names_of
from otel_ml._heads import heads
from otel_ml._outputs import as_array
from otel_ml._records import is_record
from otel_ml._values import label_of
from otel_ml.baseline import Baseline

Array = npt.NDArray[Any]
Kept = float | Array | tuple[float | Array, ...]


class AnswerReader:
    """Reads what a model of this baseline answers; `output` is the user's own function, which is asked first."""

    def __init__(self, baseline: Baseline | None, output: Callable[[Any], Any] | None) -> None:
        self.output = output
        self._logits = baseline is not None and baseline.logits
        self._heads = baseline.output_names if baseline is not None else ()
        scored = baseline is not None and baseline.confidence is not None
        self._classes = {name: place for place, name in enumerate(baseline.classes)} if baseline is not None and scored else {}

    def __call__(self, answer: Any, rows: int = 0) -> Kept:
        """The predictions, one a row; those of each output where there are several. `rows` is how many there should be, 0 where unknown.

        Raises `Unsupported`, which says what to do, for what means nothing to a model of this baseline.
        """
        if self.output is not None:
            answer = self.output(answer)
        if type(answer) is float:
            return answer
        if self._heads:
            return tuple(part if type(part) is float else self._array(part) for part in heads(answer, self._heads))
        if self._classes and not isinstance(answer, np.ndarray):
            answer = self._by_class(answer)
        return self._array(self._row(answer) if self._classes and rows == 1 else answer)

    def _by_class(self, answer: Any) -> Any:
        """Probabilities that are named by their class, in the order of the classes."""
        if isinstance(answer, list) and (not answer or type(answer[0]) in (float, int, str)):
            return answer
        if hasattr(answer, "columns") and self._names_classes(names_of(answer)):
            columns = frame_columns(answer, self._classes)
            return np.column_stack([as_numpy(columns[name]) for name in self._classes])
        if isinstance(answer, Mapping) and self._names_classes(answer):
            return np.column_stack([answer[name] for name in sorted(answer, key=self._place)])
        if isinstance(answer, list) and isinstance(answer[0], Mapping) and self._names_classes(answer[0]):
            return np.array([[row[name] for name in sorted(row, key=self._place)] for row in answer])
        return answer

    def _names_classes(self, names: Any) -> bool:
        return len(names) == len(self._classes) and self._classes.keys() >= set(map(label_of, names))

    def _place(self, name: Any) -> int:
        return self._classes[label_of(name)]

    def _row(self, answer: Any) -> Any:
        """An answer for one row: a flat vector of one probability for each class, 1 together, is a row of them; so is one of logits."""
        classes = len(self._classes)
        if isinstance(answer, list | tuple):
            if len(answer) != classes or not all(isinstance(value, float | np.floating) for value in answer):
                return answer
            array = np.array(answer)
        elif getattr(answer, "shape", None) == (classes,):
            array = as_numpy(answer)
        else:
            return answer
        return array.reshape(1, -1) if array.dtype.kind == "f" and (self._logits or abs(float(array.sum()) - 1) < 1e-3) else answer

    def _array(self, answer: Any) -> Array:
        array = as_array(answer, logits=self._logits)
        if array.dtype.kind == "O":
            strange = next((value for value in array.flat if _is_strange(value)), None)
            if strange is not None:
                mend = "give output=, a function that makes of an answer what is counted: labels, probabilities or values"
                raise Unsupported(f"{type(strange).__name__} in an answer is no prediction; {mend}", len(array))
        kept: Array = array.copy()
        return kept


def rows_of(kept: Kept) -> int:
    """How many rows these predictions are for."""
    if isinstance(kept, tuple):
        kept = kept[0]
    return 1 if isinstance(kept, float) else len(kept)


def weight_of(kept: Kept) -> int:
    """What these predictions take while they wait, in numbers."""
    if isinstance(kept, tuple):
        return sum(map(weight_of, kept))
    if isinstance(kept, float):
        return 1
    if kept.dtype.kind != "O":
        return kept.size
    return sum(1 + len(value) // 8 if isinstance(value, str) else 1 for value in kept.flat)


def _is_strange(value: Any) -> bool:
    """Whether this is no label: a container, or an object without a text of its own."""
    if isinstance(value, str | bytes | int | float) or value is None:
        return False
    kind: Any = type(value)
    nameless = kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    return nameless or isinstance(value, Mapping | Sequence | set | frozenset | np.ndarray) or is_record(value)
