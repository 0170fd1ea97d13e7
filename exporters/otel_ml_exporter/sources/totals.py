"""From reports to totals that only grow, whatever processes restart, repeat themselves or fall silent."""

from __future__ import annotations

import threading

from otel_ml_exporter.counts import Series
from otel_ml_exporter.sources.points import Point
from otel_ml_exporter.sources.ring import Change, State, Stream

IDLE = 3_600.0
"""Seconds of silence after which a stream may make room for another: the SDK reports each minute, even where nothing grew."""


class Totals:
    """The total of each series, and the last report of each stream; bounded, and safe to use from several threads.

    One lock guards all fields. Nothing that it guards waits for the disk: `changes` hands out copies.
    """

    def __init__(self, state: State, *, limit: int) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._series, self._streams, self._totals, self._next_id = state
        self._ids = {series: identity for identity, series in state.series.items()}
        self._new: set[int] = set()
        self._fresh: set[bytes] = set()
        self._gone_series: set[int] = set()
        self._gone_streams: set[bytes] = set()
        self._may_evict = True

    def add(self, point: Point, now: float) -> bool:
        """Count a report that came at `now`; one that is not newer than the last changes nothing. False: there is no room."""
        with self._lock:
            known = self._streams.get(point.stream)
            if known is not None and point.time <= known.time:
                return True
            if known is None and not self._has_room(point.series, now):
                return False
            goes_on = known is not None and not point.delta and point.value >= known.value
            growth = point.value - known.value if known is not None and goes_on else point.value
            identity = known.series_id if known is not None else self._identity(point.series)
            self._totals[identity] = self._totals.get(identity, 0.0) + growth
            self._streams[point.stream] = Stream(identity, point.time, point.value, now)
            self._fresh.add(point.stream)
            self._gone_streams.discard(point.stream)
            return True

    def _has_room(self, series: Series, now: float) -> bool:
        """Whether one more stream fits; silent ones make room, looked for at most once between two saves."""
        if len(self._streams) >= self._limit and self._may_evict:
            self._may_evict = False
            self._forget_streams(now - IDLE)
        return len(self._streams) < self._limit and (series in self._ids or len(self._ids) < self._limit)

    def _identity(self, series: Series) -> int:
        if series not in self._ids:
            self._ids[series] = self._next_id
            self._series[self._next_id] = series
            self._new.add(self._next_id)
            self._next_id += 1
        return self._ids[series]

    def forget(self, before: float, unchanged_since: dict[int, float]) -> None:
        """Forget streams silent since `before`, and series that no stream counts for and that did not grow since a snapshot."""
        with self._lock:
            self._may_evict = True
            self._forget_streams(before)
            live = {stream.series_id for stream in self._streams.values()}
            for identity in self._series.keys() - live:
                if self._totals[identity] == unchanged_since.get(identity):
                    del self._ids[self._series.pop(identity)], self._totals[identity]
                    self._new.discard(identity)
                    self._gone_series.add(identity)

    def _forget_streams(self, before: float) -> None:
        silent = [stream for stream, last in self._streams.items() if last.seen < before]
        for stream in silent:
            del self._streams[stream]
        self._fresh.difference_update(silent)
        self._gone_streams.update(silent)

    def changes(self) -> Change:
        """What happened since the last call, to be saved; `restore` it when that fails."""
        with self._lock:
            change = Change(
                {identity: self._series[identity] for identity in self._new},
                {stream: self._streams[stream] for stream in self._fresh},
                frozenset(self._gone_series),
                frozenset(self._gone_streams),
                dict(self._totals),
                self._next_id,
            )
            for pending in (self._new, self._fresh, self._gone_series, self._gone_streams):
                pending.clear()
            return change

    def restore(self, change: Change) -> None:
        """Take back a change that could not be saved."""
        with self._lock:
            self._new |= change.series.keys() & self._series.keys()
            self._fresh |= change.streams.keys() & self._streams.keys()
            self._gone_series |= change.gone_series
            self._gone_streams |= change.gone_streams - self._streams.keys()

    def growth(self, before: dict[int, float], after: dict[int, float]) -> list[tuple[Series, float]]:
        """How far each series that is still known grew between two snapshots."""
        with self._lock:
            known = [(identity, self._series[identity]) for identity in after if identity in self._series]
        return [(series, after[identity] - before.get(identity, 0.0)) for identity, series in known]

    def series(self, identity: int) -> Series:
        """The series of an id that `changes` handed out."""
        return self._series[identity]
