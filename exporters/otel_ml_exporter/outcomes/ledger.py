"""What an arrival changes: a prediction, an outcome, a repetition, a correction, in whichever order; without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from otel_ml import catalogue as names
from otel_ml_exporter.outcomes import cells
from otel_ml_exporter.outcomes.cells import Cell, Layout, Sums
from otel_ml_exporter.outcomes.tables import Outcome, Prediction

Id = tuple[str, str]
"""A model and the id of a prediction."""
Place = tuple[str, str, str, int, Cell]
"""Model, version (empty where none is known), clock, slot, cell."""
Version = tuple[str, str]
"""A model and its version."""

OUTCOME_RESULTS: Final = (
    names.RESULT_MATCHED,
    names.RESULT_WAITING,
    names.RESULT_REPEATED,
    names.RESULT_CONFIRMED,
    names.RESULT_CORRECTED,
    names.RESULT_OUTRANKED,
    names.RESULT_UNFIT,
    names.RESULT_UNKNOWN_MODEL,
    names.RESULT_INVALID,
)
"""What can become of an outcome; each one that arrives is counted under one of them."""
PREDICTION_RESULTS: Final = (names.RESULT_KEPT, names.RESULT_REPEATED, names.RESULT_UNKNOWN_MODEL, names.RESULT_INVALID)
ONE: Final = Sums(1.0, 1.0, 1.0)
MAX_SEGMENTS = 50
SOURCES = "\x1f"
"""What stands between the two sources of an agreement."""


class Known(NamedTuple):
    """What the exporter knows of its models: the bins of each version, and the sources of a model that others must yield to."""

    layouts: Mapping[Version, Layout] = {}
    trusted: Mapping[str, frozenset[str]] = {}

    @property
    def models(self) -> frozenset[str]:
        """The models that a baseline is loaded of."""
        return frozenset(model for model, _ in self.layouts)


class Segments:
    """The segments of each version that are kept apart; past a limit they are one."""

    def __init__(self) -> None:
        self._of: dict[Version, set[str]] = {}

    def bounded(self, prediction: Prediction) -> Prediction:
        """The prediction, its segment replaced where there are too many."""
        if not prediction.segment:
            return prediction
        seen = self._of.setdefault((prediction.model, prediction.version), set())
        if prediction.segment in seen:
            return prediction
        if len(seen) >= MAX_SEGMENTS:
            return prediction._replace(segment=names.OTHER)
        seen.add(prediction.segment)
        return prediction


def truth(outcomes: Iterable[Outcome], trusted: frozenset[str]) -> Outcome | None:
    """The outcome that scores are made with: of a trusted source where there is one, else the last."""
    return max(outcomes, key=lambda outcome: (outcome.source in trusted, outcome.time), default=None)


class Ledger:
    """The ids that a transaction is about, as the store has them; `add` them all, then write what is new and what changed."""

    def __init__(self, known: Known, width: int, predictions: Iterable[Prediction], outcomes: Iterable[Outcome]) -> None:
        self._known = known
        self._models = known.models
        self._width = width
        self._predictions: dict[Id, dict[str, Prediction]] = {}
        self._outcomes: dict[Id, dict[str, Outcome]] = {}
        for prediction in predictions:
            self._predictions.setdefault((prediction.model, prediction.prediction_id), {})[prediction.version] = prediction
        for outcome in outcomes:
            self._outcomes.setdefault((outcome.model, outcome.prediction_id), {})[outcome.source] = outcome
        self.new_predictions: list[Prediction] = []
        self.new_outcomes: dict[tuple[str, str, str], Outcome] = {}
        self._changes: dict[Place, list[Sums]] = defaultdict(list)
        self.newest: dict[Version, float] = {}

    def changes(self) -> Iterator[tuple[Place, Sums]]:
        """What to add to each cell, in the order of the cells."""
        for place, added in sorted(self._changes.items()):
            sums = Sums(*map(sum, zip(*added, strict=True)))
            if any(sums):
                yield place, sums

    def predict(self, prediction: Prediction) -> str:
        """Take a prediction; the first of an id and version stays."""
        key = (prediction.model, prediction.prediction_id)
        versions = self._predictions.setdefault(key, {})
        if prediction.version in versions:
            return names.RESULT_REPEATED
        outcome = self._truth(key)
        if outcome is not None:
            if not versions:
                self._wait(outcome, -1)
            self._pair(prediction, outcome, before=None)
        versions[prediction.version] = prediction
        self.new_predictions.append(prediction)
        of = (prediction.model, prediction.version, cells.COHORT)
        self._add(of, self._slot(prediction.time), *cells.made(prediction, self._layout(prediction)))
        return names.RESULT_KEPT if prediction.model in self._models else names.RESULT_UNKNOWN_MODEL

    def label(self, outcome: Outcome, writer: str) -> str:
        """Take an outcome; a repetition changes nothing."""
        key = (outcome.model, outcome.prediction_id)
        if writer:
            self._add((outcome.model, "", cells.ARRIVAL), self._slot(outcome.time), Cell(cells.WRITTEN, writer), ONE)
        of_id = self._outcomes.setdefault(key, {})
        before, mine = self._truth(key), of_id.get(outcome.source)
        if mine is not None and (mine.label, mine.value) == (outcome.label, outcome.value):
            return names.RESULT_REPEATED
        self._compare(of_id, outcome, mine)
        of_id.pop(outcome.source, None)
        of_id[outcome.source] = outcome
        self.new_outcomes[outcome.model, outcome.prediction_id, outcome.source] = outcome
        trusted = self._known.trusted.get(outcome.model, frozenset())
        wins = before is None or outcome.source in trusted or before.source not in trusted
        if wins:
            self._replace(key, before, outcome)
        return self._result(key, outcome, before, wins=wins)

    def _result(self, key: Id, outcome: Outcome, before: Outcome | None, *, wins: bool) -> str:
        predictions = self._predictions.get(key, {}).values()
        if outcome.model not in self._models:
            return names.RESULT_UNKNOWN_MODEL
        known = [self._known.layouts[of] for each in predictions if (of := (each.model, each.version)) in self._known.layouts]
        if known and not any(layout.fits(outcome.label) for layout in known):
            return names.RESULT_UNFIT
        if not wins:
            return names.RESULT_OUTRANKED
        if before is not None:
            return names.RESULT_CORRECTED if before.label != outcome.label or before.value != outcome.value else names.RESULT_CONFIRMED
        return names.RESULT_MATCHED if predictions else names.RESULT_WAITING

    def _truth(self, key: Id) -> Outcome | None:
        of_id = self._outcomes.get(key)
        if of_id is not None and len(of_id) == 1:
            return next(iter(of_id.values()))
        return truth(reversed(of_id.values()), self._known.trusted.get(key[0], frozenset())) if of_id else None

    def _replace(self, key: Id, before: Outcome | None, after: Outcome) -> None:
        predictions = self._predictions.get(key, {}).values()
        for prediction in predictions:
            if before is not None:
                self._count(prediction, before, -1)
            self._pair(prediction, after, before)
        if not predictions:
            if before is not None:
                self._wait(before, -1)
            self._wait(after, 1)

    def _pair(self, prediction: Prediction, outcome: Outcome, before: Outcome | None) -> None:
        """Count a pair; since the beginning only where it says something else than `before`."""
        of = (prediction.model, prediction.version)
        for cell, sums in self._count(prediction, outcome, 1):
            if before is None or (before.value != outcome.value if cell.kind == cells.VALUE else before.label != outcome.label):
                self._add((*of, cells.TOTAL), 0, cell._replace(segment="") if cell.segment else cell, sums)
        self.newest[of] = max(self.newest.get(of, 0.0), outcome.time)

    def _count(self, prediction: Prediction, outcome: Outcome, sign: int) -> list[tuple[Cell, Sums]]:
        """Count a pair by both clocks, or take it back; what it adds."""
        model, version, layout = prediction.model, prediction.version, self._layout(prediction)
        arrived, made = self._slot(outcome.time), self._slot(prediction.time)
        parts = list(cells.of_pair(prediction, outcome, layout))
        for cell, sums in parts:
            self._add((model, version, cells.ARRIVAL), arrived, cell, sums, sign)
            if cell.kind != cells.VALUE:
                self._add((model, version, cells.COHORT), made, cell, sums, sign)
        self._add((model, version, cells.COHORT), made, *cells.made(prediction, layout, kind=cells.KNOWN), sign)
        delay = Cell(cells.DELAY, bin=cells.delay_bin(outcome.time - prediction.time))
        self._add((model, version, cells.ARRIVAL), arrived, delay, ONE, sign)
        return parts

    def _wait(self, outcome: Outcome, sign: int) -> None:
        self._add((outcome.model, "", cells.ARRIVAL), self._slot(outcome.time), Cell(cells.WAITING), ONE, sign)

    def _compare(self, of_id: Mapping[str, Outcome], outcome: Outcome, mine: Outcome | None) -> None:
        """Count how the label agrees with those of other sources, and take back what it said before."""
        for source, other in of_id.items():
            if source != outcome.source:
                if mine is not None:
                    self._agree(mine, other, -1)
                self._agree(outcome, other, 1)

    def _agree(self, one: Outcome, other: Outcome, sign: int) -> None:
        first, second = sorted((one, other), key=lambda outcome: outcome.source)
        cell = Cell(cells.AGREEMENT, f"{first.source}{SOURCES}{second.source}", first.label, second.label)
        self._add((one.model, "", cells.ARRIVAL), self._slot(max(one.time, other.time)), cell, ONE, sign)

    def _layout(self, prediction: Prediction) -> Layout:
        return self._known.layouts.get((prediction.model, prediction.version), _PLAIN)

    def _slot(self, time: float) -> int:
        return int(time // self._width) * self._width

    def _add(self, of: tuple[str, str, str], slot: int, cell: Cell, sums: Sums, sign: int = 1) -> None:
        model, version, clock = of
        self._changes[model, version, clock, slot, cell].append(sums if sign > 0 else Sums(*(-value for value in sums)))


_PLAIN = Layout()


class Received(NamedTuple):
    """What became of the entries of a request, by (model, result)."""

    predictions: Mapping[tuple[str, str], int]
    outcomes: Mapping[tuple[str, str], int]
