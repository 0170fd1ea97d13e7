"""What outcomes say about a window: calibration, performance, and how late and how many they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml_exporter.evaluate.describe import confidence_labels
from otel_ml_exporter.evaluate.readings import Reading, Vector
from otel_ml_exporter.outcomes import readout
from otel_ml_exporter.outcomes.cells import CONFIDENCE_EDGES, Layout
from otel_ml_exporter.outcomes.readout import Cells, Confusion, Errors, Joined, Judge
from otel_ml_exporter.thresholds import CALIBRATION, OUTCOMES, PERFORMANCE, Limits


@dataclass(frozen=True)
class Labelled:
    """What the store knows of a window; None or empty for what a model does not have."""

    joined: Joined | None = None
    confusion: Confusion | None = None
    errors: Errors | None = None
    coverage: float | None = None
    delays: Mapping[str, float] = field(default_factory=dict)


def labelled(baseline: Baseline, arrived: Cells, cohort: Cells) -> Labelled:
    """What is known of a window from the outcomes that arrived in it, and from the predictions made in it."""
    judge = judge_of(baseline)
    return Labelled(
        joined=None if judge is None else readout.joined(arrived, judge),
        confusion=readout.confusion(arrived, baseline.classes) if baseline.classes else None,
        errors=readout.errors(arrived) if baseline.task == "regression" else None,
        coverage=readout.coverage(cohort),
        delays=readout.delays(arrived),
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
    readings += _performance(baseline, labelled, labels, limits)
    if limits.wants(OUTCOMES):
        if labelled.coverage is not None:
            readings.append(Reading(names.OUTCOME_COVERAGE_RATIO, labels, labelled.coverage))
        readings += (Reading(names.OUTCOME_DELAY, (*labels, quantile), delay) for quantile, delay in labelled.delays.items())
    return tuple(readings)


def _calibration(joined: Joined, labels: tuple[str, ...]) -> Iterator[Reading]:
    ece = stats.ece(joined.outcomes, joined.positives, joined.confidence)
    yield Reading(names.CALIBRATION_ECE, labels, ece.value)
    yield Reading(names.CALIBRATION_ECE_NOISE_FLOOR, labels, ece.noise_floor)
    yield Reading(names.BRIER_SCORE, labels, stats.brier(joined.outcomes, joined.squared_errors).value)
    if ece.mce is not None:
        yield Reading(names.CALIBRATION_MCE, labels, ece.mce)


def _performance(baseline: Baseline, labelled: Labelled, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    if labelled.confusion is not None:
        samples = sum(labelled.confusion.values())
    elif labelled.errors is not None:
        samples = labelled.errors.samples
    else:
        return
    yield Reading(names.WINDOW_SAMPLES, (*labels, names.SIGNAL_PERFORMANCE), samples)
    if not limits.wants(PERFORMANCE) or samples < limits.minimum_outcomes:
        return
    if labelled.confusion is not None:
        matrix = _matrix(labelled.confusion, baseline.classes)
        measured = _binary_scores(matrix) if baseline.task == "binary" else _multiclass_scores(matrix)
    elif labelled.errors is not None:
        measured = _regression_scores(labelled.errors)
    for metric, interval in measured:
        yield from interval_readings(labels, metric, names.ESTIMATE_REALIZED, interval)


def interval_readings(labels: tuple[str, ...], metric: str, estimate: str, score: stats.Interval | float) -> Iterator[Reading]:
    """A score, and the ends of its interval where it has one."""
    of_score = (*labels, metric, estimate)
    if isinstance(score, float):
        yield Reading(names.PERFORMANCE, of_score, score)
    else:
        for published, value in zip((names.PERFORMANCE, names.PERFORMANCE_LOW, names.PERFORMANCE_HIGH), score[:3], strict=True):
            yield Reading(published, of_score, value)


def _matrix(confusion: Confusion, classes: Sequence[str]) -> Vector:
    """Rows are the truth, columns the prediction, in the order of the baseline's classes."""
    position = {name: index for index, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)))
    for (label, predicted), pairs in confusion.items():
        matrix[position[label], position[predicted]] += pairs
    return matrix


def _binary_scores(matrix: Vector) -> Iterator[tuple[str, stats.Interval | float]]:
    """Scores of the last class; one that would divide by 0 is left out."""
    hits, predicted, true = float(matrix[1, 1]), float(matrix[:, 1].sum()), float(matrix[1].sum())
    yield "accuracy", stats.wilson_interval(float(np.trace(matrix)), float(matrix.sum()))
    if predicted:
        yield "precision", stats.wilson_interval(hits, predicted)
    if true:
        yield "recall", stats.wilson_interval(hits, true)
    if predicted or true:
        yield "f1", stats.classification(matrix).f1


def _multiclass_scores(matrix: Vector) -> Iterator[tuple[str, stats.Interval | float]]:
    yield "accuracy", stats.wilson_interval(float(np.trace(matrix)), float(matrix.sum()))
    yield "balanced_accuracy", stats.classification(matrix).balanced_accuracy


def _regression_scores(errors: Errors) -> Iterator[tuple[str, stats.Interval | float]]:
    scores = stats.regression(**errors._asdict())
    for metric, score, total in (("bias", scores.bias, errors.error), ("mae", scores.mae, errors.absolute_error)):
        scattered = errors.samples >= 2
        yield metric, stats.score_interval(errors.samples, total=total, squares=errors.squared_error) if scattered else score
    yield "rmse", scores.rmse


def total_readings(baseline: Baseline, totals: Cells) -> Iterator[Reading]:
    """The counters of joined pairs, each bin from 0."""
    identity = (baseline.model, baseline.version, baseline.fingerprint)
    judge = judge_of(baseline)
    if judge is not None:
        for label, total in zip(confidence_labels(judge.edges), readout.totals(totals, judge), strict=True):
            yield Reading(names.OUTCOME_PAIRS, (*identity, label), total.pairs)
            yield Reading(names.OUTCOME_POSITIVES, (*identity, label), total.positives)
            yield Reading(names.OUTCOME_CONFIDENCE_SUM, (*identity, label), total.confidence)
