"""What options may be: faults of their types are told by name before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Final, TypeGuard

from otel_ml.baseline import Baseline
from otel_ml.errors import Fault

Check = Callable[[Any], bool]
Rules = Mapping[str, tuple[Check, str]]
"""For each option: whether a value is of its type, and what to give instead."""


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _is_texts(value: Any) -> bool:
    return _is_list(value) and all(isinstance(each, str) for each in value)


def _is_columns(value: Any) -> bool:
    """Names of columns, which pandas also has as numbers."""
    return _is_list(value) and all(isinstance(each, str | Integral) for each in value)


def _is_name_or_function(value: Any) -> bool:
    return isinstance(value, str) or callable(value)


def _is_identity(value: Any) -> bool:
    """A name or a version: a text, a number, a date."""
    return isinstance(value, str) or not (value is None or isinstance(value, bool | Collection))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a limit or a weight is a number: finite, and no boolean."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _is_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(is_number, value.values()))


OF_MONITOR: Final[Rules] = {
    "baseline": (_or_none(lambda value: isinstance(value, str | Path | Baseline)), "give a path, or a Baseline"),
    "model": (_or_none(_is_identity), "give a name, such as 'churn'"),
    "version": (_or_none(_is_identity), "give a version, such as '3'"),
    "inputs": (
        _or_none(lambda value: _is_name_or_function(value) or (_is_texts(value) and len(value) > 0)),
        "give the name of a parameter, several names, or a function",
    ),
    "output": (_or_none(callable), "give a function of the answer"),
    "invalid": (_is_texts, 'give a list of violations, such as ["missing"]'),
    "events": (lambda value: isinstance(value, Real), "give the share of predictions to send, 0 to 1"),
    "event_features": (lambda value: isinstance(value, bool | str) or _is_texts(value), "give True, or a list of features"),
    "hash_features": (_is_texts, "give a list of features"),
    "segment": (_or_none(_is_name_or_function), "give a column, or a function of the input"),
    "segments": (_or_none(_is_list), 'name the values that segment may have, as in segments=["eu", "us"]'),
    "prediction_ids": (_or_none(_is_name_or_function), "give the name of a parameter, or a function of the call's arguments"),
    "meter_provider": (_or_none(lambda value: hasattr(value, "get_meter")), "give a MeterProvider"),
    "logger_provider": (_or_none(lambda value: hasattr(value, "get_logger")), "give a LoggerProvider"),
    "tracer_provider": (_or_none(lambda value: hasattr(value, "get_tracer")), "give a TracerProvider"),
}

OF_VERIFICATION: Final[Rules] = {
    "predict": (callable, "give the function or method that predicts, such as model.predict_proba"),
    "transform": (_or_none(callable), "give a function from the input to the model's features"),
    "tolerance": (lambda value: is_number(value) and value >= 0, "give how far numbers may differ, such as 1e-4"),
}

OF_SHADOW: Final[Rules] = {
    "primary": (callable, "give the function or method that predicts, such as model.predict_proba"),
    "agree": (_or_none(callable), "give a function of both answers"),
    "workers": (_is_count, "give a whole number greater than 0"),
    "queue": (_is_count, "give a whole number greater than 0"),
    "timeout": (lambda value: is_number(value) and value > 0, "give a number of seconds greater than 0"),
}

OF_BASELINE: Final[Rules] = {
    "read": (callable, "give a function that gives the batches"),
    "model": (_is_identity, "name the model, such as model='churn'"),
    "version": (_is_identity, "give the version, such as version='3'"),
    "feature_names": (_or_none(_is_columns), 'give a list of names, such as ["age", "plan"]'),
    "categorical": (
        lambda value: _is_columns(value) or (isinstance(value, Iterable) and not isinstance(value, Collection)),
        'give a list of columns, such as ["plan"]',
    ),
    "schema": (_or_none(lambda value: isinstance(value, Mapping)), 'give a mapping of columns, such as {"age": {"minimum": 0}}'),
    "importance": (_or_none(_is_weights), 'give a mapping of columns to numbers, such as {"age": 0.6, "plan": 0.4}'),
    "predict": (_or_none(callable), "give the function that predicts, such as model.predict_proba"),
    "classes": (
        _or_none(lambda value: _is_list(value) and not isinstance(value, set | frozenset)),
        'give a list, the positive class last, such as ["no", "yes"]',
    ),
    "threshold": (lambda value: is_number(value) and 0 <= value <= 1, "give a probability, 0 to 1"),
    "bins": (_is_whole, "give a whole number, 2 to 100"),
    "like": (_or_none(lambda value: isinstance(value, Baseline)), 'give a Baseline, such as Baseline.load("churn-3.json")'),
    "logits": (lambda value: isinstance(value, bool), "give True or False"),
    "sample": (_is_count, "give how many rows to draw, at least 1"),
    "golden": (lambda value: _is_whole(value) and value >= 0, "give how many rows to keep, such as 24"),
    "transform": (_or_none(callable), "give a function from the input to the model's features"),
}


def type_faults(options: Mapping[str, Any], rules: Rules) -> Iterator[Fault]:
    """A fault for each option that cannot be what it is given as."""
    for name, (fits, mend) in rules.items():
        if name in options and not fits(options[name]):
            yield Fault(name, f"is {' '.join(repr(options[name]).split()):.80}", mend)
