"""The rows of predictions, outcomes and counted cells, and the tables that hold them."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import METADATA

PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column("model", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("prediction_id", sa.Text),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("class", sa.Text, key="class_"),
    sa.Column("value", sa.Double),
    sa.Column("confidence", sa.Double),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("model", "prediction_id", "version"),
    sa.Index("predictions_by_age", "time"),
    sqlite_with_rowid=False,
)

OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    sa.Column("model", sa.Text),
    sa.Column("prediction_id", sa.Text),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("value", sa.Double),
    sa.PrimaryKeyConstraint("model", "prediction_id", "source"),
    sa.Index("outcomes_by_age", "time"),
    sqlite_with_rowid=False,
)
"""One label of each source; which of them is the truth, `pairs.truth` says."""

CELLS = sa.Table(
    "cells",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("clock", sa.Text, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("predicted", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Double, nullable=False) for name in ("pairs", "weight", "squares", "a", "b", "c", "d", "e")),
    sa.Index("cells_by_age", "slot"),
    sqlite_with_rowid=False,
)
"""What was counted in a span of time that begins at `slot`; see `cells.Cell`."""

NEWEST = sa.Table(
    "newest_outcomes",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
)
"""When the last outcome of a prediction of a version arrived."""


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
    segment: str = ""


class Outcome(NamedTuple):
    """What turned out to be true for a prediction, according to a `source`; `time` is when it arrived.

    `value` is what the decision was worth: revenue, a conversion, or, below 0, a cost.
    """

    model: str
    prediction_id: str
    label: str
    time: float
    source: str = ""
    value: float | None = None
