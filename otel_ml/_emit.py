"""From counts to OpenTelemetry: every instrument is made here, once for each meter provider.

The series of a baseline's features come from Meters of their own for each model and version, as many as it takes for none to exceed
the SDK's budget of 2,000 series, beyond which the SDK merges. Everything else shares one Meter: `PrometheusMetricReader` takes the label
names of a metric from the first Meter it meets, so a metric whose attributes differ between models must not be spread over several. For
that the Meters of features differ in the values of what describes them, in the name of their scope, and not in what does.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation, get_meter_provider

from otel_ml import catalogue as names
from otel_ml._counts import Counts
from otel_ml._forks import renew_in_children
from otel_ml._layout import Layout, Series
from otel_ml._version import __version__
from otel_ml.catalogue import Metric
from otel_ml.errors import ConfigurationError, Fault

DURATION_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_SHARED = (
    names.INFERENCE_ROWS,
    names.PREDICTION_OBSERVATIONS,
    names.OUTPUT_OBSERVATIONS,
    names.CONFIDENCE_OBSERVATIONS,
    names.ENERGY_OBSERVATIONS,
    names.OUTLIER_OBSERVATIONS,
    names.PREDICTION_ABSTENTIONS,
    names.SHADOW_COMPARISONS,
    names.MONITOR_DROPPED,
)
_PER_MODEL = (names.FEATURE_OBSERVATIONS, names.FEATURE_VIOLATIONS)
_Model = tuple[str, ...]


class Owners:
    """Who counts for one model, version and baseline; what a vanished owner counted stays.

    `verified` is what came of the golden records the last time; it is replaced as a whole, and empty before the first time.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.verified: Mapping[str, int] = {}
        self._present: list[Counts] = []
        self._gone: deque[Counts] = deque()
        self._past: Counts | None = None
        renew_in_children(self)

    def renew(self) -> None:
        """Make a lock; the counts renew themselves."""
        self._lock = threading.RLock()

    def join(self, counts: Counts) -> None:
        """Count together with those who are there."""
        with self._lock:
            self._present.append(counts)
            self._everybody()

    def leave(self, counts: Counts) -> None:
        """Called by the garbage collector, at any point of any thread: takes no lock."""
        self._gone.append(counts)

    @property
    def abandoned(self) -> bool:
        """Whether nobody counts here any more."""
        return len(self._gone) >= len(self._present)

    def values(self) -> npt.NDArray[np.int64]:
        """Everybody's counts together; see the layout for the places."""
        with self._lock:
            return sum((counts.read() for counts in self._everybody()), start=np.zeros(self.layout.size, dtype=np.int64))

    def errors(self) -> Counter[str]:
        """Everybody's faults together, by `error.type`."""
        with self._lock:
            return sum((Counter(counts.guard.counts()) for counts in self._everybody()), start=Counter())

    def _everybody(self) -> list[Counts]:
        """Those who count and, as one, those who did; called under the lock, so that nobody is read on both sides."""
        while self._gone:
            gone = self._gone.popleft()
            self._present.remove(gone)
            if self._past is None:
                self._past = gone
            else:
                self._past.merge(gone)
        return self._present if self._past is None else [*self._present, self._past]


