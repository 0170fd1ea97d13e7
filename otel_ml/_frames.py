"""Any table as named columns, without importing the library it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from otel_ml.errors import BaselineError, Fault

Columns = dict[str, Any]


def columns_of(table: Any, feature_names: Sequence[str] | None = None) -> Columns:
    """The columns of `table` by name: numpy arrays where the source has them, else lists; all of one length.

    Takes pandas, polars and pyarrow frames, numpy arrays (two dimensions with `feature_names`, or structured), a mapping of
    columns, and a list of mappings (one a row; an absent key is None). Raises `BaselineError` for anything else.
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


def _read(table: Any, feature_names: Sequence[str] | None) -> Columns:
    if isinstance(table, np.ndarray):
        return _from_array(table, feature_names)
    if isinstance(table, Mapping):
        return {str(name): column for name, column in table.items()}
    if hasattr(table, "columns") and hasattr(table, "__getitem__"):
        names = getattr(table, "column_names", None) or list(table.columns)
        return {str(name): _from_series(table[name]) for name in names}
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        if all(isinstance(row, Mapping) for row in table):
            names = list(dict.fromkeys(name for row in table for name in row))
            return {str(name): [row.get(name) for row in table] for name in names}
        try:
            return _from_array(np.asarray(table), feature_names)
        except ValueError:
            pass
    raise BaselineError(
        "the data",
        [Fault("type", f"{type(table).__name__} is not a table", "give a DataFrame, an array with feature_names, or a list of dicts")],
    )


def _from_series(series: Any) -> Any:
    """A numpy array for numbers and booleans; else a list, in which None stays None."""
    array = series.to_numpy()
    if array.dtype.kind in "iufbM":
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
    return {str(name): array[:, index] for index, name in enumerate(feature_names)}
