"""The errors that otel-ml raises; all inherit from `OtelMLError`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class OtelMLError(Exception):
    """Base of every error that otel-ml raises."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where it is, what it is, and how to mend it."""

    place: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.mend}"


class FaultsError(OtelMLError, ValueError):
    """Something cannot be used; `faults` lists everything that is wrong with it, not only the first."""

    def __init__(self, subject: str, faults: Iterable[Fault]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        super().__init__(subject, self.faults)

    def __str__(self) -> str:
        lines = "".join(f"\n  - {fault}" for fault in self.faults)
        return f"{self.subject} cannot be used:{lines}"


class BaselineError(FaultsError):
    """A baseline file, or the data that a baseline is to be built from, is unusable."""


class ConfigurationError(FaultsError):
    """Options, environment variables or a configuration file contradict themselves."""


class InvalidInput(OtelMLError, ValueError):  # noqa: N818 - it says what is wrong with the caller's data, as HTTP 422 does
    """A monitor that rejects was given an input that is not valid; the model was not called.

    `violations` is a list of plain dicts, ready for a response: the `row`, the `feature` (a column, of the caller's where the baseline
    has none; empty where it is the input as a whole) and the `violation`, one of the values of `ml.violation.type` or `unreadable`. It
    holds the first hundred, and no values.
    """

    MOST = 100

    def __init__(self, violations: Iterable[tuple[int, str, str]]) -> None:
        self.violations: list[dict[str, Any]] = [{"row": row, "feature": feature, "violation": kind} for row, feature, kind in violations]
        super().__init__(self.violations)

    def __str__(self) -> str:
        shown = [f"row {found['row']}: {_printable(found['feature']) or 'input'} {found['violation']}" for found in self.violations[:5]]
        more = len(self.violations) - len(shown)
        return "the input is not valid: " + "; ".join(shown) + (f"; and {more} more" if more else "")


def _printable(name: str) -> str:
    """A name from outside on one line."""
    return name if name.isprintable() else repr(name)


class StatisticsError(OtelMLError, ValueError):
    """A statistic is not defined for these counts."""
