"""From whatever a model is given to rows in the baseline's order; looked at before the call, copied before it returns.

Three forms serve every input: a numeric matrix, rows as tuples, and columns by name. The first is what arrays become, the
second what mappings become, the third what large frames become.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, starmap
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import DENSE, as_numpy, is_sparse, is_tensor
from otel_ml._frames import frame_columns, names_of, picked
from otel_ml._guard import logger
from otel_ml._records import as_mapping, fields_of, flattened, heads_of, is_record
from otel_ml._values import ABSENT, MAX_LABEL, Absent, label_of
from otel_ml.catalogue import VIOLATION_EXTRA_COLUMN

_NUMPY = {np.dtype(code).type for code in "?bhilqBHILQefdM"}
_NUMBERS = frozenset({int, float, bool, type(None), Decimal, dt.datetime, dt.date, Absent, *_NUMPY})
_SCALARS = _NUMBERS | {str, np.str_}

VALUES_OF_TEXT = 100
"""Characters of a waiting text that weigh as much as a number."""

OBJECT = 1024
"""What a value weighs that is no plain one: nobody knows how large it is, and whether it will change."""

SMALL_FRAME = 256
"""A frame of fewer rows is read in one go; column by column costs more than it saves."""

NAMED_EXTRAS = 10
"""Columns unknown to the baseline that a log line names: their names come from outside."""

TOLD_EXTRAS = 100
"""After so many of them nothing more is logged."""


class Unsupported(TypeError):  # noqa: N818 - it is a reason, not an accident
    """The input, of `rows` rows where that can be told, has no form that can be counted; the call itself is still measured."""

    def __init__(self, message: str, rows: int = 1) -> None:
        super().__init__(message)
        self.rows = rows


@dataclass(slots=True)  # one is made for each call, which a frozen one would make dearer
class Captured:
    """One call's input: exactly one of `matrix` (rows x features), `packed`, `rows`, `columns` and `sparse` is set.

    `rows` are tuples in feature order, `packed` are rows of numbers as the bytes of float64. `sparse` is only set when it is large
    enough to be counted before the call. `extra` rows have columns beyond the baseline's. `weight` is what texts and vectors take
    besides one value a feature; `moment` is when the call was, in seconds since 1970, where a feature depends on it.
    """

    size: int
    matrix: npt.NDArray[Any] | None = None
    packed: bytes | None = None
    rows: Sequence[tuple[Any, ...]] | None = None
    columns: Mapping[str, Any] | None = None
    sparse: Any = None
    extra: int = 0
    weight: int = 0
    moment: float = 0.0

    def detach(self) -> None:
        """Be safe from a caller who uses the buffer again; what is not a buffer is a copy already."""
        if self.matrix is not None:
            self.matrix = self.matrix.copy()
        elif self.columns is not None:
            self.columns = {name: copied(column) for name, column in self.columns.items()}

    def at(self, places: npt.NDArray[np.intp]) -> Captured:
        """The rows at those places; the last one for places beyond it."""
        places = np.minimum(places, self.size - 1)
        some = Captured(len(places), moment=self.moment)
        if self.matrix is not None:
            some.matrix = self.matrix[places]
        elif self.packed is not None:
            some.packed = np.frombuffer(self.packed, np.dtype((np.void, len(self.packed) // self.size)))[places].tobytes()
        elif self.rows is not None:
            some.rows = [self.rows[place] for place in places]
        elif self.columns is not None:
            some.columns = {name: picked(column, places) for name, column in self.columns.items()}
        elif self.sparse is not None:
            some.sparse = self.sparse.tocsr()[places]
        return some


class Capture:
    """Reads the inputs of `model`, whose features are `names`, in the baseline's order; columns `beside` them may be there too.

    Where all features are numbers and nobody wants to see their rows, it `packs` them.
    """

    def __init__(self, names: Sequence[str], model: str = "", beside: Sequence[str] = (), *, packs: bool = False) -> None:
        self._names = tuple(names)
        self._pack = struct.Struct(f"{len(names)}d").pack if packs and names else None
        self._model = model
        self._beside = frozenset(beside)
        self._numbered = self._names == tuple(map("f{}".format, range(len(self._names))))
        self._known = frozenset(names)
        self._expected = self._known | self._beside
        self._familiar = self._expected
        self._told = 0
        self._heads = heads_of(names)
        self._outer = self._known | self._heads
        self._width = len(self._names)
        self._pick: Callable[[Any], tuple[Any, ...]] = _picker(self._names)

    def __call__(self, data: Any) -> Captured:  # noqa: C901, PLR0911 - one for each kind of input
        """The rows of `data`; raises `Unsupported` that says what to do. Nothing is consumed and only mappings are copied."""
        if type(data) is dict:
            return self._from_mapping(data)
        if isinstance(data, np.ndarray):
            if type(data) is np.ndarray and data.dtype.kind in "fiub" and data.ndim == 2 and data.shape[1] == self._width:
                return Captured(len(data), data)  # by far the commonest, and asked for nothing else
            return self._from_array(data)
        if isinstance(data, list | tuple):
            return self._from_mapping(self._mapping_of(data)) if self._is_named(data) else self._from_sequence(data)
        if is_sparse(data):
            return self._from_sparse(data)
        if isinstance(data, Mapping):
            return self._from_mapping(data)
        if hasattr(data, "__len__") and hasattr(data, "columns"):
            return self._from_frame(data)
        if hasattr(data, "__array__"):
            return self._from_array_like(data)
        if is_record(data):
            return self._from_mapping(self._mapping_of(data))
        if self._width == 1 and type(data) in _SCALARS:
            return self._from_tuples([(data,)])
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            return self._from_sequence(list(data))
        raise Unsupported(f"{type(data).__name__} is no table, array, mapping or list; pass one of these to the monitored function")

    def _of_numbers(self, rows: Sequence[Sequence[Any]], extra: int = 0) -> Captured | None:
        """Rows as bytes, which takes an eighth of the time that looking at the types of their values does; None unless all are numbers."""
        if self._pack is None:
            return None
        try:
            return Captured(len(rows), packed=b"".join(starmap(self._pack, rows)), extra=extra)
        except Exception:  # noqa: BLE001 - struct.error where one is no number, and a user's __float__ may raise anything
            return None

    def _row(self, row: Mapping[str, Any]) -> tuple[tuple[Any, ...], bool]:
        """The values of a row, and whether it has others; only a plain dict is asked for what it may lack."""
        if type(row) is dict:
            try:
                return self._pick(row), len(row) > self._width and self._has_extras(row)
            except KeyError:
                pass
        if not isinstance(row, Mapping):
            raise Unsupported(f"{type(row).__name__} among rows that are mappings")
        named = flattened(row, self._outer, self._heads)
        return tuple(named.get(name, ABSENT) for name in self._names), self._has_extras(named)

    def _mapping_of(self, record: Any) -> dict[str, Any]:
        return as_mapping(record, self._outer)

    def _has_extras(self, names: Collection[Any]) -> bool:
        """Whether there are columns beyond the baseline's, each of which is told once."""
        if len(names) > self._width and not self._beside and self._familiar.issuperset(names):
            return True
        further = set(map(str, names)) - self._expected
        new = further - self._familiar
        if new and self._told < TOLD_EXTRAS:
            extras = [name for name in map(str, names) if name in new]
            self._tell_extras(extras)
            self._told += len(extras)
            self._familiar |= {name for name in extras[:TOLD_EXTRAS] if len(name) <= MAX_LABEL}
        return bool(further)

    def _tell_extras(self, extras: Sequence[str]) -> None:
        more = f" and {len(extras) - NAMED_EXTRAS} more" if len(extras) > NAMED_EXTRAS else ""
        logger.warning(
            "model %s is given columns that its baseline does not have: %s%s; they count as violations of type %s, later ones in silence",
            self._model,
            ", ".join(repr(label_of(name)) for name in extras[:NAMED_EXTRAS]),
            more,
            VIOLATION_EXTRA_COLUMN,
        )

    def extras_of(self, data: Any) -> Iterator[tuple[int, str]]:
        """The columns beyond the baseline's, each with the first row that has it; looks at every row, so ask only where it matters."""
        found = set(self._expected)
        rows = data if isinstance(data, Sequence) and not self._is_named(data) else [data]
        for row, each in enumerate(rows):
            for name in self._names_in(each):
                if name not in found:
                    found.add(name)
                    yield row, label_of(name)

    def _names_in(self, row: Any) -> Iterable[str]:
        if hasattr(row, "columns"):
            return names_of(row)
        if isinstance(row, np.ndarray):
            return row.dtype.names or (name for each in row.flat if isinstance(each, Mapping) for name in self._names_in(each))
        if self._is_series(row):
            return map(str, row.index)
        named = row if isinstance(row, Mapping) else self._mapping_of(row) if is_record(row) else {}
        return map(str, flattened(named, self._outer, self._heads))

    def _from_mapping(self, data: Mapping[str, Any]) -> Captured:
        row, more = self._row(data)
        numbers = self._of_numbers((row,), more) if row and type(row[0]) in _SCALARS else None
        if numbers is not None:
            return numbers
        kinds = set(map(type, row))
        if kinds <= _SCALARS or not any(map(is_column, row)):
            return Captured(1, rows=(row,), extra=more, weight=0 if kinds <= _NUMBERS else _weight(row, kinds))
        columns = {name: _plain(value) for name, value in zip(self._names, row, strict=True) if value is not ABSENT}
        size = one_size({name: len(value) if is_column(value) else None for name, value in columns.items()})
        return Captured(size, columns={name: _column(value, size) for name, value in columns.items()}, extra=size * more)

    def _from_array(self, array: npt.NDArray[Any]) -> Captured:
        if hasattr(type(array), "mask"):  # numpy.ma, which takes long to import: who has a masked array has it already
            hidden, array = np.ma.getmaskarray(array), np.array(array, dtype=object)
            array[hidden] = None
        fields = array.dtype.names
        if fields:
            array = array.reshape(-1)
            columns = {name: array[name] for name in self._names if name in fields}
            return Captured(array.size, columns=columns, extra=array.size * self._has_extras(fields))
        if array.ndim == 1 and array.dtype == object and array.size and isinstance(array[0], Mapping):
            return self._from_rows(array.tolist())
        if array.ndim < 2:
            array = array.reshape(-1, 1) if self._width == 1 else array.reshape(1, -1)
        self._check_shape(array.shape)
        if array.dtype.kind in "fiub":
            return Captured(array.shape[0], matrix=array)
        return self._from_tuples(tuple(map(tuple, array.tolist())))

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise Unsupported(f"an array of shape {shape} is not rows x features", shape[0] if shape else 1)
        if shape[1] != self._width:
            raise Unsupported(
                f"{shape[1]} columns where the baseline has {self._width} features ({', '.join(self._names[:5])}, ...)", shape[0]
            )

    def _from_sparse(self, matrix: Any) -> Captured:
        shape = matrix.shape
        if len(shape) == 1 or shape[0] * shape[1] <= DENSE:
            return self._from_array(matrix.toarray())
        self._check_shape(shape)
        return Captured(shape[0], sparse=matrix)

    def _from_array_like(self, data: Any) -> Captured:
        """A tensor by position; a Series that is a row of a frame by its index."""
        if self._is_series(data):
            return self._from_mapping(dict(zip(data.index, data.tolist(), strict=True)))
        return self._from_array(as_numpy(data))

    def _is_series(self, data: Any) -> bool:
        """Whether this is a Series that is a row of a frame."""
        index = getattr(data, "index", ())
        return self._width > 1 and not callable(index) and not self._known.isdisjoint(map(str, index))

    def _from_frame(self, frame: Any) -> Captured:
        size, names = len(frame), names_of(frame)
        if self._is_unnamed(names):
            return Captured(size, columns=dict(zip(self._names, frame_columns(frame, names).values(), strict=True)))
        extra = size * self._has_extras(names)
        if size >= SMALL_FRAME or not hasattr(frame, "to_numpy"):
            return Captured(size, columns=frame_columns(frame, self._names), extra=extra)
        present = {name: position for position, name in enumerate(names)}
        positions = [present.get(name, -1) for name in self._names]
        array = frame.to_numpy()
        if array.dtype.kind in "fiu" and -1 not in positions and not extra:
            return Captured(size, matrix=array[:, positions])
        rows = [tuple(ABSENT if p < 0 else row[p] for p in positions) for row in array.tolist()]
        return self._from_tuples(rows, extra)

    def _is_unnamed(self, names: Sequence[str]) -> bool:
        """Whether the columns of a frame, or those of the baseline, were only numbered, so that they are told by their position."""
        if len(names) != self._width or not self._known.isdisjoint(names):
            return False
        return self._numbered or names == list(map(str, range(self._width)))

    def _from_sequence(self, data: Sequence[Any]) -> Captured:  # noqa: PLR0911 - one for each kind of row
        if not data:
            return Captured(0, rows=())
        first = data[0]
        if type(first) in _SCALARS:
            return self._from_values(data)
        if isinstance(first, Mapping):
            return self._from_rows(data)
        if self._is_named(first) or (not isinstance(first, tuple) and is_record(first)):
            return self._from_rows([self._mapping_of(row) for row in data])
        if self._is_series(first):
            return self._from_rows([dict(zip(row.index, row.tolist(), strict=True)) for row in data])
        if hasattr(first, "__array__") and getattr(first, "ndim", True):
            return self._from_arrays([as_numpy(row) for row in data])
        return self._from_tuples(data) if isinstance(first, list | tuple) else self._from_values(data)

    def _from_values(self, data: Sequence[Any]) -> Captured:
        """A row of values, or a batch for a model of one feature."""
        return self._from_tuples((data,) if self._width != 1 else [(value,) for value in data])

    def _from_arrays(self, rows: Sequence[npt.NDArray[Any]]) -> Captured:
        if len({(row.dtype, row.shape) for row in rows}) == 1:
            return self._from_array(np.array(rows))
        return self._from_tuples(rows)

    def _from_tuples(self, rows: Sequence[Any], extra: int = 0) -> Captured:
        numbers = self._of_numbers(rows, extra)
        if numbers is not None:
            return numbers
        wrong = next((len(row) for row in rows if len(row) != self._width), None)
        if wrong is not None:
            raise Unsupported(f"a row of {wrong} values where the baseline has {self._width} features", len(rows))
        kinds = set(map(type, chain.from_iterable(rows)))
        weight = 0 if kinds <= _NUMBERS else _weight(chain.from_iterable(rows), kinds)
        return Captured(len(rows), rows=list(map(tuple, rows)), extra=extra, weight=weight)

    def _is_named(self, row: Any) -> bool:
        """Whether this is a named tuple that names features, all of them unless it could not be read by position."""
        if not hasattr(row, "_fields"):
            return False
        fields = fields_of(type(row))
        return self._known.issubset(fields) or (len(fields) != self._width and not self._known.isdisjoint(fields))

    def _from_rows(self, data: Sequence[Mapping[str, Any]]) -> Captured:
        found = [self._row(row) for row in data]
        return self._from_tuples([values for values, _ in found], sum(more for _, more in found))


