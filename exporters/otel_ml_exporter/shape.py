"""The first stage of reading a configuration: known fields, each of the right kind."""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from otel_ml.errors import Fault

T = TypeVar("T")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class UnfitError(ValueError):
    """A value that its field cannot hold: what is wrong with it, and how to mend it."""

    def __init__(self, problem: str, mend: str) -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(problem, mend)


class Section:
    """One mapping of the document; it adds each fault to `faults`, with its place, and goes on with a harmless value."""

    def __init__(self, value: Any, place: str, faults: list[Fault]) -> None:
        self.place = place
        self._faults = faults
        self._values: dict[Any, Any] = value if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            faults.append(Fault(place or "file", f"is {brief(value)}, not a mapping", "write `name: value` lines"))

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def fault(self, name: str, problem: str, mend: str) -> None:
        """Note that the field `name` is wrong."""
        self._faults.append(Fault(self.at(name), problem, mend))

    def at(self, name: str) -> str:
        """The place of a field of this section."""
        return f"{self.place}.{name}" if self.place else name

    def take(self, name: str, read: Callable[[Any], T], default: T) -> T:
        """The value of a field as `read` understands it; `default` where it is absent or unfit."""
        if name not in self._values:
            return default
        try:
            return read(self._values[name])
        except UnfitError as error:
            self.fault(name, error.problem, error.mend)
            return default

    def section(self, name: str) -> Section:
        """The mapping under a field; an absent one is empty."""
        return Section(self._values.get(name), self.at(name), self._faults)

    def sections(self, name: str) -> list[Section]:
        """The mappings of the list under a field."""
        entries = self._values.get(name)
        if not isinstance(entries, list) or not entries:
            self.fault(name, "is absent" if entries is None else f"is {brief(entries)}", "write a list with at least one entry")
            return []
        return [Section(entry, f"{self.at(name)}[{index}]", self._faults) for index, entry in enumerate(entries)]

    def texts(self) -> list[str]:
        """The names of the fields; one that is not a text is a fault."""
        for name in self._values:
            if not isinstance(name, str):
                self.fault(str(name), "is no text", f'write it in quotes, "{name}"')
        return [name for name in self._values if isinstance(name, str)]

    def only(self, known: Iterable[str]) -> None:
        """Note each field that is not `known`, with the name that it probably should be."""
        names = tuple(known)
        for name in self._values:
            if name not in names:
                near = difflib.get_close_matches(str(name), names, 1)
                self.fault(str(name), "is unknown", f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}")


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise UnfitError(f"is {brief(value)}", "write a text")
    return value


def duration(value: Any) -> float:
    """The seconds of a duration.

    >>> duration("5m"), duration("1.5h")
    (300.0, 5400.0)
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise UnfitError(f"is {brief(value)}, not a duration", "write it as 30s, 5m, 1h or 7d")
    return seconds


def number(least: float, greatest: float = math.inf) -> Callable[[Any], float]:
    """A reader of finite numbers within limits."""

    def read(value: Any) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        if not fits or not least <= value <= greatest:
            limits = f"of at least {least:g}" if greatest == math.inf else f"from {least:g} to {greatest:g}"
            raise UnfitError(f"is {brief(value)}", f"give a number {limits}")
        return float(value)

    return read


def switch(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise UnfitError(f"is {brief(value)}", "write true or false")
    return value


def whole(least: int) -> Callable[[Any], int]:
    """A reader of whole numbers."""

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UnfitError(f"is {brief(value)}", f"give a whole number of at least {least}")
        return value

    return read


def finite(text: str, greatest: float) -> float | None:
    """The number that a text is; None where it is none, or one of a greater magnitude.

    >>> finite("2.5", 100), finite("JFK", 100), finite("nan", 100)
    (2.5, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= greatest else None


def is_header(name: str, value: str) -> bool:
    """Whether HTTP can carry a header.

    >>> is_header("X-Scope-OrgID", "team-a"), is_header("X Y", "a"), is_header("X", chr(10))
    (True, False, False)
    """
    return bool(_HEADER.fullmatch(name)) and value.isascii() and value.isprintable()


def brief(value: Any) -> str:
    """A value as a message shows it."""
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:39] + "…"
