"""Nine ways in which preprocessing breaks, done to flights, and one that no single feature can show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from otel_ml_exporter.demo.flights import WEATHER

SCALED = "wind_speed"
"""The feature that the pipeline standardises before the model."""
WIND_MEAN, WIND_STD = 10.5, 5.5

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Bug:
    """What is broken, how, and the features of which one has to be named first."""

    title: str
    change: Change
    features: tuple[str, ...]


def scaled(table: pd.DataFrame) -> pd.DataFrame:
    """The flights as the pipeline serves them."""
    return table.assign(**{SCALED: (table[SCALED] - WIND_MEAN) / WIND_STD})


def kilometres(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(distance=rows["distance"] * 1.609344)


def celsius(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(temp=(rows["temp"] - 32) / 1.8)


def unscaled(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{SCALED: rows[SCALED] * WIND_STD + WIND_MEAN})


CARRIERS = ("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV")


def other_encoding(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    """Each carrier gets the code of the next one in the alphabet."""
    return rows.assign(carrier=rows["carrier"].map(dict(zip(CARRIERS, (*CARRIERS[1:], CARRIERS[0]), strict=True))))


def nulls_to_zero(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(pressure=rows["pressure"].fillna(0.0))


def placeholder(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return rows.assign(dewp=rows["dewp"].where(random.random(len(rows)) >= 0.05, -999.0))


def other_time_zone(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(hour=(rows["hour"] + 5) % 24)


def stuck(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    """The humidity stays what it was when the window began."""
    return rows.assign(humid=rows["humid"].dropna().iloc[0])


def lossy_join(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Half of the flights find no weather."""
    lost = random.random(len(rows)) < 0.5
    return rows.assign(**{name: rows[name].mask(lost) for name in WEATHER})


def airports_swapped(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(origin=rows["origin"].replace({"EWR": "JFK", "JFK": "EWR"}))


BUGS = (
    Bug("miles arrive as kilometres", kilometres, ("distance",)),
    Bug("Fahrenheit arrives as Celsius", celsius, ("temp",)),
    Bug("the scaler is forgotten", unscaled, (SCALED,)),
    Bug("the encoding is swapped", other_encoding, ("carrier",)),
    Bug("nulls become 0", nulls_to_zero, ("pressure",)),
    Bug("-999 in 5 % of rows", placeholder, ("dewp",)),
    Bug("the hour is in UTC", other_time_zone, ("hour",)),
    Bug("a sensor is stuck", stuck, ("humid",)),
    Bug("a join loses half", lossy_join, WEATHER),
)
BLIND_SPOT = Bug("two airports of one size swapped", airports_swapped, ("origin",))
