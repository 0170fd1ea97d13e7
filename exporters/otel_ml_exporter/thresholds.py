"""The limits that readings are compared with: one table of defaults, overridden per model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from otel_ml import catalogue as names


@dataclass(frozen=True)
class Threshold:
    """The limit of one signal, how severe it is to cross it, and the greatest limit that makes sense.

    A limit that nobody can guess is None until a model states it; one in seconds is written as a duration.
    """

    signal: str
    value: float | None
    severity: str
    greatest: float = 1.0
    unit: Literal["", "s"] = ""


DAY = 86_400.0


DEFAULTS = (
    Threshold(names.SIGNAL_FEATURE_PSI, 0.05, names.WARNING, math.inf),
    Threshold(names.SIGNAL_DRIFTED_FEATURES, 0.3, names.WARNING),
    Threshold(names.SIGNAL_PREDICTION_PSI, 0.1, names.WARNING, math.inf),
    Threshold(names.SIGNAL_CONFIDENCE_PSI, 0.1, names.WARNING, math.inf),
    Threshold(names.SIGNAL_CALIBRATION_ECE, 0.05, names.WARNING),
    Threshold(names.SIGNAL_INPUT_VIOLATIONS, 0.2, names.CRITICAL),
    Threshold(names.SIGNAL_OUTPUT_SHARE, 0.99, names.CRITICAL),
    Threshold(names.SIGNAL_ERROR_BUDGET, 0.01, names.CRITICAL),
    Threshold(names.SIGNAL_LATENCY, None, names.CRITICAL, unit="s"),
    Threshold(names.SIGNAL_LATENCY_BUDGET, 0.01, names.CRITICAL),
    Threshold(names.SIGNAL_UNSEEN_VALUES, 0.05, names.WARNING),
    Threshold(names.SIGNAL_INPUT_SHARE, 0.99, names.WARNING),
    Threshold(names.SIGNAL_CONFIDENCE_DROP, 0.1, names.WARNING),
    Threshold(names.SIGNAL_OUTLIER_SHARE, 0.02, names.WARNING),
    Threshold(names.SIGNAL_ABSTENTION_SHARE, 0.2, names.WARNING),
    Threshold(names.SIGNAL_SHADOW_DISAGREEMENT, 0.05, names.WARNING),
    Threshold(names.SIGNAL_PERFORMANCE, None, names.CRITICAL),
    Threshold(names.SIGNAL_PERFORMANCE_R2, None, names.CRITICAL),
    Threshold(names.SIGNAL_PERFORMANCE_MAE, None, names.CRITICAL, math.inf),
    Threshold(names.SIGNAL_PERFORMANCE_RMSE, None, names.CRITICAL, math.inf),
    Threshold(names.SIGNAL_SEGMENT_GAP, 0.1, names.WARNING),
    Threshold(names.SIGNAL_SEGMENT_RECALL_GAP, None, names.WARNING),
    Threshold(names.SIGNAL_SEGMENT_ERROR_RATIO, 2.0, names.WARNING, math.inf),
    Threshold(names.SIGNAL_ESTIMATED_DROP, 0.02, names.WARNING),
    Threshold(names.SIGNAL_LABEL_DELAY, DAY, names.WARNING, unit="s"),
    Threshold(names.SIGNAL_LABEL_COVERAGE, 0.5, names.WARNING),
    Threshold(names.SIGNAL_OUTCOME_UNMATCHED, 0.1, names.WARNING),
    Threshold(names.SIGNAL_BASELINE_AGE, 90 * DAY, names.WARNING, unit="s"),
    Threshold(names.SIGNAL_DOMAIN_AUC, 0.7, names.WARNING),
    Threshold(names.SIGNAL_ABSENCE, None, names.CRITICAL, unit="s"),
)

DISTANCES = "distances"
OUTPUTS = "outputs"
CALIBRATION = "calibration"
PERFORMANCE = "performance"
ESTIMATES = "estimates"
OUTCOMES = "outcomes"
BASELINE = "baseline"
GROUPS = (DISTANCES, OUTPUTS, CALIBRATION, PERFORMANCE, ESTIMATES, OUTCOMES, BASELINE)
"""The groups of metrics that can be switched off; the verdicts on features and what rules need to be sound are in none."""


@dataclass(frozen=True)
class FeatureLimits:
    """What one feature is held to instead; `ignore` publishes its scores and never calls it drifted."""

    psi: float | None = None
    ignore: bool = False


@dataclass(frozen=True)
class Costs:
    """What one wrong answer of a binary model costs, in any unit."""

    false_positive: float = 1.0
    false_negative: float = 1.0


@dataclass(frozen=True)
class Limits:
    """What the scores of one model are held to, and which there are.

    `features` have limits of their own; under the minimum of samples or outcomes there is no score; `off` are the groups of
    metrics that nobody wants. A label is due `label_delay` seconds after its prediction; those of `trusted` sources are the truth.
    """

    thresholds: tuple[Threshold, ...] = DEFAULTS
    minimum_samples: int = 100
    minimum_outcomes: int = 100
    features: Mapping[str, FeatureLimits] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
    label_delay: float = 0.0
    costs: Costs | None = None
    trusted: frozenset[str] = frozenset()

    def threshold(self, signal: str) -> float | None:
        """The limit of a signal; None where nobody stated it."""
        return next(threshold.value for threshold in self.thresholds if threshold.signal == signal)

    def feature_psi(self, feature: str) -> float:
        """The limit of a feature's PSI."""
        own = self.features[feature].psi if feature in self.features else None
        limit = self.threshold(names.SIGNAL_FEATURE_PSI) if own is None else own
        return math.inf if limit is None else limit

    def ignores(self, feature: str) -> bool:
        """Whether a feature may drift in peace."""
        return feature in self.features and self.features[feature].ignore

    def wants(self, group: str) -> bool:
        """Whether a group of metrics is published."""
        return group not in self.off


def overridden(values: Mapping[str, float | None], thresholds: tuple[Threshold, ...] = DEFAULTS) -> tuple[Threshold, ...]:
    """The thresholds with the limits of some signals replaced."""
    return tuple(replace(threshold, value=values.get(threshold.signal, threshold.value)) for threshold in thresholds)
