"""From whatever a model is given to rows in the baseline's order; looked at before the call, copied before it returns.

Three forms serve every input: a numeric matrix, rows as tuples, and columns by name. The first is what arrays become, the
second what mappings become, the third what large frames become.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.ma import MaskedArray, getmaskarray

from otel_ml._frames import frame_columns, names_of

_SCALARS = frozenset({int, float, bool, str, type(None), np.float64, np.float32, np.int64, np.int32, np.bool_, np.str_})

SMALL_FRAME = 256
"""A frame of fewer rows is read in one go; column by column costs more than it saves."""


class Absent:
    """Stands for a column that the input does not have; there is one instance."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = Absent()


class Unsupported(TypeError):  # noqa: N818 - it is a reason, not an accident
    """The input, of `rows` rows where that can be told, has no form that can be counted; the call itself is still measured."""

    def __init__(self, message: str, rows: int = 1) -> None:
        super().__init__(message)
        self.rows = rows


class Captured(NamedTuple):
    """One call's input: exactly one of `matrix` (rows x features), `rows` (tuples in feature order) and `columns` is set."""

    size: int
    matrix: npt.NDArray[Any] | None = None
    rows: Sequence[tuple[Any, ...]] | None = None
    columns: Mapping[str, Any] | None = None

    def copy(self) -> Captured:
        """The same, safe from a caller who uses the buffer again; `rows` are copies already."""
        if self.matrix is not None:
            return Captured(self.size, self.matrix.copy())
        if self.columns is not None:
            return Captured(self.size, columns={name: copied(column) for name, column in self.columns.items()})
        return self


class Capture:
    """Reads the inputs of one model whose features are `names`, in the baseline's order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._known = frozenset(names)
        self._width = len(self._names)
        self._pick: Callable[[Any], tuple[Any, ...]] = _picker(self._names)

    def __call__(self, data: Any) -> Captured:
        """The rows of `data`; raises `Unsupported` with the mend. Nothing is consumed and only mappings are copied."""
        if type(data) is dict:
            return self._from_mapping(data)
        if isinstance(data, np.ndarray):
            return self._from_array(data)
        if isinstance(data, Mapping):
            return self._from_mapping(data)
        if hasattr(data, "__len__") and hasattr(data, "columns"):
            return self._from_frame(data)
        if isinstance(data, list | tuple):
            return self._from_sequence(data)
        if hasattr(data, "__array__"):
            return self._from_array_like(data)
        raise Unsupported(f"{type(data).__name__} is no table, array, mapping or list; pass one of these to the monitored function")

    def _row(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        try:
            return self._pick(row)
        except KeyError:
            named = {str(name): value for name, value in row.items()}
            return tuple(named.get(name, ABSENT) for name in self._names)

    def _from_mapping(self, data: Mapping[str, Any]) -> Captured:
        row = self._row(data)
        if _SCALARS.issuperset(map(type, row)) or not any(map(_is_column, row)):
            return Captured(1, rows=(row,))
        columns = {name: value for name, value in zip(self._names, row, strict=True) if value is not ABSENT}
        sizes = {name: len(value) if _is_column(value) else None for name, value in columns.items()}
        if len(set(sizes.values())) > 1:
            raise Unsupported(f"columns of different lengths: {sizes}", max(size or 1 for size in sizes.values()))
        return Captured(next(iter(sizes.values())) or 0, columns=columns)

    def _from_array(self, array: npt.NDArray[Any]) -> Captured:
        if isinstance(array, MaskedArray):
            hidden, array = getmaskarray(array), np.array(array, dtype=object)
            array[hidden] = None
        if array.dtype.names:
            return Captured(array.size, columns={name: array[name] for name in self._names if name in array.dtype.names})
        if array.ndim == 1:
            array = array.reshape(-1, 1) if self._width == 1 else array.reshape(1, -1)
        elif array.ndim != 2:
            raise Unsupported(f"an array of shape {array.shape} is not rows x features", len(array) if array.ndim else 1)
        if self._width and array.shape[1] != self._width:
            raise Unsupported(
                f"{array.shape[1]} columns where the baseline has {self._width} features ({', '.join(self._names[:5])}, ...)", len(array)
            )
        if array.dtype.kind in "fiub":
            return Captured(array.shape[0], matrix=array)
        return Captured(array.shape[0], rows=tuple(map(tuple, array.tolist())))

    def _from_array_like(self, data: Any) -> Captured:
        """A tensor by position; a Series that is a row of a frame by its index."""
        index = getattr(data, "index", ())
        if self._width > 1 and self._known <= set(map(str, index)):
            return self._from_mapping(dict(zip(index, data.tolist(), strict=True)))
        return self._from_array(np.asarray(data))

    def _from_frame(self, frame: Any) -> Captured:
        size = len(frame)
        if size >= SMALL_FRAME or not hasattr(frame, "to_numpy"):
            return Captured(size, columns=frame_columns(frame, self._names))
        present = {name: position for position, name in enumerate(names_of(frame))}
        positions = [present.get(name, -1) for name in self._names]
        array = frame.to_numpy()
        if array.dtype.kind in "fiu" and -1 not in positions:
            return Captured(size, matrix=array[:, positions])
        return Captured(size, rows=[tuple(ABSENT if p < 0 else row[p] for p in positions) for row in array.tolist()])

    def _from_sequence(self, data: Sequence[Any]) -> Captured:
        if not data:
            return Captured(0, rows=())
        if isinstance(data[0], Mapping):
            return Captured(len(data), rows=[self._row(row) for row in data])
        if set(map(type, data)) == {np.ndarray} and len({(row.dtype, row.shape) for row in data}) == 1:
            return self._from_array(np.array(data))
        if isinstance(data[0], list | tuple | np.ndarray):
            rows = [tuple(row) for row in data]
        else:
            rows = [tuple(data)] if self._width != 1 else [(value,) for value in data]
        wrong = next((len(row) for row in rows if len(row) != self._width), None) if self._width else None
        if wrong is not None:
            raise Unsupported(f"a row of {wrong} values where the baseline has {self._width} features", len(rows))
        return Captured(len(rows), rows=rows)


def _is_column(value: Any) -> bool:
    return isinstance(value, list | np.ndarray) or (
        hasattr(value, "__array__") and hasattr(value, "__len__") and not isinstance(value, str)
    )


def _picker(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)


def copied(values: Any) -> Any:
    """A column or a prediction, safe from a caller who changes it later."""
    if isinstance(values, np.ndarray):
        return values.copy()
    if isinstance(values, list):
        return list(values)
    if hasattr(values, "__array__"):
        return np.array(values)
    return values
