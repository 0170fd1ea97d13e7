"""What arrives as predictions and outcomes: checked, put into normal form, and every rejected entry named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ml import catalogue as names
from otel_ml_exporter import shape
from otel_ml_exporter.outcomes.cells import GREATEST
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.shape import UnfitError
from otel_ml_exporter.sources.points import plain

MAX_ROWS = 10_000
MAX_TEXT = 256
MAX_LABEL = 100
ROUNDING = 1e-6
"""What a probability may exceed 1 by; models compute in 32 bits."""

_Field = tuple[str, Callable[[Any], Any]]
_FIELDS = ("model", "prediction_id", "label")
_OPTIONAL = ("source", "value")


@dataclass(frozen=True)
class Rejection:
    """An entry that was not accepted: its position, the field, what is wrong with it, how to mend it, and what it was to be."""

    row: int
    field: str
    problem: str
    mend: str
    event: str = names.EVENT_OUTCOME

    def shown(self) -> dict[str, Any]:
        """The rejection as an answer carries it."""
        return {"row": self.row, "field": self.field, "problem": self.problem, "mend": self.mend}

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: {self.problem}; {self.mend}"


@dataclass
class Batch:
    """The entries of one request, the good and the bad."""

    predictions: list[Prediction] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


def label_text(label: Any) -> str:
    """A label in the normal form of `Baseline.classes`, so that 3, 3.0 and "3" are one class.

    >>> label_text(3.0), label_text(True), label_text("JFK")
    ('3', 'True', 'JFK')
    """
    if isinstance(label, str):
        text = storable(label)
    elif isinstance(label, float) and math.isfinite(label):
        text = str(int(label) if label == int(label) else label)
    elif isinstance(label, bool | int):
        text = str(label)
    else:
        raise UnfitError(f"is {shape.brief(label)}", "give a text, a finite number or a boolean")
    if not text:
        raise UnfitError("is empty", "give the class that turned out to be true")
    return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"


def storable(text: str) -> str:
    """The text, when every database can hold it: no NUL, no half of a surrogate pair."""
    if "\0" in text or (not text.isascii() and text.encode(errors="ignore").decode() != text):
        raise UnfitError(f"is {shape.brief(text)}", "leave out NUL and unpaired surrogates")
    return text


def from_json(document: Any, now: float, *, most: int = MAX_ROWS) -> Batch:
    """The outcomes of a JSON document: one object, a list, or a list under `outcomes`. Raises `UnfitError` for anything else."""
    entries = document["outcomes"] if isinstance(document, dict) and set(document) == {"outcomes"} else document
    entries = [entries] if isinstance(entries, dict) else entries
    if not isinstance(entries, list) or not entries:
        raise UnfitError(f"is {shape.brief(entries)}", 'send {"model": "churn", "prediction_id": "...", "label": 1}, or a list of such')
    return _batch(entries, now, most)


def from_lines(body: bytes, now: float, *, most: int = MAX_ROWS) -> Batch:
    """The outcomes of NDJSON, one object a line; a line that is no JSON is a rejected row. Raises `UnfitError` without lines."""
    lines = body.splitlines()
    if not lines:
        raise UnfitError("is empty", "send one JSON object a line")
    return _batch(map(_line, lines), now, most, rows=len(lines))


def _line(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line.decode(errors="replace")


def _batch(entries: Iterable[Any], now: float, most: int, *, rows: int | None = None) -> Batch:
    rows = len(entries) if isinstance(entries, list) else rows or 0
    if rows > most:
        raise UnfitError(f"holds {rows} outcomes", f"send at most {most} at once")
    batch = Batch()
    for row, entry in enumerate(entries):
        try:
            batch.outcomes.append(
                Outcome(
                    _name(entry["model"]),
                    _text(entry["prediction_id"]),
                    label_text(entry["label"]),
                    now,
                    _source(entry.get("source")),
                    _worth(entry.get("value")),
                )
            )
            known = len(_FIELDS) + ("source" in entry) + ("value" in entry)
            if len(entry) == known:
                continue
            batch.outcomes.pop()
        except (UnfitError, TypeError, KeyError, AttributeError):
            pass
        batch.rejected += _json_faults(entry, row)
    return batch


def _json_faults(entry: Any, row: int) -> Iterator[Rejection]:
    """Everything that is wrong with an entry; only asked for one that is not taken."""
    if not isinstance(entry, dict):
        yield Rejection(row, "row", f"is {shape.brief(entry)}", "give an object with model, prediction_id and label")
        return
    for name, read in zip((*_FIELDS, *_OPTIONAL), (_name, _text, label_text, _source, _worth), strict=True):
        error = _unfit(read, entry.get(name))
        if error is not None:
            yield Rejection(row, name, error.problem, error.mend)
    for name in entry.keys() - {*_FIELDS, *_OPTIONAL}:
        yield Rejection(row, str(name)[:MAX_LABEL], "is unknown", f"known are {', '.join((*_FIELDS, *_OPTIONAL))}")


def _source(value: Any) -> str:
    """Who says so; nobody in particular where it is absent."""
    return "" if value is None else _name(value)


_WORTH = shape.number(-GREATEST, GREATEST)


def _worth(value: Any) -> float | None:
    return None if value is None else _WORTH(value)


def _unfit(read: Callable[[Any], Any], value: Any) -> UnfitError | None:
    try:
        read(value)
    except UnfitError as error:
        return error
    return None


def from_logs(request: ExportLogsServiceRequest, now: float) -> Batch:
    """The predictions and outcomes among log records; every other record is passed over."""
    batch = Batch()
    row = 0
    for group in request.resource_logs:
        for scope in group.scope_logs:
            for record in scope.log_records:
                _take(record, row, now, batch)
                row += 1
    return batch


def _take(record: LogRecord, row: int, now: float, batch: Batch) -> None:
    attributes = {entry.key: _value(entry.value) for entry in record.attributes}
    event = record.event_name or attributes.get("event.name")
    if event not in (names.EVENT_PREDICTION, names.EVENT_OUTCOME):
        return
    nanoseconds = record.time_unix_nano or record.observed_time_unix_nano
    made = min(nanoseconds / 1e9, now) if nanoseconds else now
    ids = attributes.get(names.PREDICTION_ID)
    if event == names.EVENT_PREDICTION and isinstance(ids, list):
        try:
            batch.predictions += _in_columns(attributes, len(ids), made)
        except UnfitError:
            pass  # read one by one, so that only those are rejected that are unfit
        else:
            return
    for entry in _unrolled(attributes):
        try:
            if event == names.EVENT_OUTCOME:
                model, identity, label, source, value = [read(entry.get(name)) for name, read in _OUTCOME]
                batch.outcomes.append(Outcome(model, identity, label, now, source, value))
            else:
                model, version, identity, *of_output = [read(entry.get(name)) for name, read in _PREDICTION]
                batch.predictions.append(Prediction(model, version, identity, made, *of_output))
        except UnfitError:  # noqa: PERF203 - each entry is taken or rejected by itself
            batch.rejected.append(_first_fault(entry, row, event))


def _in_columns(attributes: Mapping[str, Any], rows: int, made: float) -> list[Prediction]:
    """The predictions of a record with arrays of so many rows; what is no such array holds for all of them."""
    values = [(attributes.get(name), read) for name, read in _PREDICTION]
    columns = [map(read, each) if isinstance(each, list) and len(each) == rows else repeat(read(each), rows) for each, read in values]
    return list(map(Prediction, *columns[:3], repeat(made, rows), *columns[3:]))


def _first_fault(entry: Mapping[str, Any], row: int, event: str) -> Rejection:
    """What is wrong with an entry; only asked for one that is not taken."""
    fields = _OUTCOME if event == names.EVENT_OUTCOME else _PREDICTION
    found = ((name, _unfit(read, entry.get(name))) for name, read in fields)
    return next(Rejection(row, name, error.problem, error.mend, event) for name, error in found if error is not None)


def _value(value: AnyValue) -> Any:
    found = plain(value)
    return [plain(entry) for entry in value.array_value.values] if found is None and value.HasField("array_value") else found


def _unrolled(attributes: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The entries of a record: one, or as many as there are ids, each taking its part of every other array of that length."""
    ids = attributes.get(names.PREDICTION_ID)
    if not isinstance(ids, list):
        return (attributes,)
    arrays = {key: value for key, value in attributes.items() if isinstance(value, list)}
    fitting = {key: value for key, value in arrays.items() if len(value) == len(ids)}
    return ({**attributes, **{key: value[index] for key, value in fitting.items()}} for index in range(len(ids)))


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitError(f"is {shape.brief(value)}", "give the model's name as text")
    return _text(value)


