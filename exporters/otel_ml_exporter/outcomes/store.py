"""Predictions and outcomes on disk, and their joined pairs as counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import Database, delete_batches
from otel_ml_exporter.outcomes.tables import ARRIVALS, OUTCOMES, PREDICTIONS, SAME, Judge, Outcome, Prediction, within
from otel_ml_exporter.shape import finite

DELAYS = {"0.5": 50, "0.9": 90}
"""The quantiles of the delay that are published, as text and in per cent."""
GREATEST = 1e100
"""The greatest magnitude of a predicted number whose square can still be summed."""


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


Confusion = Mapping[tuple[str, str], float]
"""Pairs by (label, predicted class), scaled to the effective number of pairs."""


class Errors(NamedTuple):
    """Sums over pairs of numbers, an error being prediction minus truth; scaled to the effective number of pairs."""

    samples: float
    error: float
    absolute_error: float
    squared_error: float
    truth: float
    squared_truth: float


class OutcomeStore:
    """Keeps predictions and outcomes, in whichever order they come."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, predictions: Sequence[Prediction], outcomes: Sequence[Outcome]) -> None:
        """Write all or nothing; what returns is on the disk. A repetition changes nothing, of several outcomes the last wins."""
        if not predictions and not outcomes:
            return
        ids = {"model", "prediction_id", "time"}
        with self._database.write() as connection:
            if predictions:
                rows = [entry._asdict() for entry in predictions]
                connection.execute(self._database.upsert(PREDICTIONS, untouched=("counted",)), rows)
            if outcomes:
                rows = [{**entry._asdict(), "number": finite(entry.label, GREATEST)} for entry in outcomes]
                connection.execute(self._database.upsert(OUTCOMES, unless_same="label"), rows)
                arrived = [{name: row[name] for name in ids} for row in rows]
                connection.execute(self._database.insert_new(ARRIVALS), arrived)
            if predictions:
                keys = [{"of_model": entry.model, "of_id": entry.prediction_id} for entry in predictions]
                connection.execute(self._database.insert_new(ARRIVALS).from_select(list(_WAITING.selected_columns.keys()), _WAITING), keys)

    def prune(self, before: float) -> int:
        """Delete what is older, and say how many predictions and outcomes it was."""
        delete_batches(self._database, ARRIVALS, ARRIVALS.c.time < before)
        return sum(delete_batches(self._database, table, table.c.time < before) for table in (PREDICTIONS, OUTCOMES))

    def joined(self, model: str, version: str, judge: Judge, since: float, until: float) -> Joined:
        """The pairs whose outcome arrived in `(since, until]`, counted per confidence bin of `judge`.

        A pair is positive when its outcome is the class that the confidence belongs to.
        """
        confidence, weight = PREDICTIONS.c.confidence, PREDICTIONS.c.weight
        hit, position = judge.hit, judge.position
        gap = confidence - hit
        sums = (weight, weight * hit, weight * confidence, weight * (gap * gap), weight * weight)
        pairs = _pairs(model, version, since, until, position, *map(sa.func.sum, sums))
        rows = self._rows(pairs.where(confidence.is_not(None), judge.expected.is_not(None)).group_by(position))
        scale = _scale(sum(row[1] for row in rows), sum(row[5] for row in rows))
        by_bin = {row[0]: [term * scale for term in row[1:5]] for row in rows}
        columns = zip(*(by_bin.get(index, [0.0] * 4) for index in range(len(judge.edges) + 1)), strict=True)
        return Joined(*(tuple(column) for column in columns))

    def confusion(self, model: str, version: str, classes: Sequence[str], since: float, until: float) -> Confusion:
        """The pairs of `classes` whose outcome arrived in `(since, until]`, by label and predicted class."""
        label, predicted, weight = OUTCOMES.c.label, PREDICTIONS.c.class_, PREDICTIONS.c.weight
        pairs = _pairs(model, version, since, until, label, predicted, sa.func.sum(weight), sa.func.sum(weight * weight))
        rows = self._rows(pairs.where(label.in_(classes), predicted.in_(classes)).group_by(label, predicted))
        scale = _scale(sum(row[2] for row in rows), sum(row[3] for row in rows))
        return {(row[0], row[1]): row[2] * scale for row in rows}

    def errors(self, model: str, version: str, since: float, until: float) -> Errors:
        """Sums of the errors of the pairs of numbers whose outcome arrived in `(since, until]`."""
        value, truth, weight = PREDICTIONS.c.value, OUTCOMES.c.number, PREDICTIONS.c.weight
        error = value - truth
        terms = (weight, weight * error, weight * sa.func.abs(error), weight * error * error, weight * truth, weight * truth * truth)
        pairs = _pairs(model, version, since, until, *map(sa.func.sum, (*terms, weight * weight)))
        (row,) = self._rows(pairs.where(truth.is_not(None), sa.func.abs(value) <= GREATEST))
        scale = _scale(row[0] or 0.0, row[6] or 0.0)
        return Errors(*((term or 0.0) * scale for term in row[:6]))

    def coverage(self, model: str, version: str, since: float, until: float) -> float | None:
        """The share of the predictions made in `(since, until]` whose outcome is known; None without predictions."""
        counted = (
            sa.select(sa.func.count(), sa.func.count(OUTCOMES.c.label))
            .select_from(PREDICTIONS.outerjoin(OUTCOMES, SAME))
            .where(PREDICTIONS.c.model == model, PREDICTIONS.c.version == version, *within(PREDICTIONS, since, until))
        )
        ((predictions, known),) = self._rows(counted)
        return known / predictions if predictions else None

    def delays(self, model: str, version: str, since: float, until: float) -> dict[str, float]:
        """Quantiles of the seconds between a prediction and its outcome, of the outcomes that arrived in `(since, until]`.

        A quantile is the smallest delay that at least that share of the pairs do not exceed. Empty without pairs.
        """
        waited = OUTCOMES.c.time - PREDICTIONS.c.time
        delay = sa.case((waited > 0, waited), else_=0.0).label("delay")
        rank, pairs = sa.func.row_number().over(order_by=delay).label("rank"), sa.func.count().over().label("pairs")
        ranked = _pairs(model, version, since, until, delay, rank, pairs).subquery()
        chosen = (ranked.c.rank == _rank(percent, ranked.c.pairs) for percent in DELAYS.values())
        rows = self._rows(sa.select(ranked).where(sa.or_(*chosen)))
        return {
            quantile: next(delay for delay, rank, pairs in rows if rank == _rank(percent, pairs))
            for quantile, percent in DELAYS.items()
            if rows
        }

    def last_outcome(self, model: str, version: str) -> float | None:
        """When the last outcome of a prediction of this version arrived; None without one."""
        newest = (
            sa.select(OUTCOMES.c.time)
            .join_from(OUTCOMES, PREDICTIONS, SAME)
            .where(OUTCOMES.c.model == model, PREDICTIONS.c.version == version)
            .order_by(OUTCOMES.c.time.desc())
            .limit(1)
        )
        rows = self._rows(newest)
        return rows[0][0] if rows else None

    def _rows(self, query: Any) -> list[tuple[Any, ...]]:
        with self._database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]


_WAITING = sa.select(OUTCOMES.c.model, OUTCOMES.c.prediction_id, OUTCOMES.c.time).where(
    OUTCOMES.c.model == sa.bindparam("of_model"), OUTCOMES.c.prediction_id == sa.bindparam("of_id")
)
"""The outcome that came before its prediction."""


def _pairs(model: str, version: str, since: float, until: float, *columns: Any) -> sa.Select[Any]:
    """The pairs of a version whose outcome arrived in `(since, until]`."""
    joined = sa.select(*columns).join_from(OUTCOMES, PREDICTIONS, SAME)
    return joined.where(OUTCOMES.c.model == model, PREDICTIONS.c.version == version, *within(OUTCOMES, since, until))


def _rank(percent: int, pairs: Any) -> Any:
    """The rank of a quantile among so many pairs, rounded up; a number, or an expression of the database."""
    return (pairs * percent + 99) // 100


def _scale(weights: float, squares: float) -> float:
    """What turns sums of weights into an effective number of pairs, `(sum w)^2 / sum w^2`."""
    return weights / squares if squares else 0.0
