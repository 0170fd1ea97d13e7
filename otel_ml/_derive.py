"""Times, texts and vectors as features that have bins: each is made from one column, in a way that the baseline stores."""

from __future__ import annotations

import base64
import datetime as dt
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml._arrays import as_numpy, is_sparse
from otel_ml._values import ABSENT, is_missing, is_number
from otel_ml.baseline import Source
from otel_ml.catalogue import OTHER

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WORD = re.compile(r"\w+")
WORD_BITS = 1 << 16
"""Size of the table of known words, of which only hashes are kept: a word that is unknown passes for known as often as bits are set."""
VECTORS = ("norm", "axis")
READ_TEXT = 10_000
"""Characters of a text in which words are looked for."""


Maker = Callable[[Any, "Floats | None"], Any]
"""From what a column was parsed to, and when each row was, to the values of one feature."""


class Parsed(NamedTuple):
    """A column, understood as far as its features have in common; `strange` values are neither missing nor of the column's kind."""

    values: Any
    strange: Mask


class Derivation:
    """Makes the features of a baseline from the columns of an input, which `columns` names in their order."""

    def __init__(self, features: Iterable[tuple[str, Source | None]]) -> None:
        named = [(name if source is None else source.column, source) for name, source in features]
        self.columns = tuple(dict.fromkeys(column for column, _ in named))
        places = {column: place for place, column in enumerate(self.columns)}
        widths = {column: len(source.axis) for column, source in named if source is not None and source.axis}
        self._plan = [
            (places[column], None if source is None else (_parser(source, widths.get(column, 0)), _MAKERS[source.how](source)))
            for column, source in named
        ]
        self.vectors = frozenset(source.column for _, source in named if source is not None and source.how in VECTORS)
        self.texts = frozenset(source.column for _, source in named if source is not None and source.how == "length")
        self.any = any(source is not None for _, source in named)

    def __call__(self, columns: Sequence[Any], moments: Floats | None = None) -> list[Any]:
        """One column a feature, in the baseline's order; `moments` say when each row was, in seconds since 1970."""
        parsed: dict[int, Parsed] = {}
        made = []
        for place, way in self._plan:
            column = columns[place]
            if way is None or column is ABSENT:
                made.append(column)
                continue
            parse, make = way
            if place not in parsed:
                parsed[place] = parse(column)
            values, strange = parsed[place]
            made.append(_with_strangers(make(values, moments), strange, column))
        return made