class Emitter:
    """The instruments of one meter provider and the counts they report."""

    def __init__(self, provider: MeterProvider) -> None:
        self._provider = weakref.ref(provider)
        self._owners: dict[_Model, Owners] = {}
        self._meters: Counter[_Model] = Counter()
        renew_in_children(self)
        meter = provider.get_meter(names.SCOPE, __version__, names.SCHEMA_URL)
        duration = names.INFERENCE_DURATION
        self.duration: Histogram = meter.create_histogram(
            duration.name, duration.unit, duration.brief, explicit_bucket_boundaries_advisory=DURATION_BOUNDS
        )
        for metric in _SHARED:
            self._observable(meter, metric, partial(self._observe, metric))
        info, verified, errors = names.MODEL_INFO, names.VERIFICATION_RECORDS, names.MONITOR_ERRORS
        meter.create_observable_gauge(info.name, [self._observe_info], info.unit, info.brief)
        meter.create_observable_gauge(verified.name, [self._observe_verified], verified.unit, verified.brief)
        meter.create_observable_counter(errors.name, [self._observe_errors], errors.unit, errors.brief)

    def renew(self) -> None:
        """Make a lock; the counts renew themselves."""
        self._lock = threading.RLock()

    def register(self, counts: Counts) -> Owners:
        """Report `counts` from now on; raises `ConfigurationError` when the version is watched otherwise already."""
        identity = counts.layout.identity
        model = identity[:2]
        with self._lock:
            owners = self._owners.get(model)
            new = owners is None or owners.layout.identity != identity
            if owners is None or new:
                if owners is not None and not owners.abandoned:
                    raise _second(owners.layout, counts.layout)
                owners = self._owners[model] = Owners(counts.layout)
            owners.join(counts)
            first, parts = self._meters[model], max(len(_feature_parts(owners.layout, metric)) for metric in _PER_MODEL) if new else 0
            self._meters[model] += parts
        for part in range(parts):  # outside the lock: a callback takes it, and the SDK runs callbacks under locks of its own
            self._add_part(owners, part, first + part)
        return owners

    def _add_part(self, owners: Owners, part: int, place: int) -> None:
        """A Meter that is new, because in one that another baseline used the SDK still counts the other's series."""
        provider = self._provider()
        if provider is None:
            return
        scope = f"{names.SCOPE}.{place + 1}" if place else names.SCOPE
        meter = provider.get_meter(scope, __version__, names.SCHEMA_URL, attributes=dict(owners.layout.model_attributes))
        for metric in _PER_MODEL:
            self._observable(meter, metric, partial(self._observe_part, weakref.ref(owners), metric, part))

    def _observable(self, meter: Meter, metric: Metric, callback: Callable[[CallbackOptions], Iterator[Observation]]) -> None:
        meter.create_observable_counter(metric.name, [callback], metric.unit, metric.brief)

    def _everybody(self) -> list[Owners]:
        with self._lock:
            return list(self._owners.values())

    def _observe(self, metric: Metric, _: CallbackOptions) -> Iterator[Observation]:
        for owners in self._everybody():
            series = owners.layout.series.get(metric)
            if series is not None:
                yield from _observations(owners, series)

    def _observe_part(self, owners: weakref.ref[Owners], metric: Metric, part: int, _: CallbackOptions) -> Iterator[Observation]:
        """Empty once another baseline of the version took the place, and where the other metric alone needs as many parts."""
        for present in self._everybody():
            if present is owners():
                for series in _feature_parts(present.layout, metric)[part : part + 1]:
                    yield from _observations(present, series)

    def _observe_info(self, _: CallbackOptions) -> Iterable[Observation]:
        for owners in self._everybody():
            baseline = owners.layout.baseline
            task = baseline.task if baseline is not None else None
            yield Observation(
                1, {**owners.layout.binned_attributes, names.MODEL_ROLE: owners.layout.role} | ({names.MODEL_TASK: task} if task else {})
            )

    def _observe_verified(self, _: CallbackOptions) -> Iterable[Observation]:
        for owners in self._everybody():
            for result, records in owners.verified.items():
                yield Observation(records, {**owners.layout.model_attributes, names.VERIFICATION_RESULT: result})

    def _observe_errors(self, _: CallbackOptions) -> Iterable[Observation]:
        for owners in self._everybody():
            for kind, number in owners.errors().items():
                yield Observation(number, {**owners.layout.model_attributes, names.ERROR_TYPE: kind})


def _feature_parts(layout: Layout, metric: Metric) -> tuple[Series, ...]:
    series = layout.series.get(metric)
    return () if series is None else series.parts


def _observations(owners: Owners, series: Series) -> Iterator[Observation]:
    return map(Observation, owners.values()[series.start : series.stop].tolist(), series.attributes)


def _second(present: Layout, refused: Layout) -> ConfigurationError:
    """Why one version is not watched in two ways: its series would be neither."""
    name, version = refused.identity[:2]
    if present.binned_attributes != refused.binned_attributes:
        mend = "use one baseline for each version: give the second another version=, or the same file"
        other, mend = "another baseline", f"{mend}; in a notebook, del the old function first"
    elif present.role != refused.role:
        other, mend = f"the role {present.role!r}", f"give the {refused.role} another version=, or both the same role="
    else:
        other, mend = "other segments", "give both the same segments=, in the same order"
    fault = Fault(f"model {name!r} version {version!r}", f"is watched with {other} already in this process", mend)
    return ConfigurationError("the monitor", [fault])


class _Emitters:
    """The emitters of this process, one for each meter provider."""

    def __init__(self) -> None:
        self._of: weakref.WeakKeyDictionary[MeterProvider, Emitter] = weakref.WeakKeyDictionary()
        self._before_sdk: tuple[MeterProvider, Emitter] | None = None
        renew_in_children(self)

    def renew(self) -> None:
        self._lock = threading.RLock()

    def of(self, provider: MeterProvider | None) -> Emitter:
        """The emitter of a provider; the API hands what was made on its placeholder to the first real provider."""
        current = get_meter_provider()
        with self._lock:
            chosen = current if provider is None else provider
            if chosen is current and self._before_sdk is not None and chosen is not self._before_sdk[0]:
                self._of.setdefault(chosen, self._before_sdk[1])
                self._before_sdk = None
            if chosen not in self._of:
                self._of[chosen] = Emitter(chosen)
                if type(chosen).__module__.startswith("opentelemetry.metrics"):
                    self._before_sdk = chosen, self._of[chosen]
            return self._of[chosen]


_emitters: Final = _Emitters()


def emitter_for(provider: MeterProvider | None) -> Emitter:
    """The one emitter of a provider; None means the global provider, which may be configured later."""
    return _emitters.of(provider)
