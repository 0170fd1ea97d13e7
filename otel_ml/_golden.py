"""Golden records: rows whose answer is known, to prove that what serves is what was trained."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from otel_ml._arrays import as_numpy
from otel_ml._reading import AnswerReader, Kept
from otel_ml._records import nested
from otel_ml._values import is_missing, is_number, label_of
from otel_ml.baseline import Golden
from otel_ml.errors import BaselineError, Fault

FORMS = ("pandas", "polars", "pyarrow", "numpy", "lists", "dicts", "nested")
"""What the rows are handed to the model as: the type that the baseline's data had."""

MOST = 1_000
"""Most records of a baseline, and most categories of a column: a few dozen prove it, and each is raw data in the file."""


class Mismatch(NamedTuple):
    """One record that came out differently: in the `features` that `transform` made, or in the `output`."""

    row: int
    part: str
    expected: Any
    actual: Any


class Verification(NamedTuple):
    """What came of the golden records: how many there are, which differ, and the exception where the model raised one."""

    records: int
    mismatches: tuple[Mismatch, ...] = ()
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every record came out as it was."""
        return not self.mismatches and self.error is None

    @property
    def matches(self) -> int:
        """How many records came out as they were."""
        return 0 if self.error is not None else self.records - len({mismatch.row for mismatch in self.mismatches})


def chosen(rows: int, records: int) -> list[int]:
    """Which rows become records; the same each time."""
    size = min(rows, records, MOST)
    return sorted(np.random.default_rng(0).choice(rows, size, replace=False).tolist())


def golden_of(table: Any, columns: Mapping[str, Any], predictions: Any, records: int, transform: Callable[[Any], Any] | None) -> Golden:
    """Some rows of the data with what was predicted for them, and with what `transform` makes of them."""
    rows = chosen(len(predictions), records)
    form = _form_of(table)
    golden = Golden(
        form,
        tuple(columns),
        tuple(tuple(_plain(column[row]) for column in columns.values()) for row in rows),
        tuple(_plain(predictions[row]) for row in rows),
        _dtypes_of(table, form, columns),
    )
    if transform is None:
        return golden
    try:
        made = _matrix(transform(data_of(golden)))
    except Exception as error:
        mend = "it is called with rows like those of the data, and gives the model's features for each"
        raise BaselineError("the data", [Fault("transform", f"raised {type(error).__name__}: {error}", mend)]) from error
    return replace(golden, transformed=tuple(map(tuple, made.tolist())))


def _form_of(table: Any) -> str:
    library = type(table).__module__.split(".")[0]
    if library in FORMS[:3]:
        return library
    first = table[0] if isinstance(table, list) and table else None
    if isinstance(first, Mapping) and any(isinstance(part, Mapping) for part in first.values()):
        return "nested"
    if isinstance(first, list):
        return "lists"
    return "dicts" if isinstance(table, Mapping | list | tuple) or getattr(getattr(table, "dtype", None), "names", None) else "numpy"


def _dtypes_of(table: Any, form: str, columns: Mapping[str, Any]) -> tuple[str, ...]:
    if form == "pandas":
        return tuple(_dtype_of(table[own].dtype) for own in table.columns if str(own) in columns)
    times = [isinstance(column, np.ndarray) and column.dtype.kind == "M" for column in columns.values()]
    return tuple("datetime64[us]" if is_time else "" for is_time in times) if form in FORMS[:3] and any(times) else ()


def _dtype_of(dtype: Any) -> str:
    """Its name; the categories of a pandas category instead, as JSON, for a model may see their codes, unless they are many."""
    if str(dtype) != "category" or len(dtype.categories) > MOST:
        return str(dtype)
    return json.dumps({"categories": [_plain(value) for value in dtype.categories], "ordered": bool(dtype.ordered)})


def _categorical(library: Any, column: list[Any], dtype: str) -> Any:
    """The column with the categories that the data had, of the type that they had; a record has their labels."""
    known = json.loads(dtype)
    of_label = {label_of(value): value for value in known["categories"]}
    values = [value if value is None else of_label.get(label_of(value)) for value in column]
    return library.Categorical(values, known["categories"], ordered=known["ordered"])


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is missing is null."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(part) for part in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bool | str | int):
        return value
    return float(value) if is_number(value) and np.isfinite(float(value)) else label_of(value)


def data_of(golden: Golden) -> Any:
    """The records in the form that the model takes; imports the library of that form."""
    columns = {name: [row[place] for row in golden.rows] for place, name in enumerate(golden.columns)}
    if golden.form == "numpy":
        rows = [[np.nan if value is None else value for value in row] for row in golden.rows]
        return np.array(rows, dtype=object if any(isinstance(value, str) for row in rows for value in row) else None)
    if golden.form == "lists":
        return [list(row) for row in golden.rows]
    if golden.form in ("dicts", "nested"):
        rows_by_name = [dict(zip(golden.columns, row, strict=True)) for row in golden.rows]
        return list(map(nested, rows_by_name)) if golden.form == "nested" else rows_by_name
    library = importlib.import_module(golden.form)
    dtypes = dict(zip(golden.columns, golden.dtypes, strict=True)) if golden.dtypes else {}
    if golden.form == "pandas":
        named = {name: dtype for name, dtype in dtypes.items() if not dtype.startswith("{")}
        frame = library.DataFrame(columns).astype(named)
        for name in dtypes.keys() - named.keys():
            frame[name] = _categorical(library, columns[name], dtypes[name])
        return frame
    made = {name: np.array(column, dtypes[name]) if dtypes.get(name) else column for name, column in columns.items()}
    return library.table(made) if golden.form == "pyarrow" else library.DataFrame(made)


def verify(
    golden: Golden, predict: Callable[[Any], Any], transform: Callable[[Any], Any] | None, tolerance: float, read: AnswerReader
) -> Verification:
    """Give the records to the model, and compare; an exception of the model is part of the result. Of several outputs the first counts.

    A model that cannot take the records together is given one after the other.
    """
    records, found = len(golden.rows), []
    try:
        if transform is not None and golden.transformed is not None:
            made = _matrix(transform(data_of(golden))).tolist()
            found += _differing("features", golden.transformed, made, tolerance)
        answers = _answers(predict, data_of(golden), read)
    except Exception as error:  # noqa: BLE001 - a model that raises is what verification is to find
        return Verification(records, tuple(found), f"{type(error).__name__}: {error}"[:300])
    return Verification(records, (*found, *_differing("output", golden.expected, answers, tolerance)))


def _answers(predict: Callable[[Any], Any], data: Any, read: AnswerReader) -> list[Any]:
    try:
        return _predictions(read(_awaited(predict(data)), len(data)))
    except Exception:
        if not isinstance(data, list):
            raise
        with contextlib.suppress(Exception):  # what was wrong with all of them says more
            return [prediction for row in data for prediction in _predictions(read(_awaited(predict(row)), 1))]
        raise


def _predictions(kept: Kept) -> list[Any]:
    first = kept[0] if isinstance(kept, tuple) else kept
    return [first] if isinstance(first, float) else first.tolist()


def _awaited(answer: Any) -> Any:
    """What a coroutine returns; it runs in a loop of its own, since that of the caller may be running."""
    if not inspect.iscoroutine(answer):
        return answer
    asyncio = importlib.import_module("asyncio")
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, answer).result()


def _matrix(made: Any) -> Any:
    array = as_numpy(made.to_numpy() if hasattr(made, "to_numpy") else made)
    return array.reshape(len(array), -1)


def _differing(part: str, expected: Sequence[Any], actual: Sequence[Any], tolerance: float) -> list[Mismatch]:
    if len(expected) != len(actual):
        return [Mismatch(row, part, f"{len(expected)} rows", f"{len(actual)} rows") for row in range(len(expected))]
    pairs = zip(expected, actual, strict=True)
    return [Mismatch(row, part, old, new) for row, (old, new) in enumerate(pairs) if not _same(old, new, tolerance)]


def _same(old: Any, new: Any, tolerance: float) -> bool:
    """Numbers may differ by `tolerance`, absolute and relative; a list of one number is that number."""
    if isinstance(old, list | tuple) or isinstance(new, list | tuple):
        left, right = (value if isinstance(value, list | tuple) else [value] for value in (old, new))
        return len(left) == len(right) and all(_same(a, b, tolerance) for a, b in zip(left, right, strict=True))
    if is_missing(old) or is_missing(new):
        return is_missing(old) and is_missing(new)
    if is_number(old) and is_number(new):
        return bool(np.isclose(float(new), float(old), rtol=tolerance, atol=tolerance))
    return label_of(old) == label_of(new)
