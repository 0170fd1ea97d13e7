"""Predictions and outcomes on disk, and their joined pairs as counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import METADATA, Database, delete_batches

_PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("prediction_id", sa.Text, primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("class", sa.Text, key="class_"),
    sa.Column("value", sa.Double),
    sa.Column("confidence", sa.Double),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Index("predictions_by_time", "model", "version", "time"),
)
_OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("prediction_id", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Index("outcomes_by_time", "model", "time"),
)


class Prediction(NamedTuple):
    """One prediction that waits for its outcome; `weight` is how many predictions it stands for."""

    model: str
    version: str
    prediction_id: str
    time: float
    class_: str | None
    value: float | None
    confidence: float | None
    weight: float


class Outcome(NamedTuple):
    """What turned out to be true for a prediction; `time` is when it arrived."""

    model: str
    prediction_id: str
    label: str
    time: float


class Judge(NamedTuple):
    """How confidences are binned and what makes a prediction right.

    `edges` are the inner bounds of the confidence bins. `positive` is the class whose probability the confidence is; None
    where it is that of the predicted class.
    """

    edges: tuple[float, ...]
    positive: str | None


class Joined(NamedTuple):
    """Pairs of prediction and outcome, counted per confidence bin; all counts are scaled to the effective number of pairs."""

    outcomes: tuple[float, ...]
    positives: tuple[float, ...]
    confidence: tuple[float, ...]
    squared_errors: tuple[float, ...]

    @property
    def samples(self) -> float:
        """The effective number of pairs, which is their number when all weigh the same."""
        return sum(self.outcomes)


class OutcomeStore:
    """Keeps predictions and outcomes, in whichever order they come."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, predictions: Sequence[Prediction], outcomes: Sequence[Outcome]) -> None:
        """Write all or nothing; what returns is on the disk. A repetition changes nothing, of several outcomes the last wins."""
        if not predictions and not outcomes:
            return
        with self._database.write() as connection:
            if predictions:
                connection.execute(self._database.upsert(_PREDICTIONS), [entry._asdict() for entry in predictions])
            if outcomes:
                connection.execute(self._database.upsert(_OUTCOMES, unless_same="label"), [entry._asdict() for entry in outcomes])

    def prune(self, before: float) -> int:
        """Delete what is older, and say how much it was."""
        return sum(delete_batches(self._database, table, table.c.time < before) for table in (_PREDICTIONS, _OUTCOMES))

    def joined(self, model: str, version: str, judge: Judge, since: float, until: float) -> Joined:
        """The pairs whose outcome arrived in `(since, until]`, counted per confidence bin of `judge`.

        A pair is positive when its outcome is the class that the confidence belongs to.
        """
        confidence, weight = _PREDICTIONS.c.confidence, _PREDICTIONS.c.weight
        expected = _PREDICTIONS.c.class_ if judge.positive is None else sa.literal(judge.positive)
        positive = sa.case((_OUTCOMES.c.label == expected, 1.0), else_=0.0)
        gap = confidence - positive
        position = sa.case(*((confidence <= edge, index) for index, edge in enumerate(judge.edges)), else_=len(judge.edges)).label("bin")
        sums = (weight, weight * positive, weight * confidence, weight * (gap * gap), weight * weight)
        pairs = (
            sa.select(position, *(sa.func.sum(term) for term in sums))
            .join_from(_OUTCOMES, _PREDICTIONS, _SAME)
            .where(_OUTCOMES.c.model == model, _PREDICTIONS.c.version == version, *_within(_OUTCOMES, since, until))
            .where(confidence.is_not(None), expected.is_not(None))
            .group_by(position)
        )
        with self._database.read() as connection:
            return _scaled([tuple(row) for row in connection.execute(pairs)], len(judge.edges) + 1)

    def coverage(self, model: str, version: str, since: float, until: float) -> float | None:
        """The share of the predictions made in `(since, until]` whose outcome is known; None without predictions."""
        counted = (
            sa.select(sa.func.count(), sa.func.count(_OUTCOMES.c.label))
            .select_from(_PREDICTIONS.outerjoin(_OUTCOMES, _SAME))
            .where(_PREDICTIONS.c.model == model, _PREDICTIONS.c.version == version, *_within(_PREDICTIONS, since, until))
        )
        with self._database.read() as connection:
            predictions, known = connection.execute(counted).one()
        return known / predictions if predictions else None

    def last_outcome(self, model: str, version: str) -> float | None:
        """When the last outcome of a prediction of this version arrived; None without one."""
        newest = (
            sa.select(_OUTCOMES.c.time)
            .join_from(_OUTCOMES, _PREDICTIONS, _SAME)
            .where(_OUTCOMES.c.model == model, _PREDICTIONS.c.version == version)
            .order_by(_OUTCOMES.c.time.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(newest).scalar()


_SAME = sa.and_(_PREDICTIONS.c.model == _OUTCOMES.c.model, _PREDICTIONS.c.prediction_id == _OUTCOMES.c.prediction_id)


def _within(table: sa.Table, since: float, until: float) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.time > since, table.c.time <= until


def _scaled(rows: Sequence[tuple[Any, ...]], bins: int) -> Joined:
    """The sums of each bin, scaled so that their weights add up to the effective sample size `(sum w)^2 / sum w^2`."""
    total = sum(row[1] for row in rows)
    squares = sum(row[5] for row in rows)
    scale = total / squares if squares else 0.0
    by_bin = {row[0]: [term * scale for term in row[1:5]] for row in rows}
    columns = zip(*(by_bin.get(index, [0.0] * 4) for index in range(bins)), strict=True)
    return Joined(*(tuple(column) for column in columns))
