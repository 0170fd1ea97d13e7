"""Pure functions: counts in, numbers out. Every result is a named tuple.

>>> from otel_ml import stats
>>> round(stats.psi([50, 50], [80, 20]).value, 3)
0.406
"""

from otel_ml.stats.calibration import ECE, Brier, Interval, brier, ece, wilson_interval
from otel_ml.stats.distance import PSI, RangeCheck, psi, range_check
from otel_ml.stats.multivariate import Gaussian, gaussian, mahalanobis
from otel_ml.stats.performance import Classification, Regression, classification, regression

__all__ = [
    "ECE",
    "PSI",
    "Brier",
    "Classification",
    "Gaussian",
    "Interval",
    "RangeCheck",
    "Regression",
    "brier",
    "classification",
    "ece",
    "gaussian",
    "mahalanobis",
    "psi",
    "range_check",
    "regression",
    "wilson_interval",
]