def times(column: Any) -> Parsed:
    """Seconds since 1970, in UTC: what has no time zone is taken as UTC. Text is read in its ISO 8601 form."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        seconds = column.astype("M8[us]").astype(np.int64) / 1e6
        seconds[np.isnat(column)] = np.nan
        return Parsed(seconds, np.zeros(len(column), dtype=bool))
    found = [seconds_of(value) for value in column]
    return Parsed(
        np.array([np.nan if value is None else value for value in found]),
        np.array([value is None for value in found], dtype=bool),
    )


def seconds_of(value: Any) -> float | None:
    """NaN when it is missing, None when it is no time."""
    if value is ABSENT or is_missing(value):
        return np.nan
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()
    try:
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no time zone
        if not isinstance(value, dt.datetime):
            return None
        return (value if value.tzinfo is not None else value.replace(tzinfo=dt.timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


def texts(column: Any) -> Parsed:
    """The texts themselves, None where there is none."""
    values = column.tolist() if isinstance(column, np.ndarray) else column
    strange = np.array([not isinstance(value, str) and value is not ABSENT and not is_missing(value) for value in values], dtype=bool)
    return Parsed([value if isinstance(value, str) else None for value in values], strange)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return WORD.findall(text[:READ_TEXT].lower())


def word_place(word: str) -> int:
    """Where a word is in the table of known words; the same in every process."""
    return zlib.crc32(word.encode("utf-8", "replace")) % WORD_BITS


def pack_words(known: Iterable[str]) -> str:
    """The table of known words, as the baseline stores it."""
    table = np.zeros(WORD_BITS, dtype=bool)
    table[[word_place(word) for word in known]] = True
    return base64.b64encode(np.packbits(table).tobytes()).decode("ascii")


def unpack_words(packed: str) -> bytes:
    """The table of known words, one byte each; raises `ValueError` for what `pack_words` did not make."""
    table = np.unpackbits(np.frombuffer(base64.b64decode(packed, validate=True), dtype=np.uint8))
    if table.size != WORD_BITS:
        raise ValueError(f"{table.size} bits, not {WORD_BITS}")
    return table.tobytes()


def vectors(column: Any, width: int = 0) -> Parsed:
    """A matrix of one vector of `width` a row, NaN where there is none; 0 stands for the commonest width."""
    if is_sparse(column) or (hasattr(column, "ndim") and column.ndim == 2):
        matrix = column if is_sparse(column) else as_numpy(column)
        return Parsed(matrix, np.zeros(matrix.shape[0], dtype=bool))
    found = [None if value is ABSENT or is_missing(value) else vector_of(value) for value in column]
    missing = np.array([value is ABSENT or is_missing(value) for value in column], dtype=bool)
    width = width or max(Counter(len(vector) for vector in found if vector is not None).most_common(1), default=(1, 0))[0]
    matrix = np.full((len(found), width), np.nan)
    strange = np.zeros(len(found), dtype=bool)
    for row, vector in enumerate(found):
        if vector is not None and len(vector) == width:
            matrix[row] = vector
        else:
            strange[row] = not missing[row]
    return Parsed(matrix, strange)


def vector_of(value: Any) -> Floats | None:
    """One vector of numbers, or None where this is none."""
    if not isinstance(value, list | tuple) and not hasattr(value, "__array__"):
        return None
    try:
        array = as_numpy(value)
        return array.astype(np.float64) if array.ndim == 1 and array.dtype.kind in "iuf" else None
    except (TypeError, ValueError):
        return None


def _hour(_: Source) -> Maker:
    return lambda seconds, _: np.floor(seconds % 86_400 / 3_600)


def _weekday(_: Source) -> Maker:
    def make(seconds: Floats, _: Floats | None) -> list[str | None]:
        days = (np.floor(seconds / 86_400) + 3) % 7  # 1970 began on a Thursday
        return [None if np.isnan(day) else WEEKDAYS[int(day)] for day in days]

    return make


def _age(_: Source) -> Maker:
    """Days between the value and the row."""
    return lambda seconds, moments: np.full(len(seconds), np.nan) if moments is None else (moments - seconds) / 86_400


def _length(_: Source) -> Maker:
    return lambda found, _: np.array([np.nan if text is None else len(text) for text in found])


def _unknown_words(source: Source) -> Maker:
    known = unpack_words(source.words)

    def share(text: str) -> float:
        words = words_of(text)
        return sum(not known[word_place(word)] for word in words) / len(words) if words else 0.0

    return lambda found, _: np.array([np.nan if text is None else share(text) for text in found])


def _norm(_: Source) -> Maker:
    return lambda matrix, _: _norms(matrix)


def _norms(matrix: Any) -> Floats:
    with np.errstate(over="ignore"):
        squares = matrix.multiply(matrix).sum(axis=1) if is_sparse(matrix) else np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    return _steady(np.sqrt(np.asarray(squares).reshape(-1)))


def _steady(values: Any) -> Floats:
    """To the precision of a float32: the last bits of a sum depend on the order in which it was added up."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32).astype(np.float64)


def _axis(source: Source) -> Maker:
    axis = np.array(source.axis)

    def make(matrix: Any, _: Floats | None) -> Any:
        if matrix.shape[1] != len(axis):
            return [None if np.isnan(norm) else OTHER for norm in _norms(matrix)]
        with np.errstate(over="ignore", invalid="ignore"):
            return _steady(np.asarray(matrix @ axis) - source.offset)

    return make


_PARSERS: Mapping[str, Callable[[Any], Parsed]] = {
    **dict.fromkeys(("hour", "weekday", "age"), times),
    **dict.fromkeys(("length", "unknown_words"), texts),
    **dict.fromkeys(("norm", "axis"), vectors),
}
_MAKERS: Mapping[str, Callable[[Source], Maker]] = {
    "hour": _hour,
    "weekday": _weekday,
    "age": _age,
    "length": _length,
    "unknown_words": _unknown_words,
    "norm": _norm,
    "axis": _axis,
}


def _parser(source: Source, width: int) -> Callable[[Any], Parsed]:
    return partial(vectors, width=width) if source.how in VECTORS and width else _PARSERS[source.how]


WAYS = tuple(_MAKERS)
"""What `Source.how` may be."""


def _with_strangers(made: Any, strange: Mask, column: Any) -> Any:
    """What was made, with `__other__` where the value was of another kind, and with what the row lacked still absent."""
    absent = isinstance(column, tuple) and any(value is ABSENT for value in column)
    if not absent and not strange.any():
        return made
    values = made.tolist() if isinstance(made, np.ndarray) else made
    return tuple(
        ABSENT if absent and raw is ABSENT else OTHER if odd else value for value, odd, raw in zip(values, strange, column, strict=True)
    )


def numbers_in(value: Any) -> bool:
    """Whether this is a list, a tuple or an array of two or more numbers."""
    if isinstance(value, list | tuple):
        return len(value) > 1 and all(map(is_number, value))
    return hasattr(value, "__array__") and getattr(value, "ndim", 0) == 1 and len(value) > 1 and as_numpy(value).dtype.kind in "iuf"
