"""The rows of predictions and outcomes, and the tables that hold them."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from otel_ml_exporter.database import METADATA

PREDICTIONS = sa.Table(
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
    sa.Column("counted", sa.Text),
    sa.Index("predictions_by_time", "model", "version", "time"),
)
"""`counted` is the label under which the pair of a prediction entered the totals; None where it did not yet."""

OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("prediction_id", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("number", sa.Double),
    sa.Index("outcomes_by_time", "model", "time"),
)
"""`number` is the label where it is one, so that errors can be summed in the database."""

ARRIVALS = sa.Table(
    "arrivals",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("prediction_id", sa.Text, primary_key=True),
    sa.Column("time", sa.Double, nullable=False, index=True),
)
"""The ids that may have become a pair since the totals were last brought up to date."""

TOTALS = sa.Table(
    "pair_totals",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("baseline_id", sa.Text, primary_key=True),
    sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("pairs", sa.Double, nullable=False),
    sa.Column("positives", sa.Double, nullable=False),
    sa.Column("confidence", sa.Double, nullable=False),
)
"""The pairs of each confidence bin since the beginning; they outlive the rows that they count."""

SAME = sa.and_(PREDICTIONS.c.model == OUTCOMES.c.model, PREDICTIONS.c.prediction_id == OUTCOMES.c.prediction_id)


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

    @property
    def expected(self) -> sa.ColumnElement[str | None]:
        """The class that the confidence of a prediction belongs to."""
        return PREDICTIONS.c.class_ if self.positive is None else sa.literal(self.positive)

    @property
    def hit(self) -> sa.ColumnElement[float]:
        """1 where that class came true, else 0."""
        return sa.case((OUTCOMES.c.label == self.expected, 1.0), else_=0.0)

    @property
    def position(self) -> sa.ColumnElement[int]:
        """The position of the bin of a confidence; take it once for a query, since PostgreSQL groups by what it also selects."""
        steps = ((PREDICTIONS.c.confidence <= edge, index) for index, edge in enumerate(self.edges))
        return sa.case(*steps, else_=len(self.edges)).label("bin")


def within(table: sa.Table, since: float, until: float) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Whether the time of a row is in `(since, until]`."""
    return table.c.time > since, table.c.time <= until
