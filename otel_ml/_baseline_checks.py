"""What a baseline is built from, and everything that may be wrong with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_ml._answers import is_scored
from otel_ml._baseline_derive import kind_of
from otel_ml._certainty import MEASURES, Measure
from otel_ml._frames import column_of, columns_of
from otel_ml._logits import are_shares, table_of
from otel_ml._option_types import OF_BASELINE, type_faults
from otel_ml._outputs import ROUNDING, TASKS, Task, are_probabilities, as_array
from otel_ml._rules import schema_faults
from otel_ml._values import is_missing
from otel_ml.baseline import Baseline, Batch, Feature
from otel_ml.errors import BaselineError, Fault


@dataclass(frozen=True)
class Options:
    """How a baseline is to be built; see `Baseline.from_data`."""

    model: str
    version: str
    task: Task | Mapping[str, Task] | None
    feature_names: Sequence[str] | None
    categorical: frozenset[str]
    schema: Mapping[str, Mapping[str, Any]]
    importance: Mapping[str, float]
    classes: Sequence[Any] | None
    threshold: float
    bins: int
    like: Baseline | None
    confidence: Measure | None
    logits: bool

    @property
    def measure(self) -> Measure:
        """How confidence is measured: as asked for, or as in the other baseline."""
        return self.confidence or (self.like.confidence_measure if self.like is not None else "probability")

    def of_output(self, name: str, *, first: bool) -> Options:
        """The options of one of several outputs; classes, confidence, logits and another baseline are of the first."""
        task = self.task.get(name) if isinstance(self.task, Mapping) else self.task
        return replace(self, task=task) if first else replace(self, task=task, classes=None, confidence=None, logits=False, like=None)

    def like_feature(self, name: str) -> Feature | None:
        """What the other baseline knows under this name."""
        return None if self.like is None else next((feature for feature in self.like.features if feature.name == name), None)


def options_of(arguments: Mapping[str, Any]) -> Options:
    """The options among the arguments of `Baseline.from_data`, columns by their names as text; raises `BaselineError` for wrong types."""
    faults = list(type_faults(arguments, OF_BASELINE))
    if faults:
        raise BaselineError("the options of the baseline", faults)
    chosen = {option.name: arguments[option.name] for option in fields(Options)}
    names = chosen["feature_names"]
    chosen["feature_names"] = None if names is None else list(map(str, names))
    chosen["categorical"] = frozenset(map(str, chosen["categorical"]))
    for option in ("schema", "importance"):
        chosen[option] = {str(column): given for column, given in (chosen[option] or {}).items()}
    return Options(**chosen)


@dataclass(frozen=True)
class Rows:
    """Rows of data, understood: the columns that are features, and what belongs to each row."""

    columns: Mapping[str, Any]
    predictions: npt.NDArray[Any] | None
    labels: npt.NDArray[Any] | None
    time: Any
    key: Any
    output: str = ""
    further: Mapping[str, Rows] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def map(self, change: Callable[[Any], Any]) -> Rows:
        """Rows of which every part that is there was changed."""
        rest = (self.predictions, self.labels, self.time, self.key)
        columns = {name: change(column) for name, column in self.columns.items()}
        further = {name: rows.map(change) for name, rows in self.further.items()}
        predictions, labels, time, key = (None if part is None else change(part) for part in rest)
        return Rows(columns, predictions, labels, time, key, self.output, further)


def understand(batch: Batch, options: Options) -> Rows:
    """The parts of a batch; a time or key that names a column is taken from the data, and is no feature unless named as one."""
    output, answers = _answers(batch, logits=options.logits)
    (predictions, labels), *others = answers
    named = [given for given in (batch.time, batch.key) if isinstance(given, str)]
    names = options.feature_names
    if names is not None and not (isinstance(batch.data, np.ndarray) and batch.data.dtype.names is None):
        names = list(dict.fromkeys([*names, *named]))
    columns = columns_of(batch.data, names)
    time, key = (_beside(option, given, columns) for option, given in (("time", batch.time), ("key", batch.key)))
    columns = {name: columns[name] for name in (options.feature_names or [name for name in columns if name not in named])}
    if not columns:
        raise BaselineError("the data", [Fault("columns", "none is left as a feature", "give at least one beside time and key")])
    further = {name: Rows(columns, *answer, None, None) for name, answer in zip(output[1:], others, strict=True)}
    return Rows(columns, predictions, labels, time, key, output[0], further)


def _answers(batch: Batch, *, logits: bool) -> tuple[list[str], list[tuple[Any, Any]]]:
    """The names of the outputs, and the predictions and labels of each; one without a name where there is but one."""
    given, true = batch.predictions, batch.labels
    if not isinstance(given, Mapping) or hasattr(given, "logits"):  # as the answers of transformers are
        given, true = {"": given}, {"": true}
    elif not given or not all(isinstance(name, str) and name for name in given):
        raise BaselineError("the data", [Fault("predictions", "have outputs without a name", "give a mapping of texts to predictions")])
    if true is not None and (not isinstance(true, Mapping) or not set(true) <= set(given)):
        mend = f"give a mapping of {', '.join(given)}, or of some of them"
        raise BaselineError("the data", [Fault("labels", "are not those of the outputs", mend)])
    first = next(iter(given))
    return list(given), [
        (
            _entries("predictions", given[name], logits=logits and name == first),
            _entries("labels", None if true is None else true.get(name)),
        )
        for name in given
    ]


def complete(rows: Rows) -> Rows:
    """The same rows; raises `BaselineError` unless each has all its parts."""
    faults = _length_faults(rows)
    if faults:
        raise BaselineError("the data", faults)
    return rows


def _beside(option: str, given: Any, columns: Mapping[str, Any]) -> Any:
    if not isinstance(given, str):
        return None if given is None else column_of(given, option)
    if given not in columns:
        raise BaselineError("the data", name_faults(option, [given], columns))
    return columns[given]


def _entries(name: str, given: Any, *, logits: bool = False) -> npt.NDArray[Any] | None:
    if given is None:
        return None
    try:
        return as_array(given, logits=logits)
    except Exception as error:
        raise BaselineError("the data", [Fault(name, f"cannot be read ({error})", "give one entry a row, all of one shape")]) from error


def data_faults(rows: Rows, options: Options) -> list[Fault]:
    """What is wrong with the options, with the names in them, and with the columns."""
    faults = [*_option_faults(options), *name_faults("categorical", options.categorical, rows.columns)]
    faults += [*name_faults("schema", options.schema, rows.columns), *schema_faults(options.schema)]
    faults += name_faults("importance", options.importance, rows.columns)
    faults += _length_faults(rows)
    faults += _table_faults(rows, options)
    if options.confidence is not None and rows.predictions is None:
        faults.append(Fault("confidence", "needs predictions", "give predictions=, a probability of each class"))
    if options.logits:
        faults += _logit_faults(rows.predictions, options.task)
    declared = kinds_of(options) if not faults else {}
    return faults + [fault for name, column in rows.columns.items() if name not in declared and (fault := _column_fault(name, column))]


def _table_faults(rows: Rows, options: Options) -> Iterator[Fault]:
    """What has several columns, and means nothing so."""
    if rows.labels is not None and rows.labels.size > len(rows.labels):
        mend = "give one a row, such as labels.argmax(axis=1) of a table of 0 and 1, or a mapping of outputs"
        yield Fault("labels", f"have the shape {rows.labels.shape}", mend)
    table = rows.predictions
    if table is None or table.size <= len(table) or is_scored(table):
        return
    if options.task == "regression":
        mend = 'give several outputs as a mapping, such as {"price": ..., "rent": ...}'
        yield Fault("predictions", f"have the shape {table.shape}", mend)
    elif table.dtype.kind in "fiub" and not options.logits and not are_probabilities(table.astype(np.float64), ROUNDING):
        mend = "say logits=True where these are the logits of classes, or give several outputs as a mapping"
        yield Fault("predictions", "have columns that are no probabilities", mend)


def _logit_faults(predictions: npt.NDArray[Any] | None, task: Any) -> Iterator[Fault]:
    table = None if predictions is None or task == "regression" else table_of(predictions, task)
    if table is None:
        yield Fault("logits", "are not in the predictions", "give predictions=, a float for each class, or one of a binary model")
    elif predictions is not None and are_shares(predictions):
        yield Fault("logits", "are probabilities: each row is 1 together", "leave logits out")


def check_tasks(rows: Rows, options: Options) -> None:
    """Raises `BaselineError` where a task is given to what is no output."""
    unknown = set(options.task) - {rows.output, *rows.further} if isinstance(options.task, Mapping) else set()
    if unknown:
        raise BaselineError("the data", [Fault("task", f"names {min(unknown)!r}", "give predictions= as a mapping with the same names")])


def kinds_of(options: Options) -> dict[str, str]:
    """What the columns are declared to hold, where they are."""
    declared = {name: str(rules["type"]) for name, rules in options.schema.items() if "type" in rules}
    return dict.fromkeys(options.categorical, "categorical") | declared


def _option_faults(options: Options) -> list[Fault]:
    faults = []
    if not str(options.model):
        faults.append(Fault("model", "is empty", "name the model, such as model='churn'"))
    if not str(options.version):
        faults.append(Fault("version", "is empty", "give the version, such as version='3'"))
    if options.task is not None and not isinstance(options.task, Mapping) and options.task not in TASKS:
        faults.append(Fault("task", f"{options.task!r} is unknown", f"give one of {', '.join(TASKS)}"))
    if options.confidence is not None and options.confidence not in MEASURES:
        faults.append(Fault("confidence", f"{options.confidence!r} is unknown", f"give one of {', '.join(MEASURES)}"))
    if not 2 <= options.bins <= 100:
        faults.append(Fault("bins", f"{options.bins} is out of range", "give 2 to 100"))
    return faults


def name_faults(option: str, names: Iterable[str], columns: Mapping[str, Any]) -> list[Fault]:
    """A fault for each name that is no column."""
    known = ", ".join(columns)
    return [Fault(option, f"{name!r} is not a column", f"the columns are {known}") for name in names if name not in columns]


def _length_faults(rows: Rows) -> list[Fault]:
    further = [fault for other in rows.further.values() for fault in _length_faults(other)]
    return further + [
        Fault(name, f"has {len(values)} entries for {len(rows)} rows", "give one for each row")
        for name in ("predictions", "labels", "time", "key")
        if (values := getattr(rows, name)) is not None and len(values) != len(rows)
    ]


def _column_fault(name: str, column: Any) -> Fault | None:
    """What is neither a number nor a category, and nothing that features are made from either."""
    place = f"column {name!r}"
    if kind_of(column) is not None:
        return None
    if isinstance(column, np.ndarray) and column.dtype.kind == "m":
        return Fault(place, "holds spans of time", "give a number, such as the seconds")
    if not isinstance(column, np.ndarray) or column.dtype.kind == "O":
        if any(isinstance(value, dt.date | dt.time | dt.timedelta) and not is_missing(value) for value in column):
            return Fault(place, "holds times of day, spans, or times among other values", "give a number or a category made from it")
        strange = next((value for value in column if isinstance(value, list | tuple | dict | set | np.ndarray)), None)
        if strange is not None:
            return Fault(place, f"holds a {type(strange).__name__}", "give one number, one category, or vectors of one length")
    return None
