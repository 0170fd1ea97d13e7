"""The tally of predictions, and of how they compare with what turned out to be true."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml import stats
from otel_ml._answers import is_scored
from otel_ml._baseline_features import Floats, Indices, as_floats
from otel_ml._baseline_outliers import outer_edges
from otel_ml._binning import CONFIDENCE_EDGES, count_intervals, interval_positions, quantile_edges
from otel_ml._certainty import Measure
from otel_ml._outputs import (
    BOOLEAN_TWINS,
    Outputs,
    Task,
    are_probabilities,
    distinct_labels,
    interpret,
    listed,
    one_spelling,
    ordered_classes,
    positions_of,
)
from otel_ml.baseline import Calibration, Histogram
from otel_ml.errors import BaselineError, Fault

_RELIABILITY = ("outcomes", "positives", "confidence")


def classes_of(task: Task | None, predictions: Any, labels: Any) -> tuple[str, ...]:
    """The classes that labels and predictions name, in the order of a model's columns; "0", "1", ... where only probabilities are given.

    "9" and "10" that come as text are in the order of text. Labels beside scores are always text, so they do not tell.
    """
    if task not in ("binary", "multiclass") or predictions is None:
        return ()
    names = distinct_labels(labels) if labels is not None else set()
    text = _has_text(labels) if labels is not None else not is_scored(predictions) and _has_text(predictions)
    if is_scored(predictions):
        predictions = predictions[:, 0]
    if predictions.size == len(predictions) and not (task == "binary" and are_probabilities(predictions)):
        names |= distinct_labels(predictions)
    width = predictions.shape[1] if predictions.ndim > 1 and predictions.shape[1] > 1 else 2
    names = one_spelling(names)
    usual = [{str(index) for index in range(width)}, {"False", "True"}]
    return ordered_classes(next((complete for complete in usual if len(complete) == width and names <= complete), names), text=text)


def _has_text(labels: Any) -> bool:
    return any(isinstance(value, str) for value in labels.flat) if labels.dtype.kind == "O" else False


def strange_labels(task: Task | None, predictions: Any, labels: Any) -> Fault | None:
    """A fault where predictions and labels name classes and have none in common, so that no answer could ever be right."""
    if task not in ("binary", "multiclass") or predictions is None or labels is None:
        return None
    if is_scored(predictions):
        predictions = predictions[:, 0]
    if predictions.size > len(predictions) or (task == "binary" and are_probabilities(predictions)):
        return None
    true, predicted = distinct_labels(labels), distinct_labels(predictions)
    if not true or not predicted or predicted & (true | {BOOLEAN_TWINS.get(name, name) for name in true}):
        return None
    problem = f"are {listed(sorted(true))} where the predictions are {listed(sorted(predicted))}"
    return Fault("labels", problem, "write both in the same way, or give classes=")


class OutputTally:
    """Counts predictions into the bins that a sample of them gives, and what labels say about them."""

    def __init__(
        self,
        sample: Any,
        *,
        task: Task,
        classes: tuple[str, ...],
        threshold: float,
        bins: int,
        like: Histogram | None = None,
        measure: Measure = "probability",
        logits: bool = False,
    ) -> None:
        self._task, self._classes, self._threshold, self._measure, self._logits = task, classes, threshold, measure, logits
        understood = self.understand(sample)
        if measure != "probability" and understood.certainty is None:
            raise BaselineError(
                "the data", [Fault("confidence", f"has no {measure} in these predictions", "give a probability of each class")]
            )
        value = understood.value
        kept = None if like is None else like.edges
        self._edges = None if value is None else quantile_edges(value, bins) if kept is None else kept
        self.bins = len(classes) + 2 if self._edges is None else len(self._edges) + 3
        self._counts = np.zeros(self.bins, dtype=np.int64)
        self._confidence: Indices | None = None
        self._energies = () if understood.energy is None else outer_edges(understood.energy)
        self._energy = np.zeros(len(self._energies) + 2, dtype=np.int64)
        self._labelled = False
        self._confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
        self._reliability = np.zeros((3, len(CONFIDENCE_EDGES) + 1))
        self._sums: Counter[str] = Counter()

    def understand(self, predictions: Any) -> Outputs:
        """What these predictions say."""
        return interpret(predictions, self._task, self._classes, self._threshold, measure=self._measure, logits=self._logits)

    def positions(self, predictions: Any) -> Indices:
        """The bin of each prediction; shape (rows,)."""
        outputs = self.understand(predictions)
        if outputs.value is not None and self._edges is not None:
            return interval_positions(outputs.value, self._edges)
        assert outputs.position is not None
        return outputs.position

    def add(self, predictions: Any, labels: Any) -> None:
        """Count predictions, and their labels where there are any."""
        outputs = self.understand(predictions)
        self._counts += np.bincount(self.positions(predictions), minlength=self.bins)
        sure = outputs.confidence if outputs.certainty is None else outputs.certainty
        if sure is not None:
            counted = count_intervals(sure, CONFIDENCE_EDGES)
            self._confidence = counted if self._confidence is None else self._confidence + counted
        if outputs.energy is not None:
            self._energy += count_intervals(outputs.energy, self._energies)
        if labels is not None:
            self._labelled = True
            judge = self._judge_value if outputs.value is not None else self._judge_class
            judge(outputs, labels.reshape(-1))

    def _judge_value(self, outputs: Outputs, labels: Any) -> None:
        assert outputs.value is not None
        truth = as_floats(labels)
        known = np.isfinite(truth) & np.isfinite(outputs.value)
        truth, error = truth[known], outputs.value[known] - truth[known]
        with np.errstate(over="ignore"):
            sums = {"error": error, "absolute_error": np.abs(error), "squared_error": error**2, "truth": truth, "squared_truth": truth**2}
            self._sums.update({"rows": len(error), **{name: float(values.sum()) for name, values in sums.items()}})

    def _judge_class(self, outputs: Outputs, labels: Any) -> None:
        assert outputs.position is not None
        truth = positions_of(labels, self._classes)
        known = (truth < len(self._classes)) & (outputs.position < len(self._classes))
        np.add.at(self._confusion, (truth[known], outputs.position[known]), 1)
        if outputs.confidence is not None:
            confidence = outputs.confidence[known]
            positive = (truth[known] == 1) if self._task == "binary" else (truth[known] == outputs.position[known])
            self._reliability += reliability(confidence, positive)
            self._sums.update({"brier": float(((confidence - positive) ** 2).sum())})

    def fields(self) -> dict[str, Any]:
        """The fields of the baseline that come from predictions; raises `ValueError` where labels and predictions never meet."""
        if self._edges is not None:
            fields: dict[str, Any] = {"prediction": Histogram(self._edges, (), tuple(self._counts.tolist()))}
            return {**fields, "performance": self._regression()} if self._labelled else fields
        fields = {"prediction": Histogram(None, self._classes, tuple(self._counts.tolist()))}
        if self._confidence is not None:
            fields["confidence"] = Histogram(CONFIDENCE_EDGES, (), (*self._confidence.tolist(), 0))
            fields["confidence_measure"] = self._measure
        if self._logits:
            fields["energy"] = Histogram(self._energies, (), (*self._energy.tolist(), 0))
        return {**fields, **self._judged()} if self._labelled else fields

    def _judged(self) -> dict[str, Any]:
        """Confusion, performance and calibration of a classifier."""
        rows = int(self._confusion.sum())
        if not rows:
            raise ValueError("no prediction and no label name the same classes")
        performance = {k: v for k, v in stats.classification(self._confusion)._asdict().items() if k != "samples"}
        fields: dict[str, Any] = {"confusion": tuple(map(tuple, self._confusion.tolist())), "performance": performance}
        if self._confidence is not None:
            outcomes, positives, confidence = self._reliability.tolist()
            fields["calibration"] = Calibration(CONFIDENCE_EDGES, tuple(map(int, outcomes)), tuple(map(int, positives)), tuple(confidence))
            performance["ece"] = stats.ece(outcomes, positives, confidence).value
            performance["brier_score"] = self._sums["brier"] / rows
        return fields

    def _regression(self) -> dict[str, float]:
        sums = dict(self._sums)
        rows = sums.pop("rows", 0)
        if not rows:
            raise ValueError("no row has both a finite prediction and a finite label")
        with np.errstate(over="ignore"):
            scores = stats.regression(rows, **sums)
        return {name: value for name, value in scores._asdict().items() if name != "samples" and value is not None and math.isfinite(value)}


def reliability(confidence: Floats, positive: npt.NDArray[np.bool_]) -> Floats:
    """Per confidence bin outcomes, positives and the sum of confidences, none of them NaN; shape (3, bins)."""
    position = np.searchsorted(CONFIDENCE_EDGES, confidence, "left")
    size = len(CONFIDENCE_EDGES) + 1
    rows = np.bincount(position, minlength=size), np.bincount(position[positive], minlength=size)
    return np.array([*rows, np.bincount(position, weights=confidence, minlength=size)])
