"""What outcomes say about a window: calibration, performance, and how late and how many they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml.errors import StatisticsError
from otel_ml_exporter.evaluate import performance
from otel_ml_exporter.evaluate.describe import confidence_labels
from otel_ml_exporter.evaluate.readings import Reading
from otel_ml_exporter.evaluate.truth import selection_readings
from otel_ml_exporter.outcomes import cells, readout
from otel_ml_exporter.outcomes.cells import CONFIDENCE_EDGES, NOTHING, Cell, Layout
from otel_ml_exporter.outcomes.readout import Cells, Confusion, Errors, Joined, Judge
from otel_ml_exporter.thresholds import CALIBRATION, OUTCOMES, PERFORMANCE, Limits

MAX_CLASSES = 20
"""Classes of a model up to which each has series of its own."""
EQUAL_MASS_BINS = 15


@dataclass(frozen=True)
class Labelled:
    """What the store knows of a window; None or empty for what a model does not have."""

    joined: Joined | None = None
    confusion: Confusion | None = None
    errors: Errors | None = None
    coverage: float | None = None
    delays: Mapping[str, float] = field(default_factory=dict)
    matured: Confusion | Errors | None = None
    arrived: Cells = field(default_factory=dict)
    cohort: Cells = field(default_factory=dict)
    newest: Sequence[tuple[float, bool]] = ()


def labelled(baseline: Baseline, arrived: Cells, cohort: Cells, newest: Sequence[tuple[float, str | None, str]] = ()) -> Labelled:
    """What is known of a window: the outcomes that arrived in it, the predictions made in it or a label delay earlier.

    `newest` are confidence, predicted class and label of the newest pairs.
    """
    judge = judge_of(baseline)
    return Labelled(
        joined=None if judge is None else readout.joined(arrived, judge),
        confusion=readout.confusion(arrived, baseline.classes) if baseline.classes else None,
        errors=readout.errors(arrived) if baseline.task == "regression" else None,
        coverage=readout.coverage(cohort),
        delays=readout.delays(arrived),
        matured=performance.counted(baseline, cohort),
        arrived=arrived,
        cohort=cohort,
        newest=[] if judge is None else [(confidence, label == (judge.positive or predicted)) for confidence, predicted, label in newest],
    )


def layout_of(baseline: Baseline) -> Layout:
    """The bins in which pairs of the model are counted."""
    judge = judge_of(baseline)
    numbers = baseline.prediction.edges if baseline.task == "regression" and baseline.prediction is not None else None
    return Layout(CONFIDENCE_EDGES if judge is None else judge.edges, numbers or (), frozenset(baseline.classes))


def judge_of(baseline: Baseline) -> Judge | None:
    """How the model's confidences are judged; None for a model that gives none."""
    known = baseline.calibration or baseline.confidence
    if known is None or known.edges is None or not baseline.classes:
        return None
    return Judge(known.edges, baseline.classes[-1] if baseline.task == "binary" else None)


def evaluate_outcomes(baseline: Baseline, labelled: Labelled, window: str, limits: Limits) -> tuple[Reading, ...]:
    """The scores of the pairs of a window, each where there are enough of them, and how late and how many they are."""
    labels = (baseline.model, baseline.version, window)
    readings: list[Reading] = []
    if labelled.joined is not None:
        readings.append(Reading(names.WINDOW_SAMPLES, (*labels, names.SIGNAL_CALIBRATION), labelled.joined.samples))
        if limits.wants(CALIBRATION) and labelled.joined.samples >= limits.minimum_outcomes:
            readings += _calibration(labelled.joined, labels)
            readings += _classwise(baseline, labelled, labels, limits)
            readings += _equal_mass(labelled.newest, labels, limits)
    readings += _performance(baseline, labelled, labels, limits)
    if limits.wants(PERFORMANCE):
        readings += performance.segment_readings(baseline, labelled.arrived, labels, limits)
        readings += performance.range_readings(baseline, labelled.arrived, labels, limits)
    if limits.wants(OUTCOMES):
        readings += selection_readings(baseline, labelled.cohort, window, limits)
        if labelled.coverage is not None:
            readings.append(Reading(names.OUTCOME_COVERAGE_RATIO, labels, labelled.coverage))
        readings += (Reading(names.OUTCOME_DELAY, (*labels, quantile), delay) for quantile, delay in labelled.delays.items())
    return tuple(readings)


def _calibration(joined: Joined, labels: tuple[str, ...]) -> Iterator[Reading]:
    ece = stats.ece(joined.outcomes, joined.positives, joined.confidence)
    yield Reading(names.CALIBRATION_ECE, labels, ece.value)
    yield Reading(names.CALIBRATION_ECE_NOISE_FLOOR, labels, ece.noise_floor)
    yield Reading(names.BRIER_SCORE, labels, stats.brier(joined.outcomes, joined.squared_errors).value)
    if joined.log_losses:
        yield Reading(names.LOG_LOSS, labels, sum(joined.log_losses) / joined.samples)
    if ece.mce is not None:
        yield Reading(names.CALIBRATION_MCE, labels, ece.mce)
    with suppress(StatisticsError):
        debiased = stats.debiased_ece(joined.outcomes, joined.positives, joined.confidence)
        yield Reading(names.CALIBRATION_ECE_DEBIASED, labels, debiased.value)


