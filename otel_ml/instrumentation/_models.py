"""From a model object to the monitor that counts for it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from otel_ml._guard import OTHER_ERROR, logger
from otel_ml.errors import ConfigurationError, Fault, FaultsError
from otel_ml.instrumentation._config import BASELINE, MODELS, Entry, Facts, read
from otel_ml.monitor import Monitor

TAG: Final = "otel_ml_model"
"""The attribute by which a model object may say whose it is: `model.otel_ml_model = "churn"`, or `"churn:3"`."""

UNKNOWN_VERSION: Final = "unknown"
MAX_UNKNOWN: Final = 50
"""So many models without an entry get a name of their own; all further ones share `_OTHER`."""


class Watch(NamedTuple):
    """Who counts a model; `method` is the one whose calls do, None for the usual ones of the framework."""

    monitor: Monitor
    method: str | None = None


class Models:
    """The models of this process: those of the configuration, and under the name of their class all others."""

    def __init__(self, entries: tuple[Entry, ...], providers: Mapping[str, Any]) -> None:
        self._providers = providers
        faults: list[Fault] = []
        self._entries = [(entry, watch) for entry in entries if (watch := self._configured(entry, faults)) is not None]
        if faults:
            raise ConfigurationError("the configuration of models", faults)
        self._unknown: dict[str, Watch] = {}
        self._known: dict[int, tuple[weakref.ref[Any], Watch]] = {}

    def watch(self, model: Any, facts: Callable[[], Facts]) -> Watch:
        """How `model` is counted; decided at its first call, and remembered as long as it lives."""
        known = self._known.get(id(model))
        if known is not None and known[0]() is model:
            return known[1]
        watch = self._find(getattr(model, TAG, None), facts())
        if watch.method is not None and not hasattr(model, watch.method):
            logger.warning("%s has no method %r, which its entry says to count: it is not watched", type(model).__name__, watch.method)
        try:
            number, models = id(model), self._known
            self._known[number] = (weakref.ref(model, lambda _: models.pop(number, None)), watch)
        except TypeError:
            pass  # it cannot be referred to weakly, so it is looked up at each call
        return watch

    def _configured(self, entry: Entry, faults: list[Fault]) -> Watch | None:
        try:
            return Watch(Monitor(entry.baseline, **entry.options, **self._providers), entry.method)
        except FaultsError as error:
            faults += [Fault(f"{entry.place}.{fault.place}", fault.problem, fault.mend) for fault in error.faults]
        except (TypeError, ValueError) as error:
            faults.append(Fault(entry.place, f"has an option of a wrong value ({error})", "see the options of otel_ml.Monitor"))
        return None

    def _find(self, tag: Any, facts: Facts) -> Watch:
        for entry, watch in self._entries:
            monitor = watch.monitor
            named = isinstance(tag, str) and tag in (monitor.model, f"{monitor.model}:{monitor.version}")
            if named or (not isinstance(tag, str) and entry.fits(facts)):
                return watch
        name = tag if isinstance(tag, str) else facts.classes[0]
        if name not in self._unknown and len(self._unknown) >= MAX_UNKNOWN:
            name = OTHER_ERROR
        if name not in self._unknown:
            if self._entries:
                logger.warning("%s of %s fits no configured model (%s); it is counted without a baseline", name, facts.framework, facts)
            self._unknown[name] = Watch(Monitor(model=name, version=UNKNOWN_VERSION, **self._providers))
        return self._unknown[name]


_shared: weakref.WeakValueDictionary[tuple[Any, ...], Models] = weakref.WeakValueDictionary()


def models_of(providers: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Models:
    """The models that the environment configures, the same for all frameworks; raises `ConfigurationError`.

    `providers` are options of `Monitor`: `meter_provider`, `logger_provider`, `tracer_provider`.
    """
    key = (environment.get(MODELS), environment.get(BASELINE), *(providers[name] for name in sorted(providers)))
    models = _shared.get(key)
    if models is None:
        models = _shared[key] = Models(read(environment), providers)
    return models


def columns_of(data: Any) -> int | None:
    """The number of features that an input has, for models that do not know it; None where the input does not tell."""
    shape: Any = getattr(data, "shape", ())
    return int(shape[1]) if len(shape) == 2 else None
