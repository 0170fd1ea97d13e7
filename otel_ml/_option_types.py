"""What the options of a monitor may be: faults of their types are told by name before anything is made of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from otel_ml.baseline import Baseline
from otel_ml.errors import Fault


def _is_texts(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping) and all(isinstance(each, str) for each in value)


def _is_names(value: Any) -> bool:
    return value is None or callable(value) or isinstance(value, str)


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "baseline": (lambda value: value is None or isinstance(value, str | Path | Baseline), "give a path, or a Baseline"),
    "inputs": (lambda value: _is_names(value) or _is_texts(value), "give the name of a parameter, several names, or a function"),
    "output": (lambda value: value is None or callable(value), "give a function of the answer"),
    "invalid": (_is_texts, 'give a list of violations, such as ["missing"]'),
    "events": (lambda value: isinstance(value, Real), "give the share of predictions to send, 0 to 1"),
    "event_features": (lambda value: isinstance(value, bool | str) or _is_texts(value), "give True, or a list of features"),
    "hash_features": (_is_texts, "give a list of features"),
    "segment": (_is_names, "give a column, or a function of the input"),
    "prediction_ids": (_is_names, "give the name of a parameter, or a function of the call's arguments"),
    "meter_provider": (lambda value: value is None or hasattr(value, "get_meter"), "give a MeterProvider"),
    "logger_provider": (lambda value: value is None or hasattr(value, "get_logger"), "give a LoggerProvider"),
    "tracer_provider": (lambda value: value is None or hasattr(value, "get_tracer"), "give a TracerProvider"),
}


def type_faults(options: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault for each option that cannot be what it is given as."""
    for name, (fits, mend) in _RULES.items():
        if not fits(options[name]):
            yield Fault(name, f"is {options[name]!r:.80}", mend)
