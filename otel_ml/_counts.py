"""What one monitor has counted: the one owner of mutable state.

Invariants: `_values` only grows and only changes under `_lock`; the lock is held to append, to swap and to add, never while
values are folded or the user's function runs; it is re-entrant, since a signal handler or a finaliser may predict while its
own thread holds it; a forked child starts from 0, since its parent reports the rest.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml._capture import Captured
from otel_ml._fold import Fold
from otel_ml._forks import renew_in_children
from otel_ml._guard import Guard
from otel_ml._layout import Layout
from otel_ml._reading import Kept, rows_of, weight_of
from otel_ml._segment import Place
from otel_ml.catalogue import Metric

BLOCK = 16384
"""Values that are kept before they are folded: enough that numpy's overhead vanishes, little enough to stay in the cache."""


class Counts:
    """Counts per series of one layout; rows wait in a block until it is full or somebody reads."""

    def __init__(self, layout: Layout, guard: Guard) -> None:
        self.layout = layout
        self.guard = guard
        self.meaning = Fold(layout)
        self._width = len(layout.baseline.features) + 1 if layout.baseline is not None else 1
        self._block = 0 if guard.strict else BLOCK
        renew_in_children(self)

    def renew(self) -> None:
        """Start from 0 with a lock of its own."""
        self._lock = threading.RLock()
        self._values: npt.NDArray[np.int64] = np.zeros(self.layout.size, dtype=np.int64)
        self._inputs: list[Captured] = []
        self._predictions: list[Kept] = []
        self._segments: list[Place] = []
        self._pending = 0

    def is_large(self, captured: Captured) -> bool:
        """Whether an input fills a block of its own, so that it is cheaper to count now than to copy."""
        return captured.size * self._width + captured.weight >= BLOCK

    def add_now(self, captured: Captured) -> None:
        """Count a large input at once, while its caller still waits; it is not copied."""
        self._add(self._folded([captured], [], []))

    def add(self, captured: Captured | None, prediction: Kept | None, segment: Place = 0) -> None:
        """Take a copied input, what is kept of an answer and its segment, or both (None: there is none); fold when the block is full."""
        with self._lock:
            if captured is not None:
                self._inputs.append(captured)
                self._pending += captured.size * self._width + captured.weight
            if prediction is not None:
                self._predictions.append(prediction)
                self._segments.append(segment)
                self._pending += 1 if type(prediction) is float else weight_of(prediction)
            full = self._pending >= self._block
        if full:
            self.fold()

    def drop(self, rows: int, reason: str) -> None:
        """Note that rows could not be counted."""
        self.count(names.MONITOR_DROPPED, rows, reason)

    def count(self, metric: Metric, rows: int, value: str = "") -> None:
        """Count rows of a metric whose series are told apart by their last attribute, here `value`, or that has one series."""
        place = self._place_of(metric, value)
        with self._lock:
            self._values[place] += rows

    def fold(self) -> None:
        """Count what waits."""
        fresh: tuple[list[Captured], list[Kept], list[Place]] = [], [], []  # made here: a garbage collection must not run under the lock
        with self._lock:
            inputs, predictions, segments = self._inputs, self._predictions, self._segments
            self._inputs, self._predictions, self._segments = fresh
            self._pending = 0
        if inputs or predictions:
            self._add(self._folded(inputs, predictions, segments))

    def read(self) -> npt.NDArray[np.int64]:
        """A copy of all counts, waiting rows included; see the layout for the places."""
        self.fold()
        with self._lock:
            values: npt.NDArray[np.int64] = self._values.copy()
        return values

    def merge(self, other: Counts) -> None:
        """Add what another owner of the same series has counted."""
        self._add(other.read())
        self.guard.merge(other.guard)

    def _add(self, increments: npt.NDArray[np.int64]) -> None:
        with self._lock:
            self._values += increments

    def _folded(self, inputs: list[Captured], predictions: list[Kept], segments: list[Place]) -> npt.NDArray[np.int64]:
        """The increments of these rows. A fault is narrowed down to the calls that cause it; only their rows are dropped."""
        try:
            return self.meaning.inputs(inputs) + self.meaning.predictions(predictions, segments)
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a prediction
            if len(inputs) + len(predictions) > 1:
                parts = [self._folded([item], [], []) for item in inputs]
                parts += [self._folded([], [item], [segment]) for item, segment in zip(predictions, segments, strict=True)]
                return sum(parts, start=np.zeros(self.layout.size, dtype=np.int64))
            self.guard.fault(error, "counting")
            rows = sum(item.size for item in inputs) + sum(map(rows_of, predictions))
            increments = np.zeros(self.layout.size, dtype=np.int64)
            increments[self._place_of(names.MONITOR_DROPPED, names.DROP_ERROR)] = rows
            return increments

    def _place_of(self, metric: Metric, value: str) -> int:
        series = self.layout.series[metric]
        if not value:
            return series.start
        return series.start + next(i for i, attributes in enumerate(series.attributes) if attributes[metric.attributes[-1]] == value)
