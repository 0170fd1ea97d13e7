"""Any table as named columns, without importing the library it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from otel_ml._arrays import as_numpy, is_sparse, is_tensor
from otel_ml._records import as_mapping, heads_of, is_record, part_of, unfolded, with_part
from otel_ml._values import is_missing, label_of
from otel_ml.errors import BaselineError, Fault

Columns = dict[str, Any]


def columns_of(table: Any, feature_names: Sequence[str] | None = None) -> Columns:
    """The columns of `table` by name: numpy arrays where the source has them, else lists; all of one length.

    Takes pandas, polars and pyarrow frames, numpy arrays (two dimensions with `feature_names`, or structured), a mapping of
    columns, and a list of mappings or objects (one a row; an absent key is None). A mapping or an object among their values gives columns
    such as `address.zip`. Raises `BaselineError` for anything else.
    """
    columns = _read(table, feature_names)
    if feature_names is not None:
        absent = [name for name in feature_names if name not in columns]
        if absent:
            mend = f"it has {', '.join(columns) or 'none'}"
            raise BaselineError("the data", [Fault(f"column {name!r}", "is not in the data", mend) for name in absent])
        columns = {name: columns[name] for name in feature_names}
    lengths = {name: len(column) for name, column in columns.items()}
    if not columns or not all(lengths.values()):
        raise BaselineError("the data", [Fault("rows", "there are none", "give at least one row and one column")])
    if len(set(lengths.values())) > 1:
        raise BaselineError("the data", [Fault("columns", f"have different lengths: {lengths}", "give a value for every row")])
    return columns


def names_of(frame: Any) -> list[str]:
    """The names of the columns of a pandas, polars or pyarrow frame, as text."""
    return [str(name) for name in getattr(frame, "column_names", None) or list(frame.columns)]


def frame_columns(frame: Any, names: Iterable[str]) -> Columns:
    """Those columns of a frame that are among `names`; the others are not touched."""
    own = getattr(frame, "column_names", None) or list(frame.columns)
    wanted = set(names)
    return {str(name): from_series(frame[name]) for name in own if str(name) in wanted}


def column_of(given: Any, name: str) -> Any:
    """One column, given by itself, as `columns_of` would have it."""
    return columns_of({name: given})[name]


def joined(parts: Sequence[Any]) -> Any:
    """Columns of several tables, one after the other."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return [value for part in parts for value in (part.tolist() if isinstance(part, np.ndarray) else part)]


def picked(column: Any, rows: Any) -> Any:
    """Those rows of a column that the positions `rows` name, in their order."""
    return column[rows] if isinstance(column, np.ndarray) or is_sparse(column) else [column[row] for row in rows]


def take(table: Any, names: Sequence[str], rows: Any) -> Any:  # noqa: PLR0911 - one for each kind of table
    """A copy of some rows of `table`, with the columns `names` alone, of the type that `table` has.

    A two-dimensional array keeps all its columns, since it has no names for them.
    """
    if isinstance(table, np.ndarray) and table.dtype.names is None:
        return table[rows]
    if isinstance(table, np.ndarray):
        return table[list(names)][rows]
    if isinstance(table, Mapping):
        own = {str(name): name for name in table}
        if not own.keys() >= set(names):
            table, own = unfolded(table), {name: name for name in names}
        return {own[name]: _rows_of(table[own[name]], rows) for name in names}
    if hasattr(table, "iloc"):
        own = {str(name): name for name in table.columns}
        return table[[own[name] for name in names]].iloc[rows]
    if hasattr(table, "take"):
        return table.select(list(names)).take(rows)
    if hasattr(table, "with_columns"):
        return table.select(list(names))[rows.tolist()]
    return [table[row] for row in rows.tolist()]


