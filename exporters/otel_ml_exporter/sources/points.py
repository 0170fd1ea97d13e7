"""The points of an OTLP request that count something: decoded, and named so that the next report finds its predecessor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from otel_ml.catalogue import DROP_OVERFLOW, DROP_UNUSABLE, OVERFLOW, Metric
from otel_ml_exporter.counts import COUNTED, Series, series

_COUNTED = {metric.name: metric for metric in COUNTED}
MAX_TEXT = 1_024
_NO_VALUE = otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


class Point(NamedTuple):
    """One number of one stream; `stream` names process, metric and attributes, and for a cumulative one its start.

    With its start in the name a restarted process is a new stream, and two processes that forgot `service.instance.id`
    are kept apart. Times are Unix nanoseconds.
    """

    stream: bytes
    series: Series
    time: int
    value: float
    delta: bool


class Dropped(NamedTuple):
    """A point that cannot be counted, and why."""

    reason: str


def points(request: ExportMetricsServiceRequest, now: int) -> Iterator[Point | Dropped]:
    """The points of the plugin's counters; everything else is passed over. `now` stands in for a point without a time."""
    for group in request.resource_metrics:
        resource = _identity(group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                known = _COUNTED.get(metric.name)
                if known is not None:
                    yield from _metric_points(known, metric, resource, now)


def _metric_points(known: Metric, metric: otlp.Metric, resource: bytes, now: int) -> Iterator[Point | Dropped]:
    kind = metric.sum.aggregation_temporality
    usable = metric.WhichOneof("data") == "sum" and kind != otlp.AGGREGATION_TEMPORALITY_UNSPECIFIED
    delta = kind == otlp.AGGREGATION_TEMPORALITY_DELTA
    for point in metric.sum.data_points:
        value = point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)
        attributes = {entry.key: plain(entry.value) for entry in point.attributes}
        found = series(known, {key: str(content) for key, content in attributes.items()})
        if attributes.get(OVERFLOW) is True:
            yield Dropped(DROP_OVERFLOW)
        elif not usable or found is None or not _storable(found) or not math.isfinite(value) or value < 0:
            yield Dropped(DROP_UNUSABLE)
        elif not point.flags & _NO_VALUE:
            start = b"" if delta else str(point.start_time_unix_nano).encode()
            stream = _digest(resource, known.name.encode(), start, _identity(point.attributes))
            yield Point(stream, found, point.time_unix_nano or now, value, delta)


_PLAIN = frozenset(("string_value", "int_value", "double_value", "bool_value"))


def plain(value: AnyValue) -> Any:
    """The value of an attribute: text, a number or a bool; None for anything else."""
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind in _PLAIN else None


def _storable(series: Series) -> bool:
    """Whether every database can hold the names, and memory many of them."""
    return all(len(field) <= MAX_TEXT and "\0" not in field for field in series)


def _identity(attributes: Iterable[KeyValue]) -> bytes:
    return _digest(*sorted(entry.SerializeToString(deterministic=True) for entry in attributes))


def _digest(*parts: bytes) -> bytes:
    """16 bytes that name the parts; each part's length keeps them apart."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()
