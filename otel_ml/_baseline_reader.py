"""A walk through a JSON document that ends with every fault, not with the first."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from otel_ml.errors import Fault

REBUILD = "build the baseline again with this version of otel-ml"


class Reader:
    """A walk through a JSON document that notes each fault with its place and goes on with a harmless value."""

    def __init__(self, document: Any) -> None:
        self.faults: list[Fault] = []
        self._path: list[str] = []
        self._at = document if isinstance(document, dict) else {}
        if self._at is not document:
            self.fault("", "is not a JSON object", "give the file that Baseline.save wrote")

    def fault(self, name: str, problem: str, mend: str) -> None:
        """Note a fault of a field of the object at hand, or of that object itself."""
        place = ".".join([*self._path, name] if name else self._path) or "file"
        self.faults.append(Fault(place, problem, mend))

    @contextmanager
    def inside(self, name: str) -> Iterator[list[str]]:
        """Walk into a field; gives the names of its fields."""
        outer, self._at = self._at, self.mapping(name)
        self._path.append(name)
        yield list(self._at)
        self._path.pop()
        self._at = outer

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._at.get(name) is not None

    def take(self, name: str, kind: type, **default: Any) -> Any:
        """The value of a field; a whole number passes for a float."""
        if "default" in default and not self.has(name):
            return default["default"]
        value = self._at.get(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool) and _is_finite(value):
            value = float(value)
        if not isinstance(value, kind) or isinstance(value, bool) or (kind is float and not _is_finite(value)):
            self.fault(name, f"is {_brief(value)}, not {kind.__name__}", REBUILD)
            return kind()
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object, empty when it is absent."""
        return self.take(name, dict, default={})  # type: ignore[no-any-return]

    def time(self, name: str) -> dt.datetime:
        """A moment in UTC."""
        text = self.take(name, str)
        try:
            return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(dt.timezone.utc)
        except ValueError:
            self.fault(name, f"{text!r} is not a time", "write it as 2026-01-31T12:00:00Z")
            return dt.datetime.now(dt.timezone.utc)

    def given(self, name: str) -> Any:
        """The value of a field, whatever its type; None when it is absent."""
        return self._at.get(name)

    def flag(self, name: str) -> bool | None:
        """True, false, or None when it is absent."""
        value = self._at.get(name)
        if value is not None and not isinstance(value, bool):
            self.fault(name, f"is {_brief(value)}, not true or false", REBUILD)
        return bool(value) if value is not None else None

    def strings(self, name: str, **default: Any) -> tuple[str, ...]:
        """A list of text."""
        return self._row(name, self.take(name, list, **default), str)

    def numbers(self, name: str, length: int | None = None) -> tuple[float, ...]:
        """A list of finite numbers, all of them floats."""
        return tuple(map(float, self._row(name, self.take(name, list), (int, float), length)))

    def matrix(self, name: str, size: int) -> Any:
        """`size` lists of `size` numbers."""
        rows = self.take(name, list)
        if len(rows) != size:
            self.fault(name, f"has {len(rows)} rows, not {size}", REBUILD)
        return tuple(self._row(f"{name}[{i}]", row, (int, float), size) for i, row in enumerate(rows))

    def _row(self, name: str, row: Any, kind: type | tuple[type, ...], length: int | None = None) -> tuple[Any, ...]:
        values: Sequence[Any] = row if isinstance(row, list | tuple) else []
        if length is not None and len(values) != length:
            self.fault(name, f"has {len(values)} entries, not {length}", REBUILD)
            return (0,) * length
        if any(not isinstance(value, kind) or isinstance(value, bool) or not _is_finite(value) for value in values):
            self.fault(name, "holds an entry of another type", REBUILD)
            return () if length is None else (0,) * length
        return tuple(values)


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:
        return False


def _brief(value: Any) -> str:
    return "absent" if value is None else repr(value)[:40]
