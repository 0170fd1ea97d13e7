"""Which segment of the traffic a row belongs to: one partition that the user declares, with values that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import as_numpy, is_sparse
from otel_ml._records import part_of
from otel_ml._values import is_missing, label_of
from otel_ml.catalogue import OTHER
from otel_ml.errors import Fault

MAX_SEGMENTS = 100
"""Most segments of a model: each has a series for every bin of the predictions and of the confidences."""

Source = str | Callable[[Any], Any]
Place = int | npt.NDArray[np.intp]
"""The place of a call's segment among the names, or one for each of its rows."""


class Segments:
    """The known values of a column, or of a function, of the input; whatever else occurs is of the segment `__other__`."""

    def __init__(self, source: Source, known: Sequence[str], features: Sequence[str]) -> None:
        self._source = source
        self._features = tuple(features)
        self.names = (*map(label_of, known), OTHER)
        self._places = {name: place for place, name in enumerate(self.names)}

    @property
    def other(self) -> int:
        """The place of `__other__`."""
        return len(self.names) - 1

    def __call__(self, data: Any) -> Place:
        """Where an input belongs; raises whatever the user's function and data raise."""
        values = self._source(data) if callable(self._source) else self._column(data, self._source)
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            return self._place(values)
        return np.array([self._place(value) for value in values], dtype=np.intp)

    def _place(self, value: Any) -> int:
        return self.other if is_missing(value) else self._places.get(label_of(value), self.other)

    def _column(self, data: Any, name: str) -> Any:
        if isinstance(data, list | tuple) and data and not isinstance(data[0], str | float | int | None):
            return [self._field(row, name) for row in data]
        return self._field(data, name)

    def _field(self, row: Any, name: str) -> Any:
        """What a row, or a table, holds under a name, or at its place; None where it holds nothing."""
        if isinstance(row, Mapping):
            return part_of(row, name)
        if not _has_places(row):
            if hasattr(row, "columns") or hasattr(row, "dtype"):
                return row[name]
            return part_of(row, name) if "." in name else getattr(row, name)
        if name not in self._features:
            raise ValueError(f"rows without names have no {name!r}; give segment= a function of the input")
        place = self._features.index(name)
        if isinstance(row, list | tuple):
            return row[place]
        return as_numpy(row.tocsr()[:, [place]] if is_sparse(row) else row.reshape(-1, len(self._features))[:, place]).reshape(-1).tolist()


def _has_places(row: Any) -> bool:
    """Whether values are found by their position: lists, plain arrays, tensors, sparse matrices."""
    if isinstance(row, list | tuple):
        return not hasattr(row, "_fields")
    named = hasattr(row, "columns") or hasattr(row, "iloc") or getattr(getattr(row, "dtype", None), "names", None)
    return hasattr(row, "shape") and not named


def faults_of(source: Source | None, known: Sequence[str]) -> list[Fault]:
    """What is wrong with the options `segment` and `segments`."""
    if source is None:
        return [Fault("segments", "are given without segment", "say which column, or function of the input, has them")] if known else []
    if not known:
        return [Fault("segments", "are absent", 'name the values that segment may have, as in segments=["eu", "us"]')]
    labels = [label_of(value) for value in known]
    if len(set(labels)) < len(labels) or OTHER in labels:
        return [Fault("segments", f"are {labels}", f"name each once; {OTHER} is what all others are counted as")]
    if len(labels) > MAX_SEGMENTS:
        return [Fault("segments", f"are {len(labels)}", f"name at most {MAX_SEGMENTS}, or declare a coarser partition")]
    return []
