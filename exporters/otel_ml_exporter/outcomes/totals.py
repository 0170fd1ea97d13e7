"""Pairs counted once, when they become pairs: totals that only grow, for counters that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import Database
from otel_ml_exporter.outcomes.tables import ARRIVALS, OUTCOMES, PREDICTIONS, SAME, TOTALS, Judge

BaselineKey = tuple[str, str, str]
"""Model, version and fingerprint."""


class Total(NamedTuple):
    """The pairs of one confidence bin since the beginning: how many, how many came true, and the sum of their confidences."""

    pairs: float
    positives: float
    confidence: float


_NOTHING = Total(0.0, 0.0, 0.0)


class PairTotals:
    """Adds each pair to the totals of its bin when both halves are there.

    A repetition of either half adds nothing. An outcome with another label than before is a pair of its own: what was added
    under the first label stays, because a counter must not fall.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def update(self, judges: Mapping[BaselineKey, Judge | None]) -> None:
        """Add what arrived for these models; None where nothing of a model is to be counted.

        The database has one writer at a time, so nothing can arrive between the counting and the deleting.
        """
        of_models = ARRIVALS.c.model.in_({model for model, _, _ in judges})
        with self._database.read() as connection:
            if connection.execute(sa.select(sa.literal(1)).select_from(ARRIVALS).where(of_models).limit(1)).first() is None:
                return
        with self._database.write() as connection:
            for key, judge in judges.items():
                if judge is not None:
                    self._add(connection, key, judge)
            connection.execute(sa.delete(ARRIVALS).where(of_models))

    def read(self, key: BaselineKey, bins: int) -> tuple[Total, ...]:
        """The total of each bin, 0 where nothing came yet."""
        with self._database.read() as connection:
            found = _stored(connection, key)
        return tuple(found.get(index, _NOTHING) for index in range(bins))

    def _add(self, connection: sa.Connection, key: BaselineKey, judge: Judge) -> None:
        confidence, position = PREDICTIONS.c.confidence, judge.position
        sums = (sa.func.count(), sa.func.sum(judge.hit), sa.func.sum(confidence))
        fresh = _fresh(key, judge)
        grown = connection.execute(_from_arrivals(sa.select(position, *sums)).where(*fresh).group_by(position)).all()
        if not grown:
            return
        before = _stored(connection, key)
        rows = [_row(key, row[0], before.get(row[0], _NOTHING), row[1:]) for row in grown]
        connection.execute(self._database.upsert(TOTALS), rows)
        label = sa.select(OUTCOMES.c.label).where(SAME).correlate(PREDICTIONS).scalar_subquery()
        ids = _from_arrivals(sa.select(PREDICTIONS.c.prediction_id)).where(*fresh)
        of_key = (PREDICTIONS.c.model == key[0], PREDICTIONS.c.version == key[1])
        connection.execute(sa.update(PREDICTIONS).where(*of_key, PREDICTIONS.c.prediction_id.in_(ids)).values(counted=label))


def _fresh(key: BaselineKey, judge: Judge) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether a pair is to be counted and was not, or under another label."""
    counted = PREDICTIONS.c.counted
    return (
        PREDICTIONS.c.model == key[0],
        PREDICTIONS.c.version == key[1],
        PREDICTIONS.c.confidence.is_not(None),
        judge.expected.is_not(None),
        sa.or_(counted.is_(None), counted != OUTCOMES.c.label),
    )


def _from_arrivals(query: Any) -> sa.Select[Any]:
    arrived = sa.and_(ARRIVALS.c.model == OUTCOMES.c.model, ARRIVALS.c.prediction_id == OUTCOMES.c.prediction_id)
    pairs: sa.Select[Any] = query.select_from(ARRIVALS).join(OUTCOMES, arrived).join(PREDICTIONS, SAME)
    return pairs


def _stored(connection: sa.Connection, key: BaselineKey) -> dict[int, Total]:
    columns = sa.select(TOTALS.c.bin, TOTALS.c.pairs, TOTALS.c.positives, TOTALS.c.confidence)
    own = columns.where(TOTALS.c.model == key[0], TOTALS.c.version == key[1], TOTALS.c.baseline_id == key[2])
    return {row[0]: Total(*row[1:]) for row in connection.execute(own)}


def _row(key: BaselineKey, position: int, before: Total, growth: Iterable[float]) -> dict[str, object]:
    after = Total(*(old + new for old, new in zip(before, growth, strict=True)))
    return dict(zip(("model", "version", "baseline_id", "bin"), (*key, position), strict=True)) | after._asdict()
