"""What arrives as predictions and outcomes: checked, put into normal form, and every rejected entry named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ml import catalogue as names
from otel_ml_exporter import shape
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.shape import UnfitError
from otel_ml_exporter.sources.points import plain

MAX_ROWS = 10_000
MAX_TEXT = 256
MAX_LABEL = 100
ROUNDING = 1e-6
"""What a probability may exceed 1 by; models compute in 32 bits."""

_FIELDS = ("model", "prediction_id", "label")


@dataclass(frozen=True)
class Rejection:
    """An entry that was not accepted: its position, the field, what is wrong with it, and how to mend it."""

    row: int
    field: str
    problem: str
    mend: str

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
    if "\0" in text or text.encode(errors="ignore").decode() != text:
        raise UnfitError(f"is {shape.brief(text)}", "leave out NUL and unpaired surrogates")
    return text


def from_json(document: Any, now: float) -> Batch:
    """The outcomes of a JSON document: one object, a list, or a list under `outcomes`. Raises `UnfitError` for anything else."""
    entries = document["outcomes"] if isinstance(document, dict) and set(document) == {"outcomes"} else document
    entries = [entries] if isinstance(entries, dict) else entries
    if not isinstance(entries, list) or not entries:
        raise UnfitError(f"is {shape.brief(entries)}", 'send {"model": "churn", "prediction_id": "...", "label": 1}, or a list of such')
    if len(entries) > MAX_ROWS:
        raise UnfitError(f"holds {len(entries)} outcomes", f"send at most {MAX_ROWS} at once")
    batch = Batch()
    for row, entry in enumerate(entries):
        faults = list(_json_faults(entry, row))
        batch.rejected += faults
        if not faults:
            outcome = Outcome(entry["model"], _text(entry["prediction_id"]), label_text(entry["label"]), now)
            batch.outcomes.append(outcome)
    return batch


def _json_faults(entry: Any, row: int) -> Iterator[Rejection]:
    if not isinstance(entry, dict):
        yield Rejection(row, "row", f"is {shape.brief(entry)}", "give an object with model, prediction_id and label")
        return
    for name, read in zip(_FIELDS, (_name, _text, label_text), strict=True):
        error = _unfit(read, entry.get(name))
        if error is not None:
            yield Rejection(row, name, error.problem, error.mend)
    for name in entry.keys() - set(_FIELDS):
        yield Rejection(row, str(name)[:MAX_LABEL], "is unknown", f"known are {', '.join(_FIELDS)}")


def _unfit(read: Callable[[Any], str], value: Any) -> UnfitError | None:
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
    attributes = {entry.key: plain(entry.value) for entry in record.attributes}
    event = record.event_name or attributes.get("event.name")
    if event not in (names.EVENT_PREDICTION, names.EVENT_OUTCOME):
        return
    reader = _Attributes(attributes)
    try:
        if event == names.EVENT_OUTCOME:
            batch.outcomes.append(reader.outcome(now))
        else:
            batch.predictions.append(reader.prediction(record.time_unix_nano or record.observed_time_unix_nano, now))
    except UnfitError as error:
        batch.rejected.append(Rejection(row, reader.at, error.problem, error.mend))


class _Attributes:
    """The attributes of an event; `at` is the one that was read last."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes
        self.at = ""

    def _get(self, name: str) -> Any:
        self.at = name
        return self._attributes.get(name)

    def outcome(self, now: float) -> Outcome:
        return Outcome(
            _name(self._get(names.MODEL_NAME)), _text(self._get(names.PREDICTION_ID)), label_text(self._get(names.OUTCOME_LABEL)), now
        )

    def prediction(self, nanoseconds: int, now: float) -> Prediction:
        predicted = self._get(names.PREDICTION_CLASS)
        return Prediction(
            model=_name(self._get(names.MODEL_NAME)),
            version=_text(self._get(names.MODEL_VERSION)),
            prediction_id=_text(self._get(names.PREDICTION_ID)),
            time=min(nanoseconds / 1e9, now) if nanoseconds else now,
            class_=None if predicted is None else label_text(predicted),
            value=self._number(names.PREDICTION_VALUE),
            confidence=self._confidence(),
            weight=self._number(names.PREDICTION_WEIGHT) or 1.0,
        )

    def _confidence(self) -> float | None:
        confidence = self._number(names.PREDICTION_CONFIDENCE, greatest=1 + ROUNDING)
        return None if confidence is None else min(confidence, 1.0)

    def _number(self, name: str, greatest: float = math.inf) -> float | None:
        """A number, None where it is absent or NaN, as the confidence of a missing prediction is."""
        value = self._get(name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        least = -math.inf if name == names.PREDICTION_VALUE else 0.0
        return shape.number(least, greatest)(value)


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
