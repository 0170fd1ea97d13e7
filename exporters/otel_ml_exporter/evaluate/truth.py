"""Whether the labels can be trusted: do sources agree, what do trusted ones correct, are labelled predictions like all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml.errors import StatisticsError
from otel_ml_exporter.evaluate.noise import ALPHA
from otel_ml_exporter.evaluate.readings import Reading
from otel_ml_exporter.outcomes import cells
from otel_ml_exporter.outcomes.ledger import SOURCES
from otel_ml_exporter.outcomes.readout import Cells
from otel_ml_exporter.thresholds import Limits

MAX_ANNOTATORS = 10
"""Pairs of sources whose agreement is published: those with most labels in common."""

Table = dict[tuple[str, str], float]


def selection_readings(baseline: Baseline, cohort: Cells, window: str, limits: Limits) -> Iterator[Reading]:
    """The PSI of the labelled predictions against all predictions: scores speak of the former only."""
    made: dict[tuple[str, int], float] = defaultdict(float)
    known: dict[tuple[str, int], float] = defaultdict(float)
    for kind, counts in ((cells.MADE, made), (cells.KNOWN, known)):
        for cell, sums in cohort.items():
            if cell.kind == kind:
                counts[cell.predicted, cell.bin] += sums.weight
    keys = sorted(made)
    chosen, others = np.array([known[key] for key in keys]), np.array([made[key] - known[key] for key in keys])
    if chosen.sum() < limits.minimum_outcomes or others.sum() < limits.minimum_samples:
        return
    try:
        psi = stats.psi(chosen + np.maximum(others, 0), chosen, alpha=ALPHA)
    except StatisticsError:
        return
    labels = (baseline.model, baseline.version, window, names.REFERENCE_ALL)
    yield Reading(names.PREDICTION_PSI, labels, psi.value)
    yield Reading(names.PREDICTION_PSI_NOISE_FLOOR, labels, psi.noise_floor)


def agreement_readings(model: str, arrived: Cells, window: str, trusted: frozenset[str], minimum: int) -> Iterator[Reading]:
    """Cohen's kappa of each two sources, and the share of labels that trusted sources correct."""
    tables: dict[tuple[str, str], Table] = defaultdict(dict)
    for cell, sums in arrived.items():
        if cell.kind == cells.AGREEMENT:
            first, _, second = cell.segment.partition(SOURCES)
            tables[first, second][cell.predicted, cell.label] = sums.pairs
    by_size = sorted(tables.items(), key=lambda entry: (-sum(entry[1].values()), entry[0]))
    for sources, table in by_size[:MAX_ANNOTATORS]:
        kappa = cohen_kappa(table) if sum(table.values()) >= minimum else None
        if kappa is not None:
            yield Reading(names.LABEL_KAPPA, (model, window, ", ".join(source or "log" for source in sources)), kappa)
    corrected = _corrections(tables, trusted)
    samples = sum(corrected.values())
    if samples >= minimum:
        wrong = sum(pairs for (said, true), pairs in corrected.items() if said != true)
        noise = stats.wilson_interval(wrong, samples)
        for metric, value in zip((names.LABEL_NOISE, names.LABEL_NOISE_LOW, names.LABEL_NOISE_HIGH), noise[:3], strict=True):
            yield Reading(metric, (model, window), value)


def cohen_kappa(table: Table) -> float | None:
    """Agreement beyond chance of two sources, from the labels that both gave; None where chance alone would agree always.

    Source: Cohen, A coefficient of agreement for nominal scales (1960).

    >>> round(cohen_kappa({("a", "a"): 20.0, ("a", "b"): 5.0, ("b", "a"): 10.0, ("b", "b"): 15.0}), 3)
    0.4
    """
    total = sum(table.values())
    first: dict[str, float] = defaultdict(float)
    second: dict[str, float] = defaultdict(float)
    for (one, other), pairs in table.items():
        first[one] += pairs
        second[other] += pairs
    agreed = sum(pairs for (one, other), pairs in table.items() if one == other) / total
    chance = sum(pairs * second[label] for label, pairs in first.items()) / total**2
    return None if chance >= 1 else (agreed - chance) / (1 - chance)


def _corrections(tables: dict[tuple[str, str], Table], trusted: frozenset[str]) -> Table:
    """What sources that are not trusted said, and what a trusted one said of the same prediction."""
    found: Table = defaultdict(float)
    for (first, second), table in tables.items():
        if (first in trusted) != (second in trusted):
            for (one, other), pairs in table.items():
                found[(other, one) if first in trusted else (one, other)] += pairs
    return found
