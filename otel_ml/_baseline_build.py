"""From held-out data to a baseline; the faults of the data are all found before any is raised."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml import stats
from otel_ml._binning import CONFIDENCE_EDGES, VOCABULARY, categories_of, count_categories, count_intervals, quantile_edges, tally
from otel_ml._frames import columns_of
from otel_ml._outputs import (
    TASKS,
    Outputs,
    Task,
    are_probabilities,
    as_array,
    distinct_labels,
    infer_task,
    interpret,
    one_spelling,
    ordered_classes,
    positions_of,
)
from otel_ml._values import as_numbers, is_missing, is_number, label_of
from otel_ml.baseline import Baseline, Calibration, Feature, Histogram, Outliers
from otel_ml.errors import BaselineError, Fault

Floats = npt.NDArray[np.float64]

KEPT_CATEGORIES = 30
"""Categories that get a bin of their own; rarer ones are pooled in `__other__`."""
OUTLIER_FEATURES = 200
"""Most features that are watched together: the precision matrix is their number squared, in the file and for each row."""
OUTLIER_QUANTILES = (0.5, 0.9, 0.99, 0.999)


def build(
    data: Any,
    *,
    model: str,
    version: str,
    predictions: Any,
    labels: Any,
    task: Task | None,
    feature_names: Sequence[str] | None,
    categorical: Iterable[str],
    importance: Mapping[str, float] | None,
    classes: Sequence[Any] | None,
    threshold: float,
    bins: int,
) -> Baseline:
    """See `Baseline.from_data`."""
    predictions, labels = (
        None if given is None else _entries(name, given) for name, given in (("predictions", predictions), ("labels", labels))
    )
    columns = columns_of(data, feature_names)
    rows = len(next(iter(columns.values())))
    codes = set(categorical)
    weights = _normalised(importance or {})
    faults = [*_option_faults(model, version, task, bins), *_name_faults("categorical", codes, columns)]
    faults += _name_faults("importance", weights, columns)
    faults += _length_faults(rows, predictions=predictions, labels=labels)
    if predictions is not None and task is None and not faults:
        task = infer_task(predictions, labels)
        if task is None:
            faults.append(Fault("task", "cannot be told from the predictions", f"give task= one of {', '.join(TASKS)}"))
    faults += [fault for name, column in columns.items() if (fault := _column_fault(name, column))]
    if faults:
        raise BaselineError("the data", faults)

    features, numbers = [], {}
    for name, column in columns.items():
        if name in codes or not _is_numeric(column):
            features.append(_categorical(name, column, weights.get(name)))
        else:
            numbers[name] = _as_floats(column)
            features.append(_numeric(name, numbers[name], weights.get(name), bins))
    named = tuple(map(label_of, classes)) if classes is not None else _classes(task, predictions, labels)
    if task == "binary" and predictions is not None and len(named) != 2:
        mend = "give task='multiclass', or classes= with the negative and the positive one"
        raise BaselineError("the data", [Fault("classes", f"are {', '.join(named) or 'none'} where a binary model has two", mend)])
    try:
        outputs = _outputs_fields(predictions, labels, task=task, classes=named, threshold=threshold, bins=bins)
    except ValueError as error:
        raise BaselineError("the data", [Fault("predictions", str(error), "give classes= in the order of the columns")]) from error
    return Baseline(
        model=str(model),
        version=str(version),
        task=task,
        created=dt.datetime.now(dt.timezone.utc).replace(microsecond=0),
        samples=rows,
        features=tuple(features),
        classes=named,
        threshold=threshold,
        outliers=_outliers(numbers),
        **outputs,
    )


def _entries(name: str, given: Any) -> npt.NDArray[Any]:
    try:
        return as_array(given)
    except Exception as error:
        raise BaselineError("the data", [Fault(name, f"cannot be read ({error})", "give one entry a row, all of one shape")]) from error


def _option_faults(model: str, version: str, task: str | None, bins: int) -> list[Fault]:
    faults = []
    if not str(model):
        faults.append(Fault("model", "is empty", "name the model, such as model='churn'"))
    if not str(version):
        faults.append(Fault("version", "is empty", "give the version, such as version='3'"))
    if task is not None and task not in TASKS:
        faults.append(Fault("task", f"{task!r} is unknown", f"give one of {', '.join(TASKS)}"))
    if not 2 <= bins <= 100:
        faults.append(Fault("bins", f"{bins} is out of range", "give 2 to 100"))
    return faults


def _name_faults(option: str, names: Iterable[str], columns: Mapping[str, Any]) -> list[Fault]:
    known = ", ".join(columns)
    return [Fault(option, f"{name!r} is not a column", f"the columns are {known}") for name in names if name not in columns]


def _length_faults(rows: int, **given: Any) -> list[Fault]:
    return [
        Fault(name, f"has {len(values)} entries for {rows} rows", "give one for each row")
        for name, values in given.items()
        if values is not None and len(values) != rows
    ]


def _column_fault(name: str, column: Any) -> Fault | None:
    place = f"column {name!r}"
    if isinstance(column, np.ndarray) and column.dtype.kind in "mM":
        return Fault(place, "holds times", "give a number or a category made from it, such as the hour")
    if not isinstance(column, np.ndarray) or column.dtype.kind == "O":
        if any(isinstance(value, dt.date | dt.time | dt.timedelta) and not is_missing(value) for value in column):
            return Fault(place, "holds times", "give a number or a category made from it, such as the hour")
        strange = next((value for value in column if isinstance(value, list | tuple | dict | set | np.ndarray)), None)
        if strange is not None:
            return Fault(place, f"holds a {type(strange).__name__}", "give one number or one category a row")
    return None


def _normalised(importance: Mapping[str, float]) -> dict[str, float]:
    total = sum(max(weight, 0.0) for weight in importance.values())
    return {name: max(weight, 0.0) / total for name, weight in importance.items()} if total > 0 else {}


def _is_numeric(column: Any) -> bool:
    """Numbers throughout, missing values aside; booleans and text are categories, a column of nothing is numeric."""
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return column.dtype.kind in "iuf"
    return all(is_number(value) or is_missing(value) for value in column)


def _as_floats(column: Any) -> Floats:
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        return column.astype(np.float64)
    return as_numbers(column)[0]


def _numeric(name: str, values: Floats, importance: float | None, bins: int) -> Feature:
    histogram = _intervals(values, quantile_edges(values, bins))
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Feature(name, "numeric", histogram, importance=importance)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(finite.mean()), float(finite.std())
    return Feature(
        name,
        "numeric",
        histogram,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=mean if math.isfinite(mean) else None,
        std=std if math.isfinite(std) else None,
        importance=importance,
    )


def _intervals(values: Floats, edges: tuple[float, ...]) -> Histogram:
    return Histogram(edges, (), (*count_intervals(values, edges).tolist(), 0))


def _categorical(name: str, column: Any, importance: float | None) -> Feature:
    tallied = tally(column.tolist() if isinstance(column, np.ndarray) else column)
    kept, vocabulary = categories_of(tallied, keep=KEPT_CATEGORIES, vocabulary=VOCABULARY)
    histogram = Histogram(None, kept, tuple(count_categories(tallied, kept).tolist()))
    return Feature(name, "categorical", histogram, vocabulary=vocabulary, importance=importance)


def _classes(task: Task | None, predictions: Any, labels: Any) -> tuple[str, ...]:
    """The classes that labels and predictions name; "0", "1", ... where only probabilities are given."""
    if task not in ("binary", "multiclass") or predictions is None:
        return ()
    names = distinct_labels(labels) if labels is not None else set()
    if predictions.size == len(predictions) and not (task == "binary" and are_probabilities(predictions)):
        names |= distinct_labels(predictions)
    width = predictions.shape[1] if predictions.ndim > 1 and predictions.shape[1] > 1 else 2
    names = one_spelling(names)
    usual = [{str(index) for index in range(width)}, {"False", "True"}]
    return ordered_classes(next((complete for complete in usual if len(complete) == width and names <= complete), names))


def _outputs_fields(
    predictions: Any, labels: Any, *, task: Task | None, classes: tuple[str, ...], threshold: float, bins: int
) -> dict[str, Any]:
    """The fields of the baseline that come from predictions, and from labels where there are any."""
    if predictions is None or task is None:
        return {}
    outputs = interpret(predictions, task, classes, threshold)
    if outputs.value is not None:
        fields: dict[str, Any] = {"prediction": _intervals(outputs.value, quantile_edges(outputs.value, bins))}
        if labels is not None:
            fields["performance"] = _regression(outputs.value, labels.reshape(-1))
        return fields
    assert outputs.position is not None
    fields = {"prediction": Histogram(None, classes, tuple(np.bincount(outputs.position, minlength=len(classes) + 2).tolist()))}
    if outputs.confidence is not None:
        fields["confidence"] = _intervals(outputs.confidence, CONFIDENCE_EDGES)
    if labels is not None:
        fields |= _judged(outputs, positions_of(labels.reshape(-1), classes), task, len(classes))
    return fields


def _judged(outputs: Outputs, truth: npt.NDArray[np.int64], task: Task, classes: int) -> dict[str, Any]:
    """Confusion, performance and calibration of a classifier."""
    assert outputs.position is not None
    known = (truth < classes) & (outputs.position < classes)
    if not known.any():
        raise ValueError("no prediction and no label name the same classes")
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (truth[known], outputs.position[known]), 1)
    fields: dict[str, Any] = {"confusion": tuple(map(tuple, confusion.tolist()))}
    performance = {k: v for k, v in stats.classification(confusion)._asdict().items() if k != "samples"}
    if outputs.confidence is not None:
        confidence = outputs.confidence[known]
        positive = (truth[known] == 1) if task == "binary" else (truth[known] == outputs.position[known])
        calibration = calibrate(confidence, positive)
        fields["calibration"] = calibration
        performance["ece"] = stats.ece(calibration.outcomes, calibration.positives, calibration.confidence).value
        performance["brier_score"] = float(np.mean((confidence - positive) ** 2))
    return {**fields, "performance": performance}


def calibrate(confidence: Floats, positive: npt.NDArray[np.bool_]) -> Calibration:
    """Reliability bins of confidences, none of them NaN, and whether each came true; both of shape (rows,)."""
    position = np.searchsorted(CONFIDENCE_EDGES, confidence, "left")
    size = len(CONFIDENCE_EDGES) + 1
    return Calibration(
        CONFIDENCE_EDGES,
        tuple(np.bincount(position, minlength=size).tolist()),
        tuple(np.bincount(position[positive], minlength=size).tolist()),
        tuple(np.bincount(position, weights=confidence, minlength=size).tolist()),
    )


def _regression(predicted: Floats, labels: Any) -> dict[str, float]:
    truth = _as_floats(labels)
    known = np.isfinite(truth) & np.isfinite(predicted)
    if not known.any():
        raise ValueError("no row has both a finite prediction and a finite label")
    error, truth = predicted[known] - truth[known], truth[known]
    with np.errstate(over="ignore"):
        scores = stats.regression(
            len(error),
            error=float(error.sum()),
            absolute_error=float(np.abs(error).sum()),
            squared_error=float((error**2).sum()),
            truth=float(truth.sum()),
            squared_truth=float((truth**2).sum()),
        )
    return {name: value for name, value in scores._asdict().items() if name != "samples" and value is not None and math.isfinite(value)}


def _outliers(numbers: Mapping[str, Floats]) -> Outliers | None:
    """The multivariate reference of the features that vary; None for fewer than two of them, or too many."""
    varying = {name: np.where(np.isfinite(values), values, np.nan) for name, values in numbers.items()}
    with np.errstate(over="ignore", invalid="ignore"):
        varying = {name: v for name, v in varying.items() if np.isfinite(v).any() and 0 < np.nanstd(v) < np.inf}
    if not 2 <= len(varying) <= OUTLIER_FEATURES:
        return None
    mean = np.array([np.nanmean(values) for values in varying.values()])
    scale = np.array([np.nanstd(values) for values in varying.values()])
    rows = np.nan_to_num((np.column_stack(list(varying.values())) - mean) / scale)
    _, precision, _ = stats.gaussian(rows)
    distances = stats.mahalanobis(rows, np.zeros(len(mean)), precision)
    edges = tuple(np.unique(np.quantile(distances, OUTLIER_QUANTILES)).tolist())
    return Outliers(
        tuple(varying), tuple(mean.tolist()), tuple(scale.tolist()), tuple(map(tuple, precision.tolist())), _intervals(distances, edges)
    )
