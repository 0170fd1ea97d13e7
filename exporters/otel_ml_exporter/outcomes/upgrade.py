"""Rows of an older schema, taken in again as if they came now, because they are counted differently since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import SET_ASIDE, Database
from otel_ml_exporter.outcomes.tables import Outcome, Prediction

BATCH = 5_000


class _Old(NamedTuple):
    table: str
    kind: Callable[..., Any]
    columns: tuple[str, ...]


_OLD = (
    _Old(
        f"{SET_ASIDE}predictions",
        Prediction,
        ("model", "version", "prediction_id", "time", "class", "value", "confidence", "weight"),
    ),
    _Old(f"{SET_ASIDE}outcomes", Outcome, ("model", "prediction_id", "label", "time")),
)


def take_in_again(database: Database, keep: Callable[[Sequence[Prediction], Sequence[Outcome]], Any]) -> None:
    """Give the rows that a migration set aside to `keep`, and drop their tables; one that was interrupted begins again."""
    with database.read() as connection:
        there = set(sa.inspect(connection).get_table_names())
    for old in _OLD:
        if old.table not in there:
            continue
        with database.read() as connection:
            query = f"SELECT {', '.join(old.columns)} FROM {old.table}"  # noqa: S608 - both are constants of this file
            rows = [old.kind(*row) for row in connection.execute(sa.text(query))]
        for begin in range(0, len(rows), BATCH):
            batch = rows[begin : begin + BATCH]
            keep(*((batch, ()) if old.kind is Prediction else ((), batch)))
        with database.write() as connection:
            connection.execute(sa.text(f"DROP TABLE {old.table}"))
