"""From counts to OpenTelemetry: every instrument is made here, once for each meter provider.

The series of a baseline's features come from a Meter of their own for each model and version, so that each has the SDK's
budget of 2,000 series to itself. Everything else shares one Meter: `PrometheusMetricReader` takes the label names of a metric
from the first Meter it meets, so a metric whose attributes differ between models must not be spread over several.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation, get_meter_provider

from otel_ml import catalogue as names
from otel_ml._counts import Counts
from otel_ml._guard import logger
from otel_ml._version import __version__
from otel_ml.catalogue import Metric
from otel_ml.errors import ConfigurationError, Fault

SERIES_BUDGET: Final = 2_000
"""Series of one instrument that the OpenTelemetry SDK keeps apart by default."""

DURATION_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_SHARED = (
    names.INFERENCE_ROWS,
    names.PREDICTION_OBSERVATIONS,
    names.CONFIDENCE_OBSERVATIONS,
    names.OUTLIER_OBSERVATIONS,
    names.MONITOR_DROPPED,
)
_PER_MODEL = (names.FEATURE_OBSERVATIONS, names.FEATURE_VIOLATIONS)
_Identity = tuple[str, ...]


class Owners:
    """Who counts for one model, version and baseline; what a vanished owner counted stays."""

    def __init__(self, role: str) -> None:
        self.role = role
        self._lock = threading.Lock()
        self._counts: list[Counts] = []
        self._gone: deque[Counts] = deque()

    def join(self, counts: Counts) -> None:
        """Count together with those who are there."""
        with self._lock:
            self._counts.append(counts)

    def leave(self, counts: Counts) -> None:
        """Called by the garbage collector, at any point of any thread: takes no lock."""
        self._gone.append(counts)

    @property
    def abandoned(self) -> bool:
        """Whether nobody counts here any more."""
        return len(self._gone) >= len(self._counts)

    def counts(self) -> tuple[Counts, ...]:
        """Everybody's counts, at least one; those who left are merged into it."""
        with self._lock:
            while self._gone and len(self._counts) > 1:
                gone = self._gone.popleft()
                self._counts.remove(gone)
                self._counts[0].merge(gone)
            return tuple(self._counts)


class Emitter:
    """The instruments of one meter provider and the counts they report."""

    def __init__(self, provider: MeterProvider) -> None:
        self._provider = weakref.ref(provider)
        self._lock = threading.Lock()
        self._owners: dict[_Identity, Owners] = {}
        self._models: set[_Identity] = set()
        meter = provider.get_meter(names.SCOPE, __version__)
        duration = names.INFERENCE_DURATION
        self.duration: Histogram = meter.create_histogram(
            duration.name, duration.unit, duration.brief, explicit_bucket_boundaries_advisory=DURATION_BOUNDS
        )
        for metric in _SHARED:
            self._observable(meter, metric, None)
        info, errors = names.MODEL_INFO, names.MONITOR_ERRORS
        meter.create_observable_gauge(info.name, [self._observe_info], info.unit, info.brief)
        meter.create_observable_counter(errors.name, [self._observe_errors], errors.unit, errors.brief)

    def register(self, counts: Counts, role: str) -> Owners:
        """Report `counts` from now on; raises `ConfigurationError` when the version is watched with another baseline."""
        identity = counts.layout.identity
        model = identity[:2]
        with self._lock:
            for other in [other for other in self._owners if other[:2] == model and other != identity]:
                if not self._owners[other].abandoned:
                    raise _second_baseline(model)
                del self._owners[other]
            owners = self._owners.setdefault(identity, Owners(role))
            owners.join(counts)
            new = model not in self._models and counts.layout.baseline is not None
            if new:
                self._models.add(model)
        if new:  # outside the lock: a callback takes it, and the SDK runs callbacks under locks of its own
            self._add_model(counts)
        return owners

    def _add_model(self, counts: Counts) -> None:
        provider = self._provider()
        if provider is None:
            return
        self._check_budget(counts)
        meter = provider.get_meter(names.SCOPE, __version__, attributes=dict(counts.layout.model_attributes))
        for metric in _PER_MODEL:
            self._observable(meter, metric, counts.layout.identity[:2])

    def _check_budget(self, counts: Counts) -> None:
        series = len(counts.layout.series[names.FEATURE_OBSERVATIONS].attributes)
        if series > SERIES_BUDGET:
            logger.warning(
                "model %s %s has %d feature series; the OpenTelemetry SDK merges what exceeds %d into one. Pass "
                "cardinality_limits={ObservableCounter: %d} to the metric reader, or build the baseline with fewer bins or features.",
                *counts.layout.identity[:2],
                series,
                SERIES_BUDGET,
                series,
            )

    def _observable(self, meter: Meter, metric: Metric, only: _Identity | None) -> None:
        meter.create_observable_counter(metric.name, [partial(self._observe, metric, only)], metric.unit, metric.brief)

    def _everybody(self, only: _Identity | None) -> list[Owners]:
        with self._lock:
            return [owners for identity, owners in self._owners.items() if only is None or identity[:2] == only]

    def _observe(self, metric: Metric, only: _Identity | None, _: CallbackOptions) -> Iterator[Observation]:
        for owners in self._everybody(only):
            together = owners.counts()
            series = together[0].layout.series.get(metric)
            if series is not None:
                values = sum(counts.read()[series.start : series.stop] for counts in together)
                yield from map(Observation, values.tolist(), series.attributes)  # type: ignore[union-attr]

    def _observe_info(self, _: CallbackOptions) -> Iterable[Observation]:
        for owners in self._everybody(None):
            layout = owners.counts()[0].layout
            task = layout.baseline.task if layout.baseline is not None else None
            yield Observation(1, {**layout.binned_attributes, names.MODEL_ROLE: owners.role} | ({names.MODEL_TASK: task} if task else {}))

    def _observe_errors(self, _: CallbackOptions) -> Iterable[Observation]:
        for owners in self._everybody(None):
            for counts in owners.counts():
                for kind, number in counts.guard.counts().items():
                    yield Observation(number, {**counts.layout.model_attributes, names.ERROR_TYPE: kind})


def _second_baseline(model: tuple[str, ...]) -> ConfigurationError:
    name, version = model
    fault = Fault(
        f"model {name!r} version {version!r}",
        "is watched with another baseline already in this process",
        "use one baseline for each version: give the second another version=, or pass the same file",
    )
    return ConfigurationError("the monitor", [fault])


_emitters: weakref.WeakKeyDictionary[MeterProvider, Emitter] = weakref.WeakKeyDictionary()
_emitters_lock = threading.Lock()
_before_sdk: list[tuple[MeterProvider, Emitter]] = []
"""The emitter made on the API's placeholder, whose instruments the API hands to the first real provider."""


def emitter_for(provider: MeterProvider | None) -> Emitter:
    """The one emitter of a provider; None means the global provider, which may be configured later."""
    current = get_meter_provider()
    with _emitters_lock:
        chosen = current if provider is None else provider
        if chosen is current and _before_sdk and chosen is not _before_sdk[0][0]:
            _emitters.setdefault(chosen, _before_sdk.pop()[1])
        if chosen not in _emitters:
            _emitters[chosen] = Emitter(chosen)
            if type(chosen).__module__.startswith("opentelemetry.metrics"):
                _before_sdk[:] = [(chosen, _emitters[chosen])]
        return _emitters[chosen]
