"""The errors that otel-ml raises; all inherit from `OtelMLError`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


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


class StatisticsError(OtelMLError, ValueError):
    """A statistic is not defined for these counts."""
