"""The sampled rows of all models: taken from events, and compared with the baseline's sample every few minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ml import catalogue as names
from otel_ml_exporter.baselines import Watched
from otel_ml_exporter.config import RowSettings, Window
from otel_ml_exporter.evaluate import Reading
from otel_ml_exporter.evaluate.rows import row_readings
from otel_ml_exporter.rows.codes import Coder
from otel_ml_exporter.rows.reservoir import Reservoir
from otel_ml_exporter.sources.points import plain

_Key = tuple[str | None, ...]


@dataclass
class _Kept:
    """What is kept of one baseline: how to read its rows, the rows, and the last readings with their time."""

    coder: Coder
    reservoir: Reservoir
    readings: tuple[Reading, ...] = ()
    due: float = field(default=float("-inf"))


class SampledRows:
    """Keeps rows in memory only, and only those of models whose baseline has a sample to compare them with."""

    def __init__(self, settings: RowSettings, windows: Sequence[Window]) -> None:
        self._settings = settings
        self._windows = windows
        self._kept: Mapping[_Key, _Kept] = {}

    def watch(self, models: Iterable[Watched]) -> None:
        """Keep the rows of these models from now on, and forget those of others."""
        self._kept = {
            key: self._kept.get(key) or _Kept(Coder(watched.baseline), Reservoir(self._settings.keep))
            for watched in models
            if watched.sample is not None
            for key in [(*watched.key, watched.baseline.fingerprint)]
        }

    def take(self, request: ExportLogsServiceRequest, now: float) -> None:
        """Keep the rows among log records; a record that holds none is passed over."""
        if self._kept:
            for group in request.resource_logs:
                for scope in group.scope_logs:
                    for record in scope.log_records:
                        self._take(record, now)

    def _take(self, record: LogRecord, now: float) -> None:
        found = {entry.key: entry.value for entry in record.attributes}
        features = found.get(names.PREDICTION_FEATURES)
        if features is None or not features.HasField("kvlist_value"):
            return
        model, version, fingerprint, weight = (
            plain(found[name]) if name in found else None
            for name in (names.MODEL_NAME, names.MODEL_VERSION, names.BASELINE_ID, names.PREDICTION_WEIGHT)
        )
        kept = self._kept.get((model, version, fingerprint))
        if kept is not None:
            time = (record.time_unix_nano or record.observed_time_unix_nano) / 1e9
            stands_for = weight if isinstance(weight, int | float) and 0 < weight < float("inf") else 1.0
            kept.reservoir.add(min(time, now) if time else now, kept.coder.row(_plain(features.kvlist_value.values)), stands_for)

    def readings(self, watched: Watched, at: float) -> tuple[Reading, ...]:
        """What the rows of a model say; computed again when the last time is long enough ago."""
        kept = self._kept.get((*watched.key, watched.baseline.fingerprint))
        if kept is None or watched.sample is None:
            return ()
        if at >= kept.due:
            kept.reservoir.forget(at - self._windows[-1].seconds)
            width = len(watched.baseline.features)
            kept.readings = tuple(
                reading
                for window in self._windows
                for rows in [kept.reservoir.sample(at - window.seconds, width)]
                for reading in row_readings(watched.baseline, watched.sample, rows, window.label, watched.limits)
            )
            kept.due = at + self._settings.interval
        return kept.readings


def _plain(values: Iterable[KeyValue]) -> dict[str, Any]:
    return {entry.key: plain(entry.value) for entry in values}
