"""Reads inputs in which a value may be a time, a text or a vector; models of plain numbers and categories never come here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import as_numpy, is_sparse
from otel_ml._capture import VALUES_OF_TEXT, Capture, Captured, Unsupported, copied, is_column, one_size, without_baseline
from otel_ml._derive import Derivation
from otel_ml._frames import frame_columns, from_series, names_of
from otel_ml._values import ABSENT
from otel_ml.baseline import Baseline


def capture_for(baseline: Baseline | None, model: str, beside: Sequence[str] = (), *, looked_at: bool = False) -> Callable[[Any], Captured]:
    """What reads the inputs of a model, whose values are `looked_at` one by one or only counted."""
    if baseline is None:
        return without_baseline
    derivation = Derivation((feature.name, feature.source) for feature in baseline.features)
    if derivation.any:
        return DerivedCapture(derivation, model, beside)
    numbers = all(feature.type == "numeric" for feature in baseline.features)
    return Capture(derivation.columns, model, beside, packs=numbers and not looked_at)


class DerivedCapture(Capture):
    """Gives rows or columns, never a matrix; a vector is one value of its row."""

    def __init__(self, derivation: Derivation, model: str, beside: Sequence[str]) -> None:
        super().__init__(derivation.columns, model, beside)
        self._vectors = derivation.vectors
        self._texts = tuple(place for place, name in enumerate(derivation.columns) if name in derivation.texts)
        self._vector_places = tuple(place for place, name in enumerate(derivation.columns) if name in derivation.vectors)
        self._only = derivation.columns[0] if len(derivation.columns) == 1 and derivation.vectors else None

    def __call__(self, data: Any) -> Captured:
        """See `Capture.__call__`."""
        captured = super().__call__(data)
        if captured.matrix is not None:
            columns = {name: captured.matrix[:, place] for place, name in enumerate(self._names)}
            captured.matrix, captured.columns = None, columns
        if captured.rows is not None and self._vector_places:
            captured.rows = [
                tuple(copied(value) if place in self._vector_places else value for place, value in enumerate(row)) for row in captured.rows
            ]
        captured.weight += self._weight(captured)
        captured.moment = time.time()
        return captured

    def _weight(self, captured: Captured) -> int:
        if captured.rows is not None:
            return sum(_width(row[place]) for row in captured.rows for place in self._vector_places)
        columns = captured.columns or {}
        texts = sum(len(value) for place in self._texts for value in columns.get(self._names[place], ()) if isinstance(value, str))
        vectors = sum(_vector_weight(columns[name], captured.size) for name in self._vectors if name in columns)
        return texts // VALUES_OF_TEXT + vectors

    def _from_mapping(self, data: Mapping[str, Any]) -> Captured:
        row, more = self._row(data)
        columns = {name: value for name, value in zip(self._names, row, strict=True) if value is not ABSENT}
        sizes = {name: self._size(name, value) for name, value in columns.items()}
        if set(sizes.values()) <= {None}:
            return self._from_tuples((row,), more)
        size = one_size(sizes)
        made = {name: [value] * size if sizes[name] is None else _as_column(value) for name, value in columns.items()}
        return Captured(size, columns=made, extra=size * more)

    def _size(self, name: str, value: Any) -> int | None:
        """How many rows a value of a mapping stands for; None where it is that of one row."""
        if is_sparse(value):
            return int(value.shape[0])
        if not is_column(value):
            return None
        return None if name in self._vectors and not _holds_vectors(value) else len(value)

    def _from_array(self, array: npt.NDArray[Any]) -> Captured:
        if self._only is not None and not array.dtype.names and array.dtype != object:
            matrix = array.reshape(1, -1) if array.ndim == 1 else array
            if matrix.ndim != 2:
                raise Unsupported(f"an array of shape {array.shape} is not rows x dimensions", len(array))
            return Captured(len(matrix), columns={self._only: matrix})
        if array.dtype.kind in "mM" and array.ndim == 2:
            self._check_shape(array.shape)
            return Captured(len(array), columns={name: array[:, place] for place, name in enumerate(self._names)})
        return super()._from_array(array)

    def _from_sparse(self, matrix: Any) -> Captured:
        return Captured(matrix.shape[0], columns={self._only: matrix}) if self._only is not None else super()._from_array(matrix.toarray())

    def _from_frame(self, frame: Any) -> Captured:
        size, names = len(frame), names_of(frame)
        return Captured(size, columns=frame_columns(frame, self._names), extra=size * self._has_extras(names))

    def _from_tuples(self, rows: Sequence[Any], extra: int = 0) -> Captured:
        if self._only is None or not rows or len(rows[0]) == 1:
            return super()._from_tuples(rows, extra)
        return Captured(len(rows), rows=[(row,) for row in rows], extra=extra)

    def _from_values(self, data: Sequence[Any]) -> Captured:
        return super()._from_values(data) if self._only is None else Captured(1, rows=((list(data),),))


def _holds_vectors(column: Any) -> bool:
    if getattr(column, "ndim", 1) > 1:
        return True
    first = next((value for value in column if value is not None), None)
    return isinstance(first, tuple) or is_column(first)


def _width(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple | np.ndarray) else 0


def _vector_weight(column: Any, size: int) -> int:
    if is_sparse(column):
        return int(column.nnz)
    return size * _width(column[0]) if size else 0


def _as_column(value: Any) -> Any:
    """A column of a mapping as an array or a list; what is sparse stays so."""
    if is_sparse(value) or isinstance(value, list):
        return value
    return from_series(value) if hasattr(value, "to_numpy") and not hasattr(value, "detach") else as_numpy(value)
