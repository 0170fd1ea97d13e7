"""Predictions and outcomes as OpenTelemetry events, so that they can be joined when the truth is known."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber, get_logger, get_logger_provider
from opentelemetry.context import Context, get_current

from otel_ml import catalogue as names
from otel_ml._abstain import Floats
from otel_ml._event_features import EventFeatures
from otel_ml._guard import logger
from otel_ml._layout import Layout
from otel_ml._option_types import is_number
from otel_ml._outputs import Outputs
from otel_ml._segment import Place
from otel_ml._values import is_missing, label_of
from otel_ml._version import __version__
from otel_ml.baseline import Baseline
from otel_ml.errors import Fault

if TYPE_CHECKING:
    from otel_ml._calls import Call

ROWS_OF_RECORD = 100
"""Most predictions in one record: 512 records, which an SDK sends at once, then stay under the 4 MiB that a Collector takes."""


def is_sampled(prediction_id: str, ratio: float) -> bool:
    """Whether the event of this id is sent; the same id gives the same answer in every process."""
    return zlib.crc32(prediction_id.encode()) < ratio * 2**32


class PredictionEvents:
    """Sends an `ml.prediction` event for a share of the predictions of one model."""

    def __init__(self, layout: Layout, ratio: float, features: EventFeatures, provider: LoggerProvider | None) -> None:
        self._ratio = ratio
        self._features = features
        self._attributes: dict[str, Any] = {**layout.binned_attributes, names.MODEL_ROLE: layout.role}
        if ratio < 1:
            self._attributes[names.PREDICTION_WEIGHT] = 1 / ratio
        self._baseline = layout.baseline
        self._segments = layout.segments
        self._logger = get_logger(names.SCOPE, __version__, logger_provider=provider, schema_url=names.SCHEMA_URL)

    def sampled(self, ids: Sequence[str]) -> Sequence[int]:
        """The rows whose events are sent."""
        if self._ratio >= 1:
            return range(len(ids))
        return [row for row, prediction_id in enumerate(ids) if is_sampled(prediction_id, self._ratio)]

    def send(
        self, ids: Sequence[str], rows: Sequence[int], outputs: Outputs, call: Call, distances: Callable[[Call], Floats | None]
    ) -> None:
        """Events of these rows; without features, many rows whose class is known share a record, others also tell how far out they lie."""
        context = get_current()
        together, alone = ([], rows) if self._features.any or len(rows) == 1 else _apart(rows, outputs, self._baseline)
        for start in range(0, len(together), ROWS_OF_RECORD):
            part = np.array(together[start : start + ROWS_OF_RECORD])
            content = {**self._attributes, names.PREDICTION_ID: [ids[row] for row in part], **_meanings_of(outputs, part, self._baseline)}
            if self._segments:
                content[names.SEGMENT] = self._segments_of(call.segment, part)
            if call.withheld is not None and call.withheld[part].any():
                content[names.PREDICTION_ABSTAINED] = call.withheld[part].tolist()
            _emit(self._logger, names.EVENT_PREDICTION, content, context)
        outlier = distances(call) if alone else None
        for row in alone:
            content = {**self._attributes, names.PREDICTION_ID: ids[row], **meaning_of(outputs, row, self._baseline, outlier)}
            if self._segments:
                content[names.SEGMENT] = self._segments[call.segment if isinstance(call.segment, int) else call.segment[row]]
            if call.withheld is not None and call.withheld[row]:
                content[names.PREDICTION_ABSTAINED] = True
            features = self._features.of(call.captured, row)
            if features:
                content[names.PREDICTION_FEATURES] = features
            _emit(self._logger, names.EVENT_PREDICTION, content, context)

    def _segments_of(self, segment: Place, rows: npt.NDArray[np.int64]) -> str | list[str]:
        return self._segments[segment] if isinstance(segment, int) else [self._segments[place] for place in segment[rows].tolist()]


def _apart(rows: Sequence[int], outputs: Outputs, baseline: Baseline | None) -> tuple[Sequence[int], Sequence[int]]:
    """The rows that may share a record, and those whose class is missing or unknown."""
    if outputs.position is None or baseline is None:
        return rows, ()
    known = outputs.position < len(baseline.classes)
    return [row for row in rows if known[row]], [row for row in rows if not known[row]]


def _meanings_of(outputs: Outputs, rows: npt.NDArray[np.int64], baseline: Baseline | None) -> dict[str, Any]:
    """What was predicted for rows of known classes, an array each."""
    classes = baseline.classes if baseline is not None else ()
    content: dict[str, Any] = {}
    if outputs.position is not None:
        content[names.PREDICTION_CLASS] = [classes[position] for position in outputs.position[rows].tolist()]
    if outputs.value is not None:
        content[names.PREDICTION_VALUE] = outputs.value[rows].tolist()
    if outputs.confidence is not None:
        content[names.PREDICTION_CONFIDENCE] = outputs.confidence[rows].tolist()
    return content


def meaning_of(outputs: Outputs, row: int, baseline: Baseline | None, outlier: Floats | None) -> dict[str, Any]:
    """What was predicted for a row: its class or value, its confidence and energy; and how far out it lies."""
    classes = baseline.classes if baseline is not None else ()
    content: dict[str, Any] = {}
    if outputs.position is not None and outputs.position[row] < len(classes):
        content[names.PREDICTION_CLASS] = classes[outputs.position[row]]
    if outputs.value is not None:
        content[names.PREDICTION_VALUE] = float(outputs.value[row])
    if outputs.confidence is not None:
        content[names.PREDICTION_CONFIDENCE] = float(outputs.confidence[row])
    if outputs.energy is not None:
        content[names.PREDICTION_ENERGY] = float(outputs.energy[row])
    if outlier is not None and row < len(outlier):
        content[names.OUTLIER_DISTANCE] = float(outlier[row])
    return content


def faults_of(ratio: float, baseline: Baseline | None) -> list[Fault]:
    """What is wrong with the option `events`."""
    faults = []
    if not 0 <= ratio <= 1:
        faults.append(Fault("events", f"is {float(ratio)}", "give the share of predictions to send, 0 to 1"))
    if ratio and (baseline is None or baseline.prediction is None):
        faults.append(Fault("events", "need a baseline that knows the predictions", "give predictions= to Baseline.from_data"))
    return faults


def record_outcome(
    prediction_id: str,
    label: Any,
    *,
    model: str,
    source: str | None = None,
    value: float | None = None,
    logger_provider: LoggerProvider | None = None,
) -> None:
    """Say what turned out to be true for a prediction; sends an `ml.outcome` event through the OpenTelemetry logs pipeline.

    `label` is a class or a number, in the form that the training labels had; `source` says who found it out, and `value` what
    the decision was worth, below 0 what it cost. The event needs a `LoggerProvider` with an
    exporter that reaches the companion exporter, directly or through a Collector; where there is none, a warning says so.
    Raises `ValueError` for an empty id or model, a missing label, several of either, or a value that is not finite.
    """
    if any(isinstance(given, Collection) and not isinstance(given, str | bytes) for given in (prediction_id, label)):
        raise ValueError("record_outcome takes one prediction's id and one label; call it for each of several")
    if value is not None and not is_number(value):
        raise ValueError(f"record_outcome needs a finite value or none, got {value!r}")
    if not prediction_id or not model or is_missing(label):
        raise ValueError("record_outcome needs the prediction's id, a label that is not missing, and the model's name")
    provider = logger_provider or get_logger_provider()
    if type(provider).__module__.startswith("opentelemetry._logs"):
        logger.warning(
            "the outcome of prediction %s goes nowhere: no OpenTelemetry LoggerProvider is configured; set one up, or POST it to the "
            "exporter's /v1/outcomes",
            prediction_id,
        )
        return
    content: dict[str, Any] = {names.MODEL_NAME: str(model), names.PREDICTION_ID: str(prediction_id), names.OUTCOME_LABEL: label_of(label)}
    content |= {names.OUTCOME_SOURCE: str(source)} if source else {}
    content |= {} if value is None else {names.OUTCOME_VALUE: float(value)}
    _emit(get_logger(names.SCOPE, __version__, provider, names.SCHEMA_URL), names.EVENT_OUTCOME, content, get_current())


def _emit(to: Logger, event: str, content: dict[str, Any], context: Context) -> None:
    now = time.time_ns()
    to.emit(
        LogRecord(
            timestamp=now,
            observed_timestamp=now,
            severity_number=SeverityNumber.INFO,
            event_name=event,
            attributes=content,
            context=context,
        )
    )
