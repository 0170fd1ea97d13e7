"""What a single value means: whether it is missing, whether it is a number, and the category it names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_LABEL = 100


class Absent:
    """Stands for a column that the input does not have; there is one instance."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = Absent()


def is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas.NA: anything that is not equal to itself."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - what is not equal to itself is missing
    except Exception:  # noqa: BLE001 - an array has no truth, pandas.NA neither, and a user's __ne__ may raise anything
        return type(value).__name__ == "NAType"


def label_of(value: Any) -> str:
    """The category that a value names, the same for `3`, `3.0` and `numpy.int64(3)`.

    >>> label_of(3.0), label_of(True), label_of("JFK")
    ('3', 'True', 'JFK')
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, float | np.floating) and math.isfinite(value) and value == int(value):
        text = str(int(value))
    elif isinstance(value, bytes):
        text = value[: 4 * MAX_LABEL].decode("utf-8", "replace")
    else:
        text = _text_of(value)
    if len(text) > MAX_LABEL:
        text = text[: MAX_LABEL - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()  # a lone surrogate could not be exported


def _text_of(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an int of many digits has no text, and a user's __str__ may raise anything
        return type(value).__name__


def is_number(value: Any) -> bool:
    """Whether a value counts as a number; a bool is a category."""
    return isinstance(value, int | float | np.integer | np.floating | Decimal | Fraction) and not isinstance(value, bool)


def as_numbers(values: Iterable[Any]) -> tuple[npt.NDArray[np.float64], int]:
    """`values` as floats, NaN where missing or not a number, and how many were not numbers.

    A bool counts as 0 or 1, as numpy has it. Text is never read as a number, even where it looks like one.
    """
    numbers: list[float] = []
    strangers = 0
    for value in values:
        number = math.nan
        if not is_missing(value):
            number = _from_scalar(value)
            strangers += math.isnan(number)
        numbers.append(number)
    return np.array(numbers, dtype=np.float64), strangers


def _from_scalar(value: Any) -> float:
    """Whatever has a float as one, infinite where it is too large; NaN for anything else, and for text."""
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:  # noqa: BLE001 - a user's __float__ may raise anything
        return math.nan
