"""What a prediction and its outcome add to: cells of sums that are added over time, segments and exporters, and never scanned for."""

from __future__ import annotations

import bisect
import math
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.shape import finite

ARRIVAL: Final = "arrival"
COHORT: Final = "cohort"
TOTAL: Final = "total"
"""The clocks: when the outcome arrived, when the prediction was made, and since the beginning, where nothing is taken back."""

MADE: Final = "made"
KNOWN: Final = "known"
PAIR: Final = "pair"
NUMBER: Final = "number"
DELAY: Final = "delay"
VALUE: Final = "value"
WAITING: Final = "waiting"
AGREEMENT: Final = "agreement"
WRITTEN: Final = "written"

OVER: Final = "over"
UNDER: Final = "under"
EXACT: Final = "exact"
GAIN: Final = "gain"
LOSS: Final = "loss"

NO_BIN: Final = -1
AT_ONCE: Final = -1_000
GREATEST: Final = 1e100
"""The greatest magnitude of a number whose square can still be summed."""
CONFIDENCE_EDGES: Final = tuple(index / 15 for index in range(1, 15))
_GROWTH = math.log(1.1)
_LEAST = sys.float_info.epsilon


class Cell(NamedTuple):
    """What a sum is about, within a model, a version and a slot of a clock.

    | kind | predicted | label | bin | a to e |
    | --- | --- | --- | --- | --- |
    | made | class | - | of the confidence or the number | - |
    | known | as made, when its outcome became known | | | - |
    | pair | class | class that came true | of the confidence | sum of confidence c; weighted: c, c², -log c, -log(1 - c) |
    | number | - | over, under or exact | of the predicted number | sum of the error's size; weighted: error, error², truth, truth² |
    | delay | - | - | of the logarithm of the seconds | - |
    | value | class | gain or loss | - | sum of the value's size |
    | waiting | - | - | - | - |
    | agreement | label of one source | label of another | - | - |
    | written | - | - | - | - |

    An error is prediction minus truth. `segment` holds the two sources of an agreement, and who wrote what was written.
    """

    kind: str
    segment: str = ""
    predicted: str = ""
    label: str = ""
    bin: int = NO_BIN


class Sums(NamedTuple):
    """How many, the sum of their weights and of its squares, and five sums that depend on the kind."""

    pairs: float
    weight: float
    squares: float
    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0


NOTHING = Sums(0.0, 0.0, 0.0)


class Layout(NamedTuple):
    """The bins of one version: inner edges of its confidences and of the numbers that it predicts; `classes` where it has some."""

    confidence: tuple[float, ...] = CONFIDENCE_EDGES
    numbers: tuple[float, ...] = ()
    classes: frozenset[str] = frozenset()

    def fits(self, label: str) -> bool:
        """Whether a label can be scored."""
        return label in self.classes if self.classes else finite(label, GREATEST) is not None

    def position(self, prediction: Prediction) -> int:
        """The bin of a prediction's confidence, or else of its number."""
        if prediction.confidence is not None:
            return bisect.bisect_left(self.confidence, prediction.confidence)
        return NO_BIN if prediction.value is None else bisect.bisect_left(self.numbers, prediction.value)


def made(prediction: Prediction, layout: Layout, *, kind: str = MADE) -> tuple[Cell, Sums]:
    """What a prediction adds alone, when it is made or when its outcome is known."""
    weight = prediction.weight
    cell = Cell(kind, prediction.segment, prediction.class_ or "", bin=layout.position(prediction))
    return cell, Sums(1.0, weight, weight * weight)


def of_pair(prediction: Prediction, outcome: Outcome, layout: Layout) -> Iterator[tuple[Cell, Sums]]:
    """What a prediction and its outcome add by either clock."""
    weight, segment = prediction.weight, prediction.segment
    basic = (1.0, weight, weight * weight)
    bin_ = layout.position(prediction)
    if prediction.class_ is not None or prediction.confidence is not None:
        cell = Cell(PAIR, segment, prediction.class_ or "", outcome.label, bin_ if prediction.confidence is not None else NO_BIN)
        yield cell, Sums(*basic, *_confidence(prediction.confidence, weight))
    truth = finite(outcome.label, GREATEST)
    if prediction.value is not None and abs(prediction.value) <= GREATEST and truth is not None:
        error = prediction.value - truth
        label = OVER if error > 0 else UNDER if error < 0 else EXACT
        sums = (abs(error), weight * error, weight * error * error, weight * truth, weight * truth * truth)
        yield Cell(NUMBER, segment, label=label, bin=bisect.bisect_left(layout.numbers, prediction.value)), Sums(*basic, *sums)
    if outcome.value is not None:
        decision = prediction.class_ or ""
        yield Cell(VALUE, segment, decision, LOSS if outcome.value < 0 else GAIN), Sums(*basic, abs(outcome.value))


def _confidence(confidence: float | None, weight: float) -> tuple[float, ...]:
    if confidence is None:
        return ()
    known = min(max(confidence, _LEAST), 1 - _LEAST)
    return (
        confidence,
        weight * confidence,
        weight * confidence * confidence,
        -weight * math.log(known),
        -weight * math.log1p(-known),
    )


def delay_bin(seconds: float) -> int:
    """The bin of a delay: each is a tenth longer than the one before.

    >>> delay_seconds(delay_bin(60.0)) / 60 - 1 < 0.1
    True
    """
    return AT_ONCE if seconds < 1e-3 else math.ceil(math.log(seconds) / _GROWTH)


def delay_seconds(bin_: int) -> float:
    """The delay in the middle of a bin, at most 5 % from each in it."""
    return 0.0 if bin_ == AT_ONCE else math.exp((bin_ - 0.5) * _GROWTH)
