"""How far chance alone puts counts apart, as the baseline measured it."""

from __future__ import annotations

from typing import NamedTuple

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.baseline import Baseline, Feature, Output
from otel_ml.stats.distance import SMOOTHING

ALPHA = 0.01
"""How often chance alone may raise a verdict, over all features of a model together."""


class Noise(NamedTuple):
    """What `stats.psi` asks of a quantity; `alpha` is how often chance may exceed its floor."""

    alpha: float = ALPHA
    design_effect: float = 1.0
    degrees: float | None = None
    key_effect: float = 1.0

    @property
    def smoothing(self) -> float:
        """What is added to each count."""
        return SMOOTHING * self.key_effect

    def scale(self, bins: int) -> float:
        """The floor in units of `1/n + 1/m`."""
        return stats.psi_noise_scale(bins, alpha=self.alpha, design_effect=self.design_effect, degrees=self.degrees)


def of_feature(feature: Feature, baseline: Baseline) -> Noise:
    """The noise of a feature, one of those that share the chance of a false verdict."""
    return Noise(ALPHA / len(baseline.features), feature.design_effect, feature.noise_degrees, feature.key_effect)


def of_further(output: Output) -> Noise:
    """The noise of an output beside the first."""
    return Noise(ALPHA, output.design_effect, output.noise_degrees, output.key_effect)


def of_output(baseline: Baseline, signal: str) -> Noise:
    """The noise of an output; only predictions are replayed when a baseline is built."""
    if signal != names.SIGNAL_PREDICTION:
        return Noise()
    return Noise(ALPHA, baseline.prediction_design_effect, baseline.prediction_noise_degrees, baseline.prediction_key_effect)