def _equal_mass(newest: Sequence[tuple[float, bool]], labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    """The ECE in bins of equal mass, which follow the confidences; of the newest pairs, since counts per bin cannot give it."""
    if len(newest) < limits.minimum_outcomes:
        return
    confidence, hit = (np.array(column, float) for column in zip(*newest, strict=True))
    edges = stats.equal_mass_edges(confidence, EQUAL_MASS_BINS)
    position = np.searchsorted(edges, confidence, "left")
    counts = (np.bincount(position, weights, len(edges) + 1) for weights in (None, hit, confidence))
    yield Reading(names.CALIBRATION_ECE_EQUAL_MASS, labels, stats.ece(*counts).value)


def _classwise(baseline: Baseline, labelled: Labelled, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    """The ECE of the pairs of each predicted class with enough of them; the worst of them shows what the whole hides."""
    judge = judge_of(baseline)
    if judge is None or len(baseline.classes) > MAX_CLASSES:
        return
    for name in baseline.classes:
        joined = readout.joined({cell: sums for cell, sums in labelled.arrived.items() if cell.predicted == name}, judge)
        if joined.samples >= limits.minimum_outcomes:
            ece = stats.ece(joined.outcomes, joined.positives, joined.confidence)
            yield Reading(names.CALIBRATION_ECE_CLASS, (*labels, name), ece.value)


def _performance(baseline: Baseline, labelled: Labelled, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    for estimate, found in ((names.ESTIMATE_REALIZED, labelled.confusion or labelled.errors), (names.ESTIMATE_COHORT, labelled.matured)):
        if found is None:
            continue
        pairs = performance.samples(found)
        if estimate == names.ESTIMATE_REALIZED:
            yield Reading(names.WINDOW_SAMPLES, (*labels, names.SIGNAL_PERFORMANCE), pairs)
        elif limits.label_delay:
            yield Reading(names.WINDOW_SAMPLES, (*labels, names.SIGNAL_COHORT), pairs)
        if limits.wants(PERFORMANCE) and pairs >= limits.minimum_outcomes:
            for metric, score in performance.scores(baseline, found, limits):
                yield from performance.score_readings(labels, metric, estimate, score)


def total_readings(baseline: Baseline, totals: Cells) -> Iterator[Reading]:
    """The counters of joined pairs: per confidence bin, per cell of the confusion, per range of predictions, and of values."""
    identity = (baseline.model, baseline.version, baseline.fingerprint)
    judge = judge_of(baseline)
    if judge is not None:
        for label, total in zip(confidence_labels(judge.edges), readout.totals(totals, judge), strict=True):
            yield Reading(names.OUTCOME_PAIRS, (*identity, label), total.pairs)
            yield Reading(names.OUTCOME_POSITIVES, (*identity, label), total.positives)
            yield Reading(names.OUTCOME_CONFIDENCE_SUM, (*identity, label), total.confidence)
    if 0 < len(baseline.classes) <= MAX_CLASSES:
        for key in product(baseline.classes, repeat=2):
            pairs = sum(sums.pairs for cell, sums in totals.items() if cell.kind == cells.PAIR and (cell.label, cell.predicted) == key)
            yield Reading(names.OUTCOME_CONFUSION, (*identity, *key), pairs)
    yield from _residual_totals(baseline, totals, identity)
    for decision, direction in product(sorted({cell.predicted for cell in totals if cell.kind == cells.VALUE}), (cells.GAIN, cells.LOSS)):
        sums = totals.get(Cell(cells.VALUE, "", decision, direction), NOTHING)
        yield Reading(names.OUTCOME_VALUES, (*identity[:2], decision, direction), sums.pairs)
        yield Reading(names.OUTCOME_VALUE_SUM, (*identity[:2], decision, direction), sums.a)


def _residual_totals(baseline: Baseline, totals: Cells, identity: tuple[str, ...]) -> Iterator[Reading]:
    ranges = layout_of(baseline).numbers
    if baseline.task != "regression" or baseline.prediction is None:
        return
    for position, label in enumerate(baseline.prediction.labels[: len(ranges) + 1]):
        for direction in (cells.OVER, cells.UNDER, cells.EXACT):
            sums = totals.get(Cell(cells.NUMBER, "", "", direction, position), NOTHING)
            yield Reading(names.OUTCOME_RESIDUALS, (*identity, label, direction), sums.pairs)
            yield Reading(names.OUTCOME_RESIDUAL_SUM, (*identity, label, direction), sums.a)
