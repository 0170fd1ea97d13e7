"""What a model depends on: how much worse, or how different, it predicts when one column is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from otel_ml._baseline_features import Floats, Indices, as_floats
from otel_ml._baseline_outputs import classes_of
from otel_ml._frames import reordered, take
from otel_ml._outputs import Outputs, Task, as_array, infer_task, interpret, positions_of
from otel_ml.errors import BaselineError, Fault

ROWS = 5_000
REPEATS = 3


def normalised(importance: Mapping[str, float]) -> dict[str, float]:
    """Weights of 0 or more that sum to 1; none where all are 0."""
    total = sum(max(weight, 0.0) for weight in importance.values())
    return {name: max(weight, 0.0) / total for name, weight in importance.items()} if total > 0 else {}


def permutation_importance(
    predict: Callable[[Any], Any],
    data: Any,
    names: Sequence[str],
    labels: Any,
    *,
    task: Task | None,
    classes: tuple[str, ...],
    threshold: float,
    logits: bool = False,
) -> dict[str, float]:
    """The weight of each feature on at most 5,000 rows (Breiman 2001; Fisher, Rudin and Dominici 2019).

    With labels the rise of the loss (squared error, Brier score, or share of errors), without them the mean change of the
    prediction. Not normalised; negative where shuffling helped.
    """
    random = np.random.default_rng(0)
    size = len(data) if not isinstance(data, Mapping) else len(next(iter(data.values())))
    size = getattr(data, "num_rows", size)
    rows = np.sort(random.choice(size, ROWS, replace=False)) if size > ROWS else np.arange(size)
    sample = take(data, names, rows)
    truth = None if labels is None else labels.reshape(-1)[rows]
    first = _predicted(predict, sample, len(rows), logits=logits)
    task = task or infer_task(first, truth)
    if task is None:
        raise BaselineError("the data", [Fault("predict", "gives what may be classes or numbers", "give task=")])
    classes = classes or classes_of(task, first, truth)

    def outputs(table: Any) -> Outputs:
        return interpret(_predicted(predict, table, len(rows), logits=logits), task, classes, threshold, logits=logits)

    reference = interpret(first, task, classes, threshold, logits=logits)
    before = 0.0 if truth is None else _loss(reference, truth, task, classes)

    def weight(name: str) -> float:
        shuffled = [outputs(reordered(sample, names, name, random.permutation(len(rows)))) for _ in range(REPEATS)]
        after = [_change(found, reference, task) if truth is None else _loss(found, truth, task, classes) for found in shuffled]
        return float(np.mean(after)) - before

    return {name: weight(name) for name in names}


def _predicted(predict: Callable[[Any], Any], table: Any, rows: int, *, logits: bool) -> Any:
    mend = "it is called with rows like those of the data, and gives one prediction for each"
    try:
        found = as_array(predict(table), logits=logits)
    except Exception as error:
        raise BaselineError("the data", [Fault("predict", f"raised {type(error).__name__}: {error}", mend)]) from error
    if len(found) != rows:
        raise BaselineError("the data", [Fault("predict", f"gave {len(found)} predictions for {rows} rows", mend)])
    return found


def _loss(outputs: Outputs, truth: Any, task: Task, classes: tuple[str, ...]) -> float:
    if outputs.value is not None:
        return _mean((outputs.value - as_floats(truth)) ** 2)
    position = positions_of(truth, classes)
    if task == "binary" and outputs.confidence is not None:
        return _mean((outputs.confidence - (position == 1))[position < len(classes)] ** 2)
    assert outputs.position is not None
    return _mean((outputs.position != position)[position < len(classes)])


def _change(outputs: Outputs, reference: Outputs, task: Task) -> float:
    if outputs.value is not None and reference.value is not None:
        return _mean(np.abs(outputs.value - reference.value))
    if task == "binary" and outputs.confidence is not None and reference.confidence is not None:
        return _mean(np.abs(outputs.confidence - reference.confidence))
    assert outputs.position is not None
    assert reference.position is not None
    return _mean(outputs.position != reference.position)


def _mean(values: Floats | Indices | Any) -> float:
    """Of the finite ones; 0 where there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else 0.0
