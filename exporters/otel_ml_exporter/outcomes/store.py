"""Predictions and outcomes on disk, joined as they come, and counted into cells in the same transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import Database, delete_batches
from otel_ml_exporter.outcomes import cells
from otel_ml_exporter.outcomes.cells import Cell, Sums
from otel_ml_exporter.outcomes.ledger import Known, Ledger, Received, Segments
from otel_ml_exporter.outcomes.tables import CELLS, NEWEST, OUTCOMES, PREDICTIONS, Outcome, Prediction
from otel_ml_exporter.outcomes.upgrade import take_in_again

SUMS = tuple(CELLS.c[name] for name in Sums._fields)
NEWEST_PAIRS = 10_000
SLOT = 60
"""Seconds that a cell covers, unless windows are short."""


class Entries(NamedTuple):
    """The predictions and outcomes of one request, and who sent them."""

    predictions: Sequence[Prediction] = ()
    outcomes: Sequence[Outcome] = ()
    writer: str = ""

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.predictions) + len(self.outcomes)


class OutcomeStore:
    """Keeps predictions and outcomes, in whichever order they come; cells are `width` seconds long."""

    def __init__(self, database: Database, *, width: int = SLOT) -> None:
        self._database = database
        self._width = width
        self._segments = Segments()
        self.known = Known()
        """Replaced as a whole when baselines change; what was counted before stays in the bins of then."""
        self.rows = 0
        take_in_again(database, self.keep)
        with database.read() as connection:
            counts = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in (PREDICTIONS, OUTCOMES)]
        self.rows = sum(counts)
        """Predictions and outcomes that are stored."""

    def keep(self, predictions: Sequence[Prediction], outcomes: Sequence[Outcome]) -> Received:
        """Write all or nothing; what returns is on the disk."""
        return self.keep_all([Entries(predictions, outcomes)])[0]

    def keep_all(self, requests: Sequence[Entries]) -> list[Received]:
        """Write the entries of several requests in one transaction, and say what became of each.

        A repetition changes nothing. The first prediction of an id stays; of the labels of a source the last. What was counted
        of an outcome that is corrected is taken back, except from the totals, which never fall.
        """
        with self._database.write() as connection:
            ledger = self._ledger(connection, requests)
            received = [_enter(ledger, entries, self._segments) for entries in requests]
            self._write(connection, ledger)
        self.rows += len(ledger.new_predictions) + len(ledger.new_outcomes)
        return received

    def prune(self, before: float) -> int:
        """Delete what is older, and say how many predictions and outcomes it was."""
        delete_batches(self._database, CELLS, sa.and_(CELLS.c.slot < before - self._width, CELLS.c.clock != cells.TOTAL))
        deleted = sum(delete_batches(self._database, table, table.c.time < before) for table in (PREDICTIONS, OUTCOMES))
        self.rows -= deleted
        return deleted

    def window(self, model: str, version: str, clock: str, since: float, until: float) -> dict[Cell, Sums]:
        """What the slots that begin in `(since, until]` hold; an empty version for what belongs to the model alone."""
        return self._cells(model, version, clock, CELLS.c.slot > since, CELLS.c.slot <= until)

    def totals(self, model: str, version: str) -> dict[Cell, Sums]:
        """What was counted since the beginning."""
        return self._cells(model, version, cells.TOTAL)

    def newest_pairs(self, model: str, version: str, since: float, until: float) -> list[tuple[float, str | None, str]]:
        """Confidence, predicted class and label of pairs among the newest outcomes that arrived in `(since, until]`."""
        newest = (
            sa.select(OUTCOMES.c.model, OUTCOMES.c.prediction_id, OUTCOMES.c.label)
            .where(OUTCOMES.c.time > since, OUTCOMES.c.time <= until)
            .order_by(OUTCOMES.c.time.desc())
            .limit(NEWEST_PAIRS)
            .subquery()
        )
        same = sa.and_(PREDICTIONS.c.model == newest.c.model, PREDICTIONS.c.prediction_id == newest.c.prediction_id)
        query = sa.select(PREDICTIONS.c.confidence, PREDICTIONS.c.class_, newest.c.label).select_from(newest).join(PREDICTIONS, same)
        of = (newest.c.model == model, PREDICTIONS.c.version == version, PREDICTIONS.c.confidence.is_not(None))
        with self._database.read() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query.where(*of))]

    def last_outcome(self, model: str, version: str) -> float | None:
        """When the last outcome of a prediction of this version arrived; None without one."""
        with self._database.read() as connection:
            newest: float | None = connection.execute(
                sa.select(NEWEST.c.time).where(NEWEST.c.model == model, NEWEST.c.version == version)
            ).scalar()
        return newest

    def _cells(self, model: str, version: str, clock: str, *span: sa.ColumnElement[bool]) -> dict[Cell, Sums]:
        key = [CELLS.c[name] for name in Cell._fields]
        of = (CELLS.c.model == model, CELLS.c.version == version, CELLS.c.clock == clock, *span)
        query = sa.select(*key, *map(sa.func.sum, SUMS)).where(*of).group_by(*key)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = ((Cell(*row[: len(key)]), Sums(*row[len(key) :])) for row in rows)
        return {cell: sums for cell, sums in found if sums.pairs > 0.5}

    def _ledger(self, connection: sa.Connection, requests: Sequence[Entries]) -> Ledger:
        """What is known of the ids, with nobody else writing for these models: the two halves of a pair must see each other."""
        ids: dict[str, set[str]] = defaultdict(set)
        for entries in requests:
            for prediction in entries.predictions:
                ids[prediction.model].add(prediction.prediction_id)
            for outcome in entries.outcomes:
                ids[outcome.model].add(outcome.prediction_id)
        self._database.lock(connection, ids)
        predictions = (Prediction(*row) for row in self._of(connection, PREDICTIONS, Prediction, ids))
        outcomes = sorted((Outcome(*row) for row in self._of(connection, OUTCOMES, Outcome, ids)), key=lambda outcome: outcome.time)
        return Ledger(self.known, self._width, predictions, outcomes)

    def _of(self, connection: sa.Connection, table: sa.Table, kind: Any, ids: Mapping[str, Iterable[str]]) -> Iterator[Any]:
        columns = [table.c[name] for name in kind._fields]
        for model, wanted in ids.items():
            query = sa.select(*columns).where(table.c.model == model, self._database.among(table.c.prediction_id, "ids"))
            yield from connection.execute(query, {"ids": self._database.many(wanted)})

    def _write(self, connection: sa.Connection, ledger: Ledger) -> None:
        write = self._database.write_rows
        write(connection, self._database.insert_new(PREDICTIONS), ledger.new_predictions)
        write(connection, self._database.upsert(OUTCOMES), [outcome for _, outcome in sorted(ledger.new_outcomes.items())])
        changes = [(*place[:4], *place[4], *sums) for place, sums in ledger.changes()]
        write(connection, self._database.add(CELLS, Sums._fields), changes)
        write(connection, self._database.upsert(NEWEST), [(*of, time) for of, time in sorted(ledger.newest.items())])


def _enter(ledger: Ledger, entries: Entries, segments: Segments) -> Received:
    predictions = Counter((entry.model, ledger.predict(segments.bounded(entry))) for entry in entries.predictions)
    return Received(predictions, Counter((entry.model, ledger.label(entry, entries.writer)) for entry in entries.outcomes))