def is_column(value: Any) -> bool:
    """Whether a value of a mapping is a column of a batch, rather than that of one row."""
    if isinstance(value, list | tuple):
        return True
    if not hasattr(value, "__array__"):
        return False
    shape = getattr(value, "shape", None)  # a variable of TensorFlow has this, and no length
    return hasattr(value, "__len__") if shape is None else len(shape) > 0


def one_size(sizes: Mapping[str, int | None]) -> int:
    """How long the columns of a mapping are, None for a single value; raises `Unsupported` where they differ."""
    known = {size for size in sizes.values() if size is not None}
    if len(known) > 1:
        raise Unsupported(f"columns of different lengths: {dict(sizes)}", max(known))
    return next(iter(known), 0)


def _column(value: Any, size: int) -> Any:
    """A column of a mapping; a single value as often as there are rows."""
    return value if is_column(value) else [value] * size


def _plain(value: Any) -> Any:
    """What stands for a column in a mapping; a tensor as an array."""
    return as_numpy(value).reshape(-1) if is_tensor(value) and is_column(value) else value


def _weight(values: Iterable[Any], kinds: set[type]) -> int:
    """What values weigh besides one each."""
    texts = sum([len(value) for value in values if type(value) is str]) // VALUES_OF_TEXT if str in kinds else 0
    return texts if kinds <= _SCALARS else texts + OBJECT