def reordered(table: Any, names: Sequence[str], name: str, order: Any) -> Any:
    """A copy of `table`, as `take` gave it, in which the values of one column are in another order."""
    if isinstance(table, np.ndarray):
        changed = table.copy()
        column = (slice(None), names.index(name)) if table.ndim > 1 else name if table.dtype.names else slice(None)
        changed[column] = changed[column][order]
        return changed
    if isinstance(table, Mapping):
        return {own: _rows_of(column, order) if str(own) == name else column for own, column in table.items()}
    if hasattr(table, "iloc"):
        changed, place = table.copy(), [str(own) for own in table.columns].index(name)
        changed.isetitem(place, table.iloc[order, place].set_axis(table.index))
        return changed
    if hasattr(table, "take"):
        return table.set_column(table.schema.get_field_index(name), name, table.column(name).take(order))
    if hasattr(table, "with_columns"):
        return table.with_columns(table[name][order.tolist()])
    values = [part_of(row, name) for row in table]
    return [with_part(row, name, values[place]) for row, place in zip(table, order.tolist(), strict=True)]


def _rows_of(column: Any, rows: Any) -> Any:
    if hasattr(column, "iloc"):
        return column.iloc[rows]
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


def _read(table: Any, feature_names: Sequence[str] | None) -> Columns:
    if isinstance(table, np.ndarray) or is_sparse(table) or is_tensor(table):
        return _from_array(as_numpy(table), feature_names)
    if isinstance(table, Mapping):
        columns = {name: _given(column) for name, column in unfolded(table).items()}
        scalar = [name for name, column in columns.items() if isinstance(column, str | bytes) or not hasattr(column, "__len__")]
        if scalar:
            raise BaselineError(
                "the data", [Fault(f"column {name!r}", "is one value", "give a list with one entry a row") for name in scalar]
            )
        return columns
    if hasattr(table, "__len__") and hasattr(table, "columns"):
        names = names_of(table)
        _refuse_twice(names)
        return frame_columns(table, names if feature_names is None else feature_names)
    if isinstance(table, list) and table and all(map(is_record, table)):
        table = [as_mapping(row) for row in table]
    if isinstance(table, Sequence) and not isinstance(table, str | bytes) and all(isinstance(row, Mapping) for row in table):
        table = [unfolded(row) for row in table]
        keys = dict.fromkeys(key for row in table for key in row)
        columns, heads = {key: [row.get(key) for row in table] for key in keys}, heads_of(keys)
        return {key: column for key, column in columns.items() if key not in heads or any(value is not None for value in column)}
    if hasattr(table, "__array__") or (isinstance(table, Sequence) and not isinstance(table, str | bytes)):
        try:
            return _from_array(np.asarray(table), feature_names)
        except BaselineError:
            raise
        except ValueError:
            pass
    raise BaselineError(
        "the data",
        [Fault("type", f"{type(table).__name__} is not a table", "give a DataFrame, an array with feature_names, or a list of dicts")],
    )


def _given(column: Any) -> Any:
    if is_tensor(column):
        return as_numpy(column)
    return from_series(column) if hasattr(column, "to_numpy") else column


def _refuse_twice(names: Sequence[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise BaselineError(
            "the data", [Fault(f"column {name!r}", "occurs more than once", "rename or drop one of them") for name in twice]
        )


def from_series(series: Any) -> Any:
    """A numpy array for numbers, booleans and times; else a list, in which None stays None. Declared categories are text."""
    if str(getattr(series, "dtype", "")) == "category":
        return [None if is_missing(value) else label_of(value) for value in series.tolist()]
    array = np.asarray(series)
    if array.dtype.kind in "iufbmM":
        return array
    return series.to_pylist() if hasattr(series, "to_pylist") else array.tolist()


def _from_array(array: Any, feature_names: Sequence[str] | None) -> Columns:
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2:
        raise BaselineError("the data", [Fault("shape", f"{array.shape} has {array.ndim} dimensions", "give rows x features")])
    if feature_names is None:
        feature_names = [f"f{index}" for index in range(array.shape[1])]
    if len(feature_names) != array.shape[1]:
        raise BaselineError(
            "the data",
            [Fault("feature_names", f"{len(feature_names)} names for {array.shape[1]} columns", "give one name for each column")],
        )
    names = [str(name) for name in feature_names]
    _refuse_twice(names)
    return {name: array[:, index] for index, name in enumerate(names)}
