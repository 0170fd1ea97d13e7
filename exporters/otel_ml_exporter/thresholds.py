"""The limits that readings are compared with: one table of defaults, overridden per model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from otel_ml import catalogue as names


@dataclass(frozen=True)
class Threshold:
    """The limit of one signal, how severe it is to cross it, and the greatest limit that makes sense."""

    signal: str
    value: float
    severity: str
    greatest: float = 1.0


DEFAULTS = (
    Threshold(names.SIGNAL_FEATURE_PSI, 0.05, names.WARNING, math.inf),
    Threshold(names.SIGNAL_DRIFTED_FEATURES, 0.3, names.WARNING),
    Threshold(names.SIGNAL_PREDICTION_PSI, 0.1, names.WARNING, math.inf),
    Threshold(names.SIGNAL_CONFIDENCE_PSI, 0.1, names.WARNING, math.inf),
    Threshold(names.SIGNAL_CALIBRATION_ECE, 0.05, names.WARNING),
    Threshold(names.SIGNAL_INPUT_VIOLATIONS, 0.2, names.CRITICAL),
    Threshold(names.SIGNAL_OUTPUT_SHARE, 0.99, names.CRITICAL),
    Threshold(names.SIGNAL_ERROR_RATIO, 0.05, names.CRITICAL),
)


@dataclass(frozen=True)
class Limits:
    """What the scores of one model are held to: its thresholds, and the samples under which there is no score."""

    thresholds: tuple[Threshold, ...] = DEFAULTS
    minimum_samples: int = 100
    minimum_outcomes: int = 100

    def threshold(self, signal: str) -> float:
        """The limit of a signal."""
        return next(threshold.value for threshold in self.thresholds if threshold.signal == signal)


def overridden(values: Mapping[str, float]) -> tuple[Threshold, ...]:
    """The defaults with the limits of some signals replaced."""
    return tuple(replace(threshold, value=values.get(threshold.signal, threshold.value)) for threshold in DEFAULTS)
