"""Scores of joined pairs, each with an interval where one is known: of all pairs, of a cohort, of a segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline
from otel_ml.catalogue import Metric
from otel_ml_exporter.evaluate.readings import Reading, Vector
from otel_ml_exporter.outcomes import cells, readout
from otel_ml_exporter.outcomes.readout import Cells, Confusion, Errors
from otel_ml_exporter.thresholds import Limits

Score = stats.Interval | float
IN_SEGMENTS = frozenset({"accuracy", "precision", "recall", "bias", "mae"})
"""The scores that each segment has."""
_OF_SEGMENT = (names.SEGMENT_PERFORMANCE, names.SEGMENT_PERFORMANCE_LOW, names.SEGMENT_PERFORMANCE_HIGH)


def scores(baseline: Baseline, found: Confusion | Errors, limits: Limits) -> Iterator[tuple[str, Score]]:
    """The scores of a model's task; one that would divide by 0 is left out."""
    if isinstance(found, Errors):
        yield from _regression(found)
    elif baseline.task == "binary":
        yield from _binary(_matrix(found, baseline.classes), limits)
    else:
        yield from _multiclass(_matrix(found, baseline.classes))


def counted(baseline: Baseline, found: Cells) -> Confusion | Errors | None:
    """What the scores of a model's task are made of."""
    if baseline.task == "regression":
        return readout.errors(found)
    return readout.confusion(found, baseline.classes) if baseline.classes else None


def samples(found: Confusion | Errors) -> float:
    """The effective number of pairs."""
    return found.samples if isinstance(found, Errors) else sum(found.values())


def score_readings(labels: tuple[str, ...], metric: str, estimate: str, score: Score) -> Iterator[Reading]:
    """A score, and the ends of its interval where it has one."""
    yield from _with_ends((names.PERFORMANCE, names.PERFORMANCE_LOW, names.PERFORMANCE_HIGH), (*labels, metric, estimate), score)


def _with_ends(metrics: tuple[Metric, Metric, Metric], labels: tuple[str, ...], score: Score) -> Iterator[Reading]:
    values = (score,) if isinstance(score, float) else score[:3]
    yield from (Reading(metric, labels, value) for metric, value in zip(metrics, values, strict=False))


def segment_readings(baseline: Baseline, arrived: Cells, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    """The scores of each segment with enough pairs, and the ends of their intervals."""
    for segment, found in readout.segments(arrived):
        known = counted(baseline, found)
        if known is not None and samples(known) >= limits.minimum_outcomes:
            for metric, score in scores(baseline, known, limits):
                if metric in IN_SEGMENTS:
                    yield from _with_ends(_OF_SEGMENT, (*labels, segment, metric), score)


def range_readings(baseline: Baseline, arrived: Cells, labels: tuple[str, ...], limits: Limits) -> Iterator[Reading]:
    """The mean error of a regression for each range of predictions with enough pairs."""
    if baseline.task != "regression" or baseline.prediction is None or baseline.prediction.edges is None:
        return
    ranges = baseline.prediction.labels[: len(baseline.prediction.edges) + 1]
    for position, label in enumerate(ranges):
        errors = readout.errors({cell: sums for cell, sums in arrived.items() if cell.kind == cells.NUMBER and cell.bin == position})
        if errors.samples >= limits.minimum_outcomes:
            yield Reading(names.RESIDUAL_MEAN, (*labels, label), errors.error / errors.samples)


def _matrix(confusion: Confusion, classes: Sequence[str]) -> Vector:
    """Rows are the truth, columns the prediction, in the order of the baseline's classes."""
    position = {name: index for index, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)))
    for (label, predicted), pairs in confusion.items():
        matrix[position[label], position[predicted]] += pairs
    return matrix


def _binary(matrix: Vector, limits: Limits) -> Iterator[tuple[str, Score]]:
    """Scores of the last class."""
    hits, predicted, true = float(matrix[1, 1]), float(matrix[:, 1].sum()), float(matrix[1].sum())
    yield "accuracy", stats.wilson_interval(float(np.trace(matrix)), float(matrix.sum()))
    yield "balanced_accuracy", _balanced_accuracy(matrix)
    if predicted:
        yield "precision", stats.wilson_interval(hits, predicted)
    if true:
        yield "recall", stats.wilson_interval(hits, true)
    if predicted or true:
        yield "f1", stats.f1_interval(hits, predicted + true - 2 * hits)
    if limits.costs is not None:
        wrong = limits.costs.false_positive * float(matrix[0, 1]) + limits.costs.false_negative * float(matrix[1, 0])
        squares = limits.costs.false_positive**2 * float(matrix[0, 1]) + limits.costs.false_negative**2 * float(matrix[1, 0])
        pairs = float(matrix.sum())
        yield "cost", stats.score_interval(pairs, total=wrong, squares=squares) if pairs >= 2 else wrong / pairs


def _multiclass(matrix: Vector) -> Iterator[tuple[str, Score]]:
    known = stats.classification(matrix)
    yield "accuracy", stats.wilson_interval(float(np.trace(matrix)), float(matrix.sum()))
    yield "balanced_accuracy", _balanced_accuracy(matrix)
    yield from (("precision", known.precision), ("recall", known.recall), ("f1", known.f1))


def _balanced_accuracy(matrix: Vector) -> stats.Interval:
    """The mean of the recalls of the classes that came true."""
    truths = matrix.sum(axis=1)
    seen = truths > 0
    return stats.mean_share_interval(np.diag(matrix)[seen].tolist(), truths[seen].tolist())


def _regression(errors: Errors) -> Iterator[tuple[str, Score]]:
    known = stats.regression(
        errors.samples,
        error=errors.error,
        absolute_error=errors.absolute_error,
        squared_error=errors.squared_error,
        truth=errors.truth,
        squared_truth=errors.squared_truth,
    )
    for metric, score, total in (("bias", known.bias, errors.error), ("mae", known.mae, errors.absolute_error)):
        scattered = errors.samples >= 2
        yield metric, stats.score_interval(errors.samples, total=total, squares=errors.squared_error) if scattered else score
    yield "rmse", known.rmse
    if known.r2 is not None:
        yield "r2", known.r2
    for metric, share in (("over", errors.over), ("under", errors.under)):
        yield metric, stats.wilson_interval(share, errors.samples)
