"""Durations as Prometheus and Alertmanager write them: `90s`, `1h30m`, `500ms`."""

from __future__ import annotations

import re
from typing import Final

_MILLISECONDS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_WHOLE: Final = re.compile(r"(?=\d)(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?")
_PART: Final = re.compile(r"(\d+)(ms|[wdhms])")


def is_duration(text: str) -> bool:
    """Whether `text` is a duration: each unit at most once, the largest first."""
    return _WHOLE.fullmatch(text) is not None


def milliseconds(text: str) -> int:
    """The length of a duration.

    >>> milliseconds("1h30m")
    5400000
    """
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in _PART.findall(text))


def seconds(text: str) -> float:
    """The length of a duration in seconds."""
    return milliseconds(text) / 1000


def scaled(text: str, factor: float) -> str:
    """The duration times `factor`, at least a millisecond, in the largest unit that divides it.

    >>> scaled("15m", 1), scaled("15m", 0.01), scaled("0s", 2)
    ('15m', '9s', '0s')
    """
    return written(max(1, round(milliseconds(text) * factor))) if milliseconds(text) else "0s"


def written(length: int) -> str:
    """A number of milliseconds as a duration, in the largest unit below a week that divides it.

    >>> written(315_000)
    '315s'
    """
    unit, size = next((unit, size) for unit, size in _MILLISECONDS.items() if unit != "w" and length % size == 0)
    return f"{length // size}{unit}"
