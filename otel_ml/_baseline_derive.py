"""Which features a column gives: itself, or what is made from its times, texts or vectors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from otel_ml._arrays import is_sparse
from otel_ml._derive import numbers_in, pack_words, texts, times, vectors, words_of
from otel_ml._values import is_missing
from otel_ml.baseline import Source
from otel_ml.errors import BaselineError, Fault

Kind = str
LOOKED_AT = 5_000
"""Values of a column that tell its kind."""
KNOWN_WORDS = 4_000
TEXT_VALUES = 30
"""Fewest distinct values of a column of texts."""
TEXT_WORDS = 3
"""Fewest words that a text has, on average; shorter ones are categories."""
AXES = 4
AXES_ROWS = 2_000
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?)?")


def kind_of(column: Any) -> Kind | None:
    """`datetime`, `text` or `vector`; None where the column is a feature as it is."""
    if is_sparse(column) or (isinstance(column, np.ndarray) and column.ndim == 2):
        return "vector"
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return "datetime" if column.dtype.kind == "M" else None
    known = list(islice((value for value in column if not is_missing(value)), LOOKED_AT))
    if not known:
        return None
    if all(isinstance(value, str) for value in known):
        return _kind_of_texts(known)
    if all(map(numbers_in, known)):
        return "vector" if len(set(map(len, known))) == 1 else None
    return None if times(known).strange.any() else "datetime"


def _kind_of_texts(known: list[str]) -> Kind | None:
    if all(map(ISO.fullmatch, known)) and not times(known).strange.any():
        return "datetime"
    distinct = len(set(known))
    wordy = sum(len(text.split()) for text in known) >= TEXT_WORDS * len(known)
    return "text" if wordy and distinct >= TEXT_VALUES and 2 * distinct > len(known) else None


def features_of(columns: Mapping[str, Any], kinds: Mapping[str, Kind], moments: Any) -> dict[str, Source | None]:
    """The features that a sample of columns gives, and where each is from; raises `BaselineError` where two have one name.

    `kinds` are given for some columns; `moments` say when each row was, in seconds since 1970, or None.
    """
    found: dict[str, Source | None] = {}
    for name, column in columns.items():
        kind = kinds.get(name) or kind_of(column)
        sources = {"datetime": _of_times, "text": _of_texts, "vector": _of_vectors}.get(kind or "")
        made = {name: None} if sources is None else {f"{name}.{suffix}": source for suffix, source in sources(name, column, moments)}
        twice = [feature for feature in made if feature in found or (feature in columns and feature != name)]
        if twice:
            problem = f"also is the name of what is made from column {name!r}"
            raise BaselineError("the data", [Fault(f"column {feature!r}", problem, "rename it") for feature in twice])
        found |= made
    return found


def _of_times(name: str, column: Any, moments: Any) -> Iterator[tuple[str, Source]]:
    seconds = times(column).values
    known = seconds[np.isfinite(seconds)]
    if (known % 86_400).any():
        yield "hour", Source(name, "hour")
    yield "weekday", Source(name, "weekday")
    if moments is not None and (moments - seconds)[np.isfinite(seconds)].any():
        yield "age", Source(name, "age")


def _of_texts(name: str, column: Any, _: Any) -> Iterator[tuple[str, Source]]:
    """Known are words that occur in two rows or more, so that a row's own words do not make it known."""
    rows = Counter(word for text in texts(column).values if text is not None for word in set(words_of(text)))
    known = sorted(word for word, times_seen in rows.most_common(KNOWN_WORDS) if times_seen > 1)
    yield "length", Source(name, "length")
    yield "unknown_words", Source(name, "unknown_words", words=pack_words(known))


def _of_vectors(name: str, column: Any, _: Any) -> Iterator[tuple[str, Source]]:
    """The principal axes, of at most 2,000 rows; the sign is such that the largest component is positive."""
    matrix = vectors(column).values
    rows = np.unique(np.linspace(0, matrix.shape[0] - 1, AXES_ROWS).astype(int))
    sample = matrix.tocsr()[rows].toarray() if is_sparse(matrix) else matrix[rows]
    sample = sample[np.isfinite(sample).all(axis=1)].astype(np.float64)
    yield "norm", Source(name, "norm")
    if len(sample) < 2:
        return
    mean = sample.mean(axis=0)
    _, spread, axes = np.linalg.svd(sample - mean, full_matrices=False)
    for number, (width, axis) in enumerate(zip(spread[:AXES], axes[:AXES], strict=True), start=1):
        if width > 1e-9 * max(spread[0], 1e-300):
            signed = [float(f"{part:.6g}") for part in axis * np.sign(axis[np.argmax(np.abs(axis))])]
            yield f"axis_{number}", Source(name, "axis", axis=tuple(signed), offset=float(f"{float(mean @ np.array(signed)):.6g}"))
