"""Inputs that are stuck: a feature that keeps one value for longer than the baseline makes plausible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_ml import catalogue as names
from otel_ml.baseline import Feature

Counts = npt.NDArray[np.int64]

CHANCE: Final = 1e-9
"""How often a run that is told would begin by chance, a row of the baseline's kind."""

TOGETHER: Final = 10.0
"""Rows that say what one independent row would, at least: those of a baseline without times look more independent than they are."""

SHORTEST: Final = 100
"""Calls that a run lasts at least: retries, probes and the rows of one user repeat a value for less."""

LIVELY: Final = 1_000
"""A feature that is told sooner varies from call to call: when all of those stand still, the whole row is sent again and again."""

COMMONEST: Final = 0.99
"""A value that more of the baseline's rows have is usual, however long it stays."""

_MOVED_BY_TIME = ("hour", "weekday", "age")


def run_limit(feature: Feature) -> float:
    """From how many calls with one value on a feature is stuck; infinite where no run is strange.

    A value that a share p of independent rows has comes n times running with the chance p**n. Rows that hang together count for
    fewer, by the design effect. The fullest bin bounds p, since a value of more than its fair share has a bin of its own.
    """
    *bins, _, other = feature.histogram.counts
    known = sum(bins) + other
    share = max([*bins, other]) / known if known else 1.0
    lasting = feature.rules is not None and feature.rules.repeats is True
    if lasting or share > COMMONEST or (feature.source is not None and feature.source.how in _MOVED_BY_TIME):
        return math.inf
    return max(SHORTEST, math.ceil(max(feature.design_effect, TOGETHER) * math.log(CHANCE) / math.log(share)))


class Held(NamedTuple):
    """Of each feature in a block of rows: its one value, NaN where it varies, and how many rows have a value."""

    value: npt.NDArray[np.floating[Any]]
    present: Counts


class Runs:
    """Follows how many calls each feature has kept its value for, one block of rows after the other.

    Blocks that are folded at the same time may lose one of them here; a run is then told a block later.
    """

    def __init__(self, places: Sequence[Mapping[str, int]], features: Sequence[Feature]) -> None:
        self._limits = np.array([run_limit(feature) for feature in features])
        self._places = np.array([kinds.get(names.VIOLATION_STUCK, 0) for kinds in places], dtype=np.int64)
        self._lively = np.flatnonzero(self._limits < LIVELY)
        self._held = np.full(len(features), np.nan)
        self._calls = np.zeros(len(features))

    def add(self, counts: Counts, numbers: Held, categories: Sequence[tuple[float, int]], calls: float) -> None:
        """Count the values of a block, which came in so many calls, that belong to a run that is too long.

        Where a whole row is sent again and again, as a probe and a replay do, that is no fault of an input, and not counted.
        """
        held = np.array([*numbers.value.tolist(), *(value for value, _ in categories)])
        present = np.array([*numbers.present.tolist(), *(rows for _, rows in categories)], dtype=np.int64)
        if not present.any():
            return
        self._calls = lasted = np.where(held == self._held, self._calls, 0) + np.where(np.isnan(held), 0, calls)
        self._held = held
        stuck = lasted >= self._limits
        if not stuck.any():
            return
        lively = self._lively
        if len(lively) < 2 or ((lasted[lively] < SHORTEST) & (present[lively] > 0)).any():
            counts[self._places[stuck]] += present[stuck]
