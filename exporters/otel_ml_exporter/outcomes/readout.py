"""What the cells of a window say: joined pairs, confusion, errors, coverage and delays; pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from otel_ml_exporter.outcomes import cells
from otel_ml_exporter.outcomes.cells import Cell, Sums

DELAYS = {"0.5": 50, "0.9": 90}
"""The quantiles of the delay that are published, as text and in per cent."""

Cells = Mapping[Cell, Sums]
Confusion = Mapping[tuple[str, str], float]
"""Pairs by (label, predicted class), scaled to the effective number of pairs."""


class Judge(NamedTuple):
    """How confidences are binned and what makes a prediction right.

    `edges` are the inner bounds of the confidence bins. `positive` is the class whose probability the confidence is; None
    where it is that of the predicted class.
    """

    edges: tuple[float, ...]
    positive: str | None

    def hit(self, cell: Cell) -> bool | None:
        """Whether the class that the confidence belongs to came true; None for a cell without one."""
        expected = self.positive or cell.predicted
        if cell.kind != cells.PAIR or cell.bin == cells.NO_BIN or not expected:
            return None
        return cell.label == expected


class Joined(NamedTuple):
    """Pairs of prediction and outcome, counted per confidence bin; all counts are scaled to the effective number of pairs."""

    outcomes: tuple[float, ...]
    positives: tuple[float, ...]
    confidence: tuple[float, ...]
    squared_errors: tuple[float, ...]
    log_losses: tuple[float, ...] = ()

    @property
    def samples(self) -> float:
        """The effective number of pairs, which is their number when all weigh the same."""
        return sum(self.outcomes)


class Errors(NamedTuple):
    """Sums over pairs of numbers, an error being prediction minus truth; scaled to the effective number of pairs."""

    samples: float
    error: float
    absolute_error: float
    squared_error: float
    truth: float
    squared_truth: float
    over: float = 0.0
    under: float = 0.0


class Total(NamedTuple):
    """The pairs of one confidence bin since the beginning: how many, how many came true, and the sum of their confidences."""

    pairs: float
    positives: float
    confidence: float


def joined(found: Cells, judge: Judge) -> Joined:
    """The pairs per confidence bin of `judge`; one is positive when its outcome is the class that the confidence belongs to."""
    bins = [[0.0] * 5 for _ in range(len(judge.edges) + 1)]
    squares = 0.0
    for cell, sums in found.items():
        hit = judge.hit(cell)
        if hit is not None and cell.bin < len(bins):
            of_cell = (sums.weight, sums.weight * hit, sums.b, sums.c + hit * (sums.weight - 2 * sums.b), sums.d if hit else sums.e)
            for position, value in enumerate(of_cell):
                bins[cell.bin][position] += value
            squares += sums.squares
    scale = _scale(sum(row[0] for row in bins), squares)
    return Joined(*(tuple(value * scale for value in column) for column in zip(*bins, strict=True)))


def confusion(found: Cells, classes: Sequence[str]) -> Confusion:
    """The pairs of `classes`, by label and predicted class."""
    weights: dict[tuple[str, str], float] = defaultdict(float)
    squares = 0.0
    known = frozenset(classes)
    for cell, sums in found.items():
        if cell.kind == cells.PAIR and cell.label in known and cell.predicted in known:
            weights[cell.label, cell.predicted] += sums.weight
            squares += sums.squares
    scale = _scale(sum(weights.values()), squares)
    return {key: weight * scale for key, weight in weights.items()}


def errors(found: Cells) -> Errors:
    """Sums of the errors of the pairs of numbers."""
    of_numbers = [sums for cell, sums in found.items() if cell.kind == cells.NUMBER]
    scale = _scale(sum(sums.weight for sums in of_numbers), sum(sums.squares for sums in of_numbers))
    rows = (
        (sums.weight, sums.b, abs(sums.b), sums.c, sums.d, sums.e, sums.weight * (sums.b > 0), sums.weight * (sums.b < 0))
        for sums in of_numbers
    )
    columns = list(zip(*rows, strict=True)) or [()] * 8
    return Errors(*(sum(column) * scale for column in columns))


def coverage(cohort: Cells) -> float | None:
    """The share of the predictions whose outcome is known; None without predictions."""
    made, known = (sum(sums.pairs for cell, sums in cohort.items() if cell.kind == kind) for kind in (cells.MADE, cells.KNOWN))
    return min(known / made, 1.0) if made else None


def delays(found: Cells) -> dict[str, float]:
    """Quantiles of the seconds between a prediction and its outcome, within 5 %.

    A quantile is the smallest delay that at least that share of the pairs do not exceed. Empty without pairs.
    """
    bins = sorted((cell.bin, sums.pairs) for cell, sums in found.items() if cell.kind == cells.DELAY)
    pairs = round(sum(count for _, count in bins))
    return {quantile: _at_rank(bins, (pairs * percent + 99) // 100) for quantile, percent in DELAYS.items() if pairs}


def _at_rank(bins: Sequence[tuple[int, float]], rank: int) -> float:
    seen = accumulate(pairs for _, pairs in bins)
    return cells.delay_seconds(next(bin_ for (bin_, _), pairs in zip(bins, seen, strict=True) if round(pairs) >= rank))


def count(found: Cells, kind: str) -> float:
    """How many there are of a kind."""
    return sum(sums.pairs for cell, sums in found.items() if cell.kind == kind)


def totals(found: Cells, judge: Judge) -> tuple[Total, ...]:
    """The total of each confidence bin, 0 where nothing came yet; each pair counts 1."""
    bins = [[0.0] * 3 for _ in range(len(judge.edges) + 1)]
    for cell, sums in found.items():
        hit = judge.hit(cell)
        if hit is not None and cell.bin < len(bins):
            for position, value in enumerate((sums.pairs, sums.pairs * hit, sums.a)):
                bins[cell.bin][position] += value
    return tuple(Total(*row) for row in bins)


def segments(found: Cells) -> Iterator[tuple[str, Cells]]:
    """The cells of each segment."""
    apart: dict[str, dict[Cell, Sums]] = defaultdict(dict)
    for cell, sums in found.items():
        if cell.kind in (cells.PAIR, cells.NUMBER) and cell.segment:
            apart[cell.segment][cell] = sums
    yield from sorted(apart.items())


def _scale(weights: float, squares: float) -> float:
    """What turns sums of weights into an effective number of pairs, `(sum w)^2 / sum w^2`."""
    return weights / squares if squares else 0.0
