"""Pure functions: counts in, numbers out. Every result is a named tuple, an array or a number.

>>> from otel_ml import stats
>>> round(stats.psi([50, 50], [80, 20]).value, 3)
0.406
"""

from otel_ml.stats.attribution import Attribution, attribute_drop
from otel_ml.stats.calibration import (
    ECE,
    Brier,
    BrierParts,
    DebiasedECE,
    brier,
    brier_decomposition,
    debiased_ece,
    ece,
    equal_mass_edges,
)
from otel_ml.stats.distance import PSI, Distance, js_distance, ks, l_infinity, psi, psi_noise_scale, wasserstein
from otel_ml.stats.domain import DomainAUC, auc_noise_floor, domain_classifier
from otel_ml.stats.energy import energy
from otel_ml.stats.estimate import Estimate, atc, cbpe
from otel_ml.stats.evidence import RangeCheck, Test, benjamini_hochberg, chi_square, chi_square_noise_floor, range_check
from otel_ml.stats.interval import Interval, f1_interval, mean_share_interval, score_interval, wilson_interval
from otel_ml.stats.kernel import MMD, fourier_features, median_bandwidth, mmd, mmd_noise_floor
from otel_ml.stats.label_shift import LabelShift, bbse
from otel_ml.stats.multivariate import Gaussian, gaussian, hotelling_t2, mahalanobis
from otel_ml.stats.pca import PCA, ErrorRatio, error_ratio, pca, reconstruction_error
from otel_ml.stats.performance import Classification, Regression, classification, regression
from otel_ml.stats.ranking import RankScore, roc_auc
from otel_ml.stats.weights import Weights, effective_sample_size, kliep, odds_weights, ulsif

__all__ = [
    "ECE",
    "MMD",
    "PCA",
    "PSI",
    "Attribution",
    "Brier",
    "BrierParts",
    "Classification",
    "DebiasedECE",
    "Distance",
    "DomainAUC",
    "ErrorRatio",
    "Estimate",
    "Gaussian",
    "Interval",
    "LabelShift",
    "RangeCheck",
    "RankScore",
    "Regression",
    "Test",
    "Weights",
    "atc",
    "attribute_drop",
    "auc_noise_floor",
    "bbse",
    "benjamini_hochberg",
    "brier",
    "brier_decomposition",
    "cbpe",
    "chi_square",
    "chi_square_noise_floor",
    "classification",
    "debiased_ece",
    "domain_classifier",
    "ece",
    "effective_sample_size",
    "energy",
    "equal_mass_edges",
    "error_ratio",
    "f1_interval",
    "fourier_features",
    "gaussian",
    "hotelling_t2",
    "js_distance",
    "kliep",
    "ks",
    "l_infinity",
    "mahalanobis",
    "mean_share_interval",
    "median_bandwidth",
    "mmd",
    "mmd_noise_floor",
    "odds_weights",
    "pca",
    "psi",
    "psi_noise_scale",
    "range_check",
    "reconstruction_error",
    "regression",
    "roc_auc",
    "score_interval",
    "ulsif",
    "wasserstein",
    "wilson_interval",
]
