"""What a drop of accuracy is made of: other inputs, other class shares, or a concept that changed."""

from __future__ import annotations

import math
from typing import NamedTuple

from otel_ml.errors import StatisticsError


class Attribution(NamedTuple):
    """A drop of accuracy, what either kind of shift would explain of it, and what the better of the two leaves over."""

    drop: float
    covariates: float
    labels: float
    rest: float


def attribute_drop(baseline_accuracy: float, weighted_accuracy: float, shift_accuracy: float, realised_accuracy: float) -> Attribution:
    """Split a drop of accuracy into what shifted inputs or shifted class shares explain, and the rest.

    All are shares in [0, 1]: the baseline's accuracy; the same with its rows weighted by density ratios (`odds_weights`,
    `ulsif`, `kliep`); the same with its rows weighted by class (`bbse`); and the accuracy that the window's labels showed.
    `covariates` and `labels` are the drops that the two weightings predict. They are rival accounts of the same inputs, as a
    shift of class shares moves the inputs too, so they do *not* add up. `rest` is the drop less the nearer of the two:
    concept shift, bad labels, or noise, which no weighting explains. It is what needs new labels and retraining; hold it
    against the interval of the realised accuracy first. Negative parts are gains.

    Raises `StatisticsError` for values outside [0, 1]. Source: importance weighting, Shimodaira (2000) and Lipton et al.
    (2018); the split is this project's.

    >>> [round(part, 2) for part in attribute_drop(0.90, 0.86, 0.89, 0.80)]
    [0.1, 0.04, 0.01, 0.06]
    """
    accuracies = (baseline_accuracy, weighted_accuracy, shift_accuracy, realised_accuracy)
    if not all(math.isfinite(accuracy) and 0 <= accuracy <= 1 for accuracy in accuracies):
        raise StatisticsError(f"accuracies lie between 0 and 1, got {accuracies}")
    drop, covariates, labels = (baseline_accuracy - other for other in (realised_accuracy, weighted_accuracy, shift_accuracy))
    return Attribution(drop, covariates, labels, min(drop - covariates, drop - labels, key=abs))
