"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from otel_ml import Baseline, BaselineError, ConfigurationError
from otel_ml_exporter import shape
from otel_ml_exporter.shape import T, UnfitError

_LONGEST = 10 * 365 * 86_400.0
_LATEST = 253_402_300_799.0
"""The end of the year 9999, the last that dates can say."""


def _kind(read: Callable[[str], T]) -> Callable[[str], T]:
    """A reader of a configuration's values as a reader of an argument."""

    def argument(text: str) -> T:
        try:
            return read(text)
        except UnfitError as error:
            raise argparse.ArgumentTypeError(f"{error.problem}; {error.mend}") from None

    return argument


def _seconds(text: str) -> float:
    length = shape.duration(text)
    if length > _LONGEST:
        raise UnfitError(f"is {text!r}", "ten years are the most")
    return length


def _moment(text: str) -> float:
    from otel_ml_exporter.prometheus import unix

    at = shape.finite(text, _LATEST) or unix(text)
    if at <= 0:
        raise UnfitError(f"{text!r} is no time", "write 2026-01-31T12:00:00Z or Unix seconds")
    return at


seconds = _kind(_seconds)
"""A duration of at most ten years."""
moment = _kind(_moment)
"""A time: Unix seconds, or RFC 3339."""
said = _kind(shape.text)
"""A text that is not empty."""


def number(least: float, greatest: float = math.inf) -> Callable[[str], float]:
    """A finite number within limits."""

    def read(text: str) -> float:
        value = shape.finite(text, math.inf)
        return shape.number(least, greatest)(text if value is None else value)

    return _kind(read)


def whole(least: int) -> Callable[[str], int]:
    """A whole number."""

    def read(text: str) -> int:
        return shape.whole(least)(int(text) if text.isdecimal() else text)

    return _kind(read)


def baseline(path: Path | None) -> Baseline | None:
    """The baseline that an option names. Raises `ConfigurationError`: a file that cannot be used is no answer about a model."""
    try:
        return Baseline.load(path) if path else None
    except BaselineError as error:
        raise ConfigurationError(error.subject, error.faults) from error
