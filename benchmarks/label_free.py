"""Accuracy estimated without labels, beside what it turned out to be: on flights as they are, and with kinds of shift."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from otel_ml import Monitor, stats, testing
from otel_ml_exporter.demo import flights

ROWS = 10_000


def label_free(year: pd.DataFrame) -> str:
    """The table; each line is `ROWS` flights that the model never saw."""
    parts = flights.split(year)
    model = flights.Model(parts.train)
    baseline = flights.baseline(model, parts.validation)
    known = baseline.calibration
    assert known is not None
    monitor = Monitor(baseline)
    predict = monitor.wrap(model.predict_proba)
    lines = []
    counted = np.zeros(len(known.outcomes))
    for what, rows in _shifts(year, parts.quiet):
        answers = np.array(predict(rows))
        total = np.array(list(testing.collect(monitor).confidences.values())[: len(counted)])
        window, counted = total - counted, total
        real = float(np.mean((answers >= baseline.threshold) == rows[flights.LATE]))
        estimates = [
            estimate(known.outcomes, known.positives, window, edges=known.edges, threshold=baseline.threshold, binary=True)
            for estimate in (stats.cbpe, stats.atc)
        ]
        cells = [f"{each.value:.3f} ({each.value - real:+.3f})" for each in estimates]
        lines.append(f"| {what} | {len(rows)} | {rows[flights.LATE].mean():.2f} | {real:.3f} | {' | '.join(cells)} |")
    header = "| flights | rows | late | accuracy, realised | CBPE (error) | ATC (error) |\n| --- | --- | --- | --- | --- | --- |\n"
    title = f"## Accuracy without labels; the baseline's is {baseline.performance['accuracy']:.3f}\n\n"
    return title + header + "\n".join(lines) + "\n"


def _shifts(year: pd.DataFrame, quiet: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    random = np.random.default_rng(2013)

    def drawn(weights: pd.Series | None = None) -> pd.DataFrame:
        return quiet.sample(ROWS, replace=True, weights=weights, random_state=random.integers(1 << 31))

    yield "nothing changed", drawn()
    yield "covariate shift: evening flights 5 times as often", drawn(quiet["hour"].ge(17) * 4 + 1.0)
    yield "covariate shift: morning flights 5 times as often", drawn(quiet["hour"].le(9) * 4 + 1.0)
    share = quiet[flights.LATE].mean()
    yield "label shift: half are late", drawn(quiet[flights.LATE].map({0: 0.5 / (1 - share), 1: 0.5 / share}))
    rows = drawn()
    yield "concept shift: one flight in five has the other label", _relabelled(rows, random.random(ROWS) < 0.2)
    rows = drawn()
    yield "concept shift: morning flights are late, evening flights are not", rows.assign(late=(rows["hour"] <= 9).astype(int))
    for number, name in ((7, "July"), (9, "September")):
        yield f"{name}, as it was", year[year["month"] == number].sample(ROWS, random_state=number)


def _relabelled(rows: pd.DataFrame, where: np.ndarray) -> pd.DataFrame:
    return rows.assign(**{flights.LATE: rows[flights.LATE].where(~where, 1 - rows[flights.LATE])})