def _text(value: Any) -> str:
    """A name or an id; a whole number is one too."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
        raise UnfitError(f"is {shape.brief(value)}", f"give a text of 1 to {MAX_TEXT} characters")
    return storable(text)


def _class(value: Any) -> str | None:
    return None if value is None else label_text(value)


def _segment(value: Any) -> str:
    return "" if value is None or value == "" else label_text(value)


def _number(least: float, greatest: float = math.inf) -> Callable[[Any], float | None]:
    """A reader of numbers; None where one is absent or NaN, as the confidence of a missing prediction is."""
    read = shape.number(least, greatest)
    return lambda value: None if value is None or value != value else read(value)  # noqa: PLR0124 - only NaN is not itself


_PROBABILITY = _number(0.0, 1 + ROUNDING)
_WEIGHT = _number(0.0)


def _confidence(value: Any) -> float | None:
    confidence = _PROBABILITY(value)
    return confidence if confidence is None else min(confidence, 1.0)


def _weight(value: Any) -> float:
    return _WEIGHT(value) or 1.0


_OUTCOME: tuple[_Field, ...] = (
    (names.MODEL_NAME, _name),
    (names.PREDICTION_ID, _text),
    (names.OUTCOME_LABEL, label_text),
    (names.OUTCOME_SOURCE, _source),
    (names.OUTCOME_VALUE, _worth),
)
_PREDICTION: tuple[_Field, ...] = (
    (names.MODEL_NAME, _name),
    (names.MODEL_VERSION, _text),
    (names.PREDICTION_ID, _text),
    (names.PREDICTION_CLASS, _class),
    (names.PREDICTION_VALUE, _number(-math.inf)),
    (names.PREDICTION_CONFIDENCE, _confidence),
    (names.PREDICTION_WEIGHT, _weight),
    (names.SEGMENT, _segment),
)
"""The attributes of each event in the order of its row, but for the time, and how they are read."""
