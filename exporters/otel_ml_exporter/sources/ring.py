"""What the OTLP source remembers on disk: the last report of each stream, and a ring of snapshots of the totals."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from otel_ml_exporter.counts import Series
from otel_ml_exporter.database import METADATA, Database

RESOLUTION = 60
"""Snapshots of an age a lie at most about a/RESOLUTION apart: fine where windows are short, coarse where they are long."""

_SERIES = sa.Table(
    "series",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in Series._fields),
)
_STREAMS = sa.Table(
    "streams",
    METADATA,
    sa.Column("stream", sa.LargeBinary(16), primary_key=True),
    sa.Column("series_id", sa.Integer, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("seen", sa.Double, nullable=False),
)
_SNAPSHOTS = sa.Table(
    "snapshots",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.Double, nullable=False, index=True),
    sa.Column("next_id", sa.Integer, nullable=False),
    sa.Column("ids", sa.LargeBinary, nullable=False),
    sa.Column("totals", sa.LargeBinary, nullable=False),
)


class Stream(NamedTuple):
    """The last report of a stream: the series it counts for, its time and value, and when it came (Unix time)."""

    series_id: int
    time: int
    value: float
    seen: float


class State(NamedTuple):
    """Everything that must survive a restart: series by id, streams by name, totals by series id.

    An id is never given twice, because older snapshots know it: `next_id` is the first that was never given.
    """

    series: dict[int, Series]
    streams: dict[bytes, Stream]
    totals: dict[int, float]
    next_id: int


class Change(NamedTuple):
    """What happened since the last save: new series, streams that reported, what is forgotten, and the totals now."""

    series: Mapping[int, Series]
    streams: Mapping[bytes, Stream]
    gone_series: frozenset[int]
    gone_streams: frozenset[bytes]
    totals: Mapping[int, float]
    next_id: int


class Ring:
    """Saves and finds snapshots that reach `horizon` seconds back."""

    def __init__(self, database: Database, horizon: float) -> None:
        self._database = database
        self.horizon = horizon

    def load(self) -> State | None:
        """What was saved last; None when nothing ever was."""
        with self._database.read() as connection:
            newest = connection.execute(sa.select(_SNAPSHOTS).order_by(_SNAPSHOTS.c.id.desc()).limit(1)).first()
            if newest is None:
                return None
            series = {row[0]: Series(*row[1:]) for row in connection.execute(sa.select(_SERIES))}
            streams = {row[0]: Stream(*row[1:]) for row in connection.execute(sa.select(_STREAMS))}
        return State(series, streams, _unpack(newest.ids, newest.totals), newest.next_id)

    def save(self, change: Change, at: float) -> None:
        """Keep the change and a snapshot of the totals, in one transaction."""
        ids, values = _pack(change.totals)
        with self._database.write() as connection:
            _many(connection, self._database.upsert(_SERIES), [{"id": i, **s._asdict()} for i, s in change.series.items()])
            _many(connection, self._database.upsert(_STREAMS), [{"stream": k, **s._asdict()} for k, s in change.streams.items()])
            _delete(connection, _SERIES.c.id, change.gone_series)
            _delete(connection, _STREAMS.c.stream, change.gone_streams)
            connection.execute(sa.insert(_SNAPSHOTS).values(time=at, next_id=change.next_id, ids=ids, totals=values))
            times = [(row.id, row.time) for row in connection.execute(sa.select(_SNAPSHOTS.c.id, _SNAPSHOTS.c.time))]
            _delete(connection, _SNAPSHOTS.c.id, spare(times, at, self.horizon))

    def totals_at(self, time: float) -> dict[int, float]:
        """The totals of the last snapshot at or before `time`; of the oldest when there is none."""
        with self._database.read() as connection:
            found = (
                connection.execute(_until(time)).first() or connection.execute(_OF_SNAPSHOT.order_by(_SNAPSHOTS.c.time).limit(1)).first()
            )
        return _unpack(found.ids, found.totals) if found else {}

    def span(self, start: float, end: float) -> tuple[dict[int, float], dict[int, float]] | None:
        """The totals at the beginning and at the end of a span; None where the snapshots do not reach back to its beginning.

        It ends at the last snapshot at or before `end`, and is as long as asked for or a little longer.
        """
        with self._database.read() as connection:
            last = connection.execute(_until(end)).first()
            first = None if last is None else connection.execute(_until(last.time - (end - start))).first()
        if first is None or last is None:
            return None
        return _unpack(first.ids, first.totals), _unpack(last.ids, last.totals)


_OF_SNAPSHOT = sa.select(_SNAPSHOTS.c.time, _SNAPSHOTS.c.ids, _SNAPSHOTS.c.totals)


def _until(time: float) -> sa.Select[tuple[float, bytes, bytes]]:
    """The last snapshot at or before a time."""
    return _OF_SNAPSHOT.where(_SNAPSHOTS.c.time <= time).order_by(_SNAPSHOTS.c.time.desc()).limit(1)


def spare(times: Iterable[tuple[int, float]], now: float, horizon: float) -> list[int]:
    """The snapshots, of (id, time), that nobody would miss: without them no gap is longer than its age allows.

    The newest stays, and of those older than the horizon the one that begins it. Looked at from the oldest, so that what
    stays now is what later calls thin out further.

    >>> spare([(1, 0.0), (2, 3600.0), (3, 3605.0), (4, 3610.0), (5, 7200.0)], now=7200.0, horizon=5400.0)
    [3]
    """
    oldest_first = sorted(times, key=lambda entry: entry[1])
    begin = max((index for index, (_, time) in enumerate(oldest_first) if now - time >= horizon), default=0)
    spared = [identity for identity, _ in oldest_first[:begin]]
    kept = oldest_first[begin][1] if oldest_first else now
    for (identity, time), (_, newer) in zip(oldest_first[begin + 1 :], oldest_first[begin + 2 :], strict=False):
        if newer - kept <= (now - time) / RESOLUTION:
            spared.append(identity)
        else:
            kept = time
    return spared


def _many(connection: sa.Connection, statement: sa.Executable, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _delete(connection: sa.Connection, column: sa.Column[Any], keys: Iterable[Any]) -> None:
    _many(connection, sa.delete(column.table).where(column == sa.bindparam("key")), [{"key": key} for key in keys])


def _pack(totals: Mapping[int, float]) -> tuple[bytes, bytes]:
    ids = np.fromiter(totals.keys(), dtype="<u4", count=len(totals))
    values = np.fromiter(totals.values(), dtype="<f8", count=len(totals))
    return zlib.compress(ids.tobytes(), 1), zlib.compress(values.tobytes(), 1)


def _unpack(ids: bytes, totals: bytes) -> dict[int, float]:
    keys = np.frombuffer(zlib.decompress(ids), dtype="<u4").tolist()
    return dict(zip(keys, np.frombuffer(zlib.decompress(totals), dtype="<f8").tolist(), strict=True))
