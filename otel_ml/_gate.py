"""Says of an input, before the model sees it, which values of which rows are not valid."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml._arrays import dense_parts, is_sparse
from otel_ml._binning import VOCABULARY
from otel_ml._capture import Capture, Captured
from otel_ml._derive import VECTORS, seconds_of, vector_of
from otel_ml._frames import from_series
from otel_ml._guard import logger
from otel_ml._layout import is_required
from otel_ml._outputs import BOOLEAN_TWINS
from otel_ml._rules import is_default_text
from otel_ml._values import ABSENT, as_numbers, is_missing, label_of
from otel_ml.baseline import Baseline, Feature, Rules
from otel_ml.errors import Fault, InvalidInput

INVALID = (
    names.VIOLATION_MISSING_COLUMN,
    names.VIOLATION_MISSING,
    names.VIOLATION_TYPE_MISMATCH,
    names.VIOLATION_PATTERN,
    names.VIOLATION_BOUNDS,
    names.VIOLATION_NOT_ALLOWED,
)
"""The kinds of violation that make an input invalid, unless others are named."""

KINDS = (
    *INVALID,
    names.VIOLATION_EXTRA_COLUMN,
    names.VIOLATION_INFINITE,
    names.VIOLATION_OUT_OF_RANGE,
    names.VIOLATION_UNSEEN,
    names.VIOLATION_DEFAULT,
)

ACTIONS = ("observe", "warn", "reject")

Check = Callable[[Any], str | None]
"""From one value of a column to the kind of violation that it is, if it is one."""


class _Column(NamedTuple):
    name: str
    check: Check
    low: float
    high: float


def gate_faults(action: str, kinds: Collection[str], baseline: Baseline | None) -> list[Fault]:
    """What is wrong with the options `on_invalid` and `invalid`."""
    if action not in ACTIONS:
        return [Fault("on_invalid", f"is {action!r}", f"give one of {', '.join(ACTIONS)}")]
    if action != "observe" and baseline is None:
        return [Fault("on_invalid", "needs a baseline", "give one, or leave on_invalid out")]
    unknown = [kind for kind in kinds if kind not in KINDS]
    return [Fault("invalid", f"{kind!r} is unknown", f"name some of {', '.join(KINDS)}") for kind in unknown]


def gate_for(action: str, kinds: Collection[str], baseline: Baseline | None, model: str, beside: Sequence[str] = ()) -> Gate | None:
    """What checks inputs before the call; None where they are observed only."""
    return None if baseline is None or action == "observe" else Gate(baseline, kinds, model, beside, rejects=action == "reject")


class Gate:
    """Checks inputs against a baseline; only violations of certain `kinds` count. It `rejects`, or else warns once of each.

    Columns `beside` those of the baseline may be there too.
    """

    def __init__(self, baseline: Baseline, kinds: Collection[str], model: str, beside: Sequence[str], *, rejects: bool) -> None:
        self._kinds = frozenset(kinds)
        self._model = model
        self._extras = Capture(baseline.columns, model, beside).extras_of
        self._rejects = rejects
        self._told: set[tuple[str, str]] = set()
        by_column: dict[str, list[Feature]] = {}
        for feature in baseline.features:
            by_column.setdefault(feature.name if feature.source is None else feature.source.column, []).append(feature)
        self._columns = [self._column(name, features) for name, features in by_column.items()]
        self._low = np.array([column.low for column in self._columns])
        self._high = np.array([column.high for column in self._columns])

    def __call__(self, captured: Captured, data: Any) -> InvalidInput | None:
        """The error to raise for `data`, which was captured so; None where all is valid, or a warning was enough."""
        error = self.check(captured, data)
        if error is None or self._rejects:
            return error
        self._warn(error)
        return None

    def unreadable(self, reason: Exception) -> InvalidInput | None:
        """The same for an input that has no rows and columns."""
        error = InvalidInput([(0, "", f"unreadable: {reason}")])
        return error if self._rejects else None  # that it is unreadable was logged

    def _warn(self, error: InvalidInput) -> None:
        new = {(found["feature"], found["violation"]) for found in error.violations} - self._told
        if new and len(self._told) < InvalidInput.MOST:
            self._told |= new
            logger.warning("model %s: %s; each kind is logged once for each feature", self._model, error)

    def check(self, captured: Captured, data: Any) -> InvalidInput | None:
        """What is not valid, at most the first hundred values; None where all is."""
        found = self._found(captured)
        if captured.extra and names.VIOLATION_EXTRA_COLUMN in self._kinds:
            found = chain(found, ((row, name, names.VIOLATION_EXTRA_COLUMN) for row, name in self._extras(data)))
        violations = [violation for violation, _ in zip(found, range(InvalidInput.MOST), strict=False)]
        return InvalidInput(violations) if violations else None

    def _found(self, captured: Captured) -> Iterator[tuple[int, str, str]]:
        if captured.matrix is not None:
            yield from self._in_matrix(captured.matrix, 0)
        elif captured.rows is not None:
            yield from self._in_rows(captured.rows)
        elif captured.columns is not None:
            for column in self._columns:
                yield from self._in_column(column, captured.columns.get(column.name, ABSENT), captured.size)
        else:
            start = 0
            for part in dense_parts(captured.sparse):
                yield from self._in_matrix(part, start)
                start += len(part)

    def _in_rows(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, str, str]]:
        for row, values in enumerate(rows):
            for (name, check, low, high), value in zip(self._columns, values, strict=True):
                if type(value) is float and low <= value <= high:
                    continue
                kind = check(value)
                if kind is not None:
                    yield row, name, kind

    def _in_matrix(self, matrix: npt.NDArray[Any], start: int) -> Iterator[tuple[int, str, str]]:
        """Most are well within the bounds; the others are looked at one by one."""
        fine = (matrix >= self._low) & (matrix <= self._high)
        if fine.all():
            return
        for row, place in np.argwhere(~fine).tolist():
            column = self._columns[place]
            kind = column.check(matrix[row, place].item())
            if kind is not None:
                yield start + row, column.name, kind

    def _in_column(self, column: _Column, values: Any, size: int) -> Iterator[tuple[int, str, str]]:
        if values is ABSENT:
            kind = column.check(ABSENT)
            yield from () if kind is None else ((row, column.name, kind) for row in range(size))
            return
        if is_sparse(values) or (getattr(values, "ndim", 1) == 2):
            kind = column.check(np.zeros(values.shape[1]))
            yield from () if kind is None else ((row, column.name, kind) for row in range(size))
            return
        if hasattr(values, "to_numpy"):
            values = from_series(values)
        rows: Sequence[int] = range(size)
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            rows = np.flatnonzero(~((values >= column.low) & (values <= column.high))).tolist()
        plain = isinstance(values, np.ndarray) and values.dtype.kind not in "mM"
        for row in rows:
            kind = column.check(values[row].item() if plain and hasattr(values[row], "item") else values[row])
            if kind is not None:
                yield row, column.name, kind

    def _column(self, name: str, features: Sequence[Feature]) -> _Column:
        """The check of a column, and the bounds between which a number needs none."""
        first = features[0]
        kinds = self._kinds if is_required(first) else self._kinds - {names.VIOLATION_MISSING}
        if first.source is not None:
            return _Column(name, partial(_check, kinds, _strange_in(features, kinds)), np.inf, -np.inf)
        if first.type == "categorical":
            return _Column(name, partial(_check, kinds, _strange_category(first, kinds)), np.inf, -np.inf)
        low, high = _span(first, kinds)
        return _Column(name, partial(_check, kinds, _strange_number(first, kinds)), low, high)


def _check(kinds: frozenset[str], strange: Callable[[Any], str | None], value: Any) -> str | None:
    if value is ABSENT:
        return names.VIOLATION_MISSING_COLUMN if names.VIOLATION_MISSING_COLUMN in kinds else None
    if is_missing(value):
        return names.VIOLATION_MISSING if names.VIOLATION_MISSING in kinds else None
    return strange(value)


def _span(feature: Feature, kinds: frozenset[str]) -> tuple[float, float]:
    """Numbers from the first to the second are valid; with default numbers to look for, none is without a look."""
    if names.VIOLATION_DEFAULT in kinds and feature.defaults:
        return np.inf, -np.inf
    largest = float(np.finfo(np.float64).max)
    low, high = (-largest, largest) if names.VIOLATION_INFINITE in kinds else (-np.inf, np.inf)
    rules = feature.rules or Rules()
    if names.VIOLATION_BOUNDS in kinds:
        low = low if rules.minimum is None else max(low, rules.minimum)
        high = high if rules.maximum is None else min(high, rules.maximum)
    if names.VIOLATION_OUT_OF_RANGE in kinds and feature.minimum is not None and feature.maximum is not None:
        low, high = max(low, feature.minimum), min(high, feature.maximum)
    return low, high


def _strange_number(feature: Feature, kinds: frozenset[str]) -> Callable[[Any], str | None]:
    low, high = _span(feature, kinds)
    rules = feature.rules or Rules()
    minimum = -np.inf if rules.minimum is None else rules.minimum
    maximum = np.inf if rules.maximum is None else rules.maximum
    defaults = frozenset(feature.defaults) if names.VIOLATION_DEFAULT in kinds else frozenset()

    def strange(value: Any) -> str | None:
        number = value if type(value) is float or type(value) is int else float(as_numbers([value])[0][0])
        if low <= number <= high:
            return None
        if number != number:  # noqa: PLR0124 - it is no number
            return names.VIOLATION_TYPE_MISMATCH if names.VIOLATION_TYPE_MISMATCH in kinds else None
        if number in defaults:
            return names.VIOLATION_DEFAULT
        if names.VIOLATION_INFINITE in kinds and math.isinf(number):
            return names.VIOLATION_INFINITE
        if names.VIOLATION_BOUNDS in kinds and not minimum <= number <= maximum:
            return names.VIOLATION_BOUNDS
        outside = feature.minimum is not None and feature.maximum is not None and not feature.minimum <= number <= feature.maximum
        return names.VIOLATION_OUT_OF_RANGE if outside and names.VIOLATION_OUT_OF_RANGE in kinds else None

    return strange


def _strange_category(feature: Feature, kinds: frozenset[str]) -> Callable[[Any], str | None]:
    rules = feature.rules or Rules()
    pattern = re.compile(rules.pattern) if rules.pattern is not None and names.VIOLATION_PATTERN in kinds else None
    allowed = frozenset(rules.enum) if rules.enum is not None and names.VIOLATION_NOT_ALLOWED in kinds else None
    known = frozenset(feature.vocabulary)
    known |= {twin for twin, name in BOOLEAN_TWINS.items() if name in known}
    unseen = names.VIOLATION_UNSEEN in kinds and len(feature.vocabulary) < VOCABULARY

    def strange(value: Any) -> str | None:
        label = label_of(value)
        if allowed is not None and label not in allowed:
            return names.VIOLATION_NOT_ALLOWED
        if pattern is not None and not pattern.fullmatch(label):
            return names.VIOLATION_PATTERN
        if names.VIOLATION_DEFAULT in kinds and label not in known and is_default_text(label):
            return names.VIOLATION_DEFAULT
        return names.VIOLATION_UNSEEN if unseen and label not in known else None

    return strange


def _strange_in(features: Sequence[Feature], kinds: frozenset[str]) -> Callable[[Any], str | None]:
    """Of a time, a text or a vector: whether it is one."""
    wrong = names.VIOLATION_TYPE_MISMATCH if names.VIOLATION_TYPE_MISMATCH in kinds else None
    sources = [feature.source for feature in features if feature.source is not None]
    how = sources[0].how
    if how in VECTORS:
        width = next((len(source.axis) for source in sources if source.axis), 0)

        def strange(value: Any) -> str | None:
            vector = vector_of(value)
            return wrong if vector is None or (width and len(vector) != width) else None

        return strange
    if how != "length":
        return lambda value: wrong if seconds_of(value) is None else None
    rules = features[0].rules or Rules()
    pattern = re.compile(rules.pattern) if rules.pattern is not None and names.VIOLATION_PATTERN in kinds else None

    def strange_text(value: Any) -> str | None:
        if not isinstance(value, str):
            return wrong
        return names.VIOLATION_PATTERN if pattern is not None and not pattern.fullmatch(value) else None

    return strange_text