def _picker(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)


def without_baseline(data: Any) -> Captured:
    """So many rows, and nothing in them; a flat row of numbers is one.

    >>> without_baseline([[1.0, 2.0], [3.0, 4.0]]).size, without_baseline({"age": [1, 2, 3]}).size, without_baseline("text").size
    (2, 3, 1)
    """
    if isinstance(data, Mapping):
        data = next(iter(data.values()), ())
        return Captured(len(data) if is_column(data) else 1)
    if hasattr(data, "num_row"):
        return Captured(int(data.num_row()))
    if isinstance(data, str | bytes) or not (hasattr(data, "shape") or hasattr(data, "__len__")):
        return Captured(1)
    if isinstance(data, np.ndarray) and data.ndim < 2 and data.dtype.kind in "fiub":
        return Captured(1)
    if isinstance(data, list | tuple) and data and type(data[0]) in _NUMBERS:
        return Captured(1)
    shape = getattr(data, "shape", None)
    return Captured(len(data) if shape is None else int(shape[0]) if len(shape) else 1)


def copied(values: Any) -> Any:
    """A column or a prediction, safe from a caller who changes it later."""
    if type(values) in _SCALARS:
        return values
    if isinstance(values, np.ndarray):
        return values.copy()
    if isinstance(values, list):
        return list(values)
    if is_sparse(values):
        return values.copy()
    if hasattr(values, "__array__"):
        return np.array(as_numpy(values))
    return values
