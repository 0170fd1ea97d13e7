"""Every metric, attribute and event that otel-ml knows; the only place where a name is spelled.

A metric is data: its OpenTelemetry name, instrument, unit, meaning and attributes. The Prometheus name follows from it
by the standard translation (`UnderscoreEscapingWithSuffixes`). The reference page and the registry in the form of OpenTelemetry's
semantic conventions are rendered from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

SCOPE: Final = "otel_ml"

SCHEMA_URL: Final = "https://github.com/otel-ml/otel-ml/schemas/1.0.0"
"""Names the registry and its version; a renamed or removed name makes a new version."""

# Attributes
MODEL_NAME: Final = "ml.model.name"
MODEL_VERSION: Final = "ml.model.version"
MODEL_TASK: Final = "ml.model.task"
MODEL_ROLE: Final = "ml.model.role"
SEGMENT: Final = "ml.segment"
OUTPUT_NAME: Final = "ml.output.name"
SHADOW_RESULT: Final = "ml.shadow.result"
BASELINE_ID: Final = "ml.baseline.id"
FEATURE_NAME: Final = "ml.feature.name"
BIN: Final = "ml.bin"
VIOLATION_TYPE: Final = "ml.violation.type"
DROP_REASON: Final = "ml.drop.reason"
VERIFICATION_RESULT: Final = "ml.verification.result"
ERROR_TYPE: Final = "error.type"
PREDICTION_ID: Final = "ml.prediction.id"
PREDICTION_CLASS: Final = "ml.prediction.class"
PREDICTION_VALUE: Final = "ml.prediction.value"
PREDICTION_CONFIDENCE: Final = "ml.prediction.confidence"
PREDICTION_WEIGHT: Final = "ml.prediction.weight"
PREDICTION_FEATURES: Final = "ml.prediction.features"
PREDICTION_ABSTAINED: Final = "ml.prediction.abstained"
PREDICTION_ENERGY: Final = "ml.prediction.energy"
OUTLIER_DISTANCE: Final = "ml.outlier.distance"
OUTCOME_LABEL: Final = "ml.outcome.label"
OUTCOME_SOURCE: Final = "ml.outcome.source"
OUTCOME_VALUE: Final = "ml.outcome.value"

OVERFLOW: Final = "otel.metric.overflow"
"""OpenTelemetry's own mark of the series into which the SDK merged what was beyond its budget."""

# Labels that only the exporter adds
WINDOW: Final = "window"
REFERENCE: Final = "reference"
SEVERITY: Final = "severity"
SIGNAL: Final = "ml.signal"
METRIC: Final = "ml.metric"
ESTIMATE: Final = "ml.estimate"
QUANTILE: Final = "quantile"
RESULT: Final = "ml.result"
DIRECTION: Final = "ml.direction"
ANNOTATORS: Final = "ml.annotators"
SOURCE: Final = "source"
FILE: Final = "file"

# Reserved bins
MISSING: Final = "__missing__"
OTHER: Final = "__other__"

# Values of ml.violation.type
VIOLATION_MISSING: Final = "missing"
VIOLATION_MISSING_COLUMN: Final = "missing_column"
VIOLATION_EXTRA_COLUMN: Final = "extra_column"
VIOLATION_TYPE_MISMATCH: Final = "type"
VIOLATION_OUT_OF_RANGE: Final = "out_of_range"
VIOLATION_FAR: Final = "far_out_of_range"
VIOLATION_INFINITE: Final = "infinite"
VIOLATION_UNSEEN: Final = "unseen"
VIOLATION_DEFAULT: Final = "default"
VIOLATION_PATTERN: Final = "pattern"
VIOLATION_BOUNDS: Final = "bounds"
VIOLATION_NOT_ALLOWED: Final = "not_allowed"
VIOLATION_STUCK: Final = "stuck"

# Values of ml.verification.result
VERIFICATION_MATCH: Final = "match"
VERIFICATION_MISMATCH: Final = "mismatch"
VERIFICATION_ERROR: Final = "error"
VERIFICATION_RESULTS: Final = (VERIFICATION_MATCH, VERIFICATION_MISMATCH, VERIFICATION_ERROR)

# Values of `error.type`
ERROR_INVALID_INPUT: Final = "otel_ml.errors.InvalidInput"

# Values of ml.drop.reason
DROP_ERROR: Final = "error"
DROP_UNSUPPORTED: Final = "unsupported"
DROP_LIMIT: Final = "limit"
DROP_OVERFLOW: Final = "overflow"
DROP_UNUSABLE: Final = "unusable"
DROP_BUSY: Final = "busy"
DROP_FULL: Final = "full"
DROP_RATE: Final = "rate"
DROP_STORE: Final = "store"
DROP_TOKEN: Final = "token"  # noqa: S105 - the name of a reason

# Values of ml.result: what became of a prediction or an outcome that arrived
RESULT_KEPT: Final = "kept"
RESULT_MATCHED: Final = "matched"
RESULT_WAITING: Final = "waiting"
RESULT_REPEATED: Final = "repeated"
RESULT_CONFIRMED: Final = "confirmed"
RESULT_CORRECTED: Final = "corrected"
RESULT_OUTRANKED: Final = "outranked"
RESULT_UNFIT: Final = "unfit"
RESULT_UNKNOWN_MODEL: Final = "unknown_model"
RESULT_INVALID: Final = "invalid"

# Values of ml.signal: what a threshold, a sample count or a baseline share is about
SIGNAL_FEATURE: Final = "feature"
SIGNAL_PREDICTION: Final = "prediction"
SIGNAL_CONFIDENCE: Final = "confidence"
SIGNAL_OUTLIER: Final = "outlier"
SIGNAL_ENERGY: Final = "energy"
SIGNAL_CALIBRATION: Final = "calibration"
SIGNAL_PERFORMANCE: Final = "performance"
SIGNAL_COHORT: Final = "cohort"
SIGNAL_ROWS: Final = "rows"
SIGNAL_FEATURE_PSI: Final = "feature_psi"
SIGNAL_DRIFTED_FEATURES: Final = "drifted_features"
SIGNAL_PREDICTION_PSI: Final = "prediction_psi"
SIGNAL_CONFIDENCE_PSI: Final = "confidence_psi"
SIGNAL_CALIBRATION_ECE: Final = "calibration_ece"
SIGNAL_INPUT_VIOLATIONS: Final = "input_violations"
SIGNAL_OUTPUT_SHARE: Final = "output_share"
SIGNAL_ERROR_BUDGET: Final = "error_budget"
SIGNAL_LATENCY: Final = "latency"
SIGNAL_LATENCY_BUDGET: Final = "latency_budget"
SIGNAL_UNSEEN_VALUES: Final = "unseen_values"
SIGNAL_INPUT_SHARE: Final = "input_share"
SIGNAL_CONFIDENCE_DROP: Final = "confidence_drop"
SIGNAL_OUTLIER_SHARE: Final = "outlier_share"
SIGNAL_ABSTENTION_SHARE: Final = "abstention_share"
SIGNAL_SHADOW_DISAGREEMENT: Final = "shadow_disagreement"
SIGNAL_PERFORMANCE_R2: Final = "performance_r2"
SIGNAL_PERFORMANCE_MAE: Final = "performance_mae"
SIGNAL_PERFORMANCE_RMSE: Final = "performance_rmse"
SIGNAL_SEGMENT_GAP: Final = "segment_gap"
SIGNAL_SEGMENT_RECALL_GAP: Final = "segment_recall_gap"
SIGNAL_SEGMENT_ERROR_RATIO: Final = "segment_error_ratio"
SIGNAL_ESTIMATED_DROP: Final = "estimated_drop"
SIGNAL_LABEL_DELAY: Final = "label_delay"
SIGNAL_LABEL_COVERAGE: Final = "label_coverage"
SIGNAL_OUTCOME_UNMATCHED: Final = "outcome_unmatched"
SIGNAL_BASELINE_AGE: Final = "baseline_age"
SIGNAL_DOMAIN_AUC: Final = "domain_auc"
SIGNAL_ABSENCE: Final = "absence"

# Values of reference: what a window is compared with
REFERENCE_BASELINE: Final = "baseline"
REFERENCE_PREVIOUS: Final = "previous"
REFERENCE_STABLE: Final = "stable"
REFERENCE_REST: Final = "rest"
REFERENCE_ALL: Final = "all"

# Values of ml.estimate: measured with labels, or estimated without
ESTIMATE_REALIZED: Final = "realized"
ESTIMATE_COHORT: Final = "cohort"
ESTIMATE_CBPE: Final = "cbpe"
ESTIMATE_ATC: Final = "atc"

# Values of ml.model.role: answers users, answers some of them, answers nobody
ROLE_STABLE: Final = "stable"
ROLE_CANARY: Final = "canary"
ROLE_SHADOW: Final = "shadow"
ROLES: Final = (ROLE_STABLE, ROLE_CANARY, ROLE_SHADOW)

# Values of ml.shadow.result
SHADOW_AGREE: Final = "agree"
SHADOW_DISAGREE: Final = "disagree"
SHADOW_ERROR: Final = "error"
SHADOW_DROPPED: Final = "dropped"
SHADOW_RESULTS: Final = (SHADOW_AGREE, SHADOW_DISAGREE, SHADOW_ERROR, SHADOW_DROPPED)

# Values of severity: critical pages, warning files a ticket
CRITICAL: Final = "critical"
WARNING: Final = "warning"

# Names of events
EVENT_PREDICTION: Final = "ml.prediction"
EVENT_OUTCOME: Final = "ml.outcome"

Instrument = Literal["counter", "gauge", "histogram"]
_SUFFIX_OF_UNIT = {"s": "_seconds"}


@dataclass(frozen=True)
class Attribute:
    """What one attribute means, and each of its values where they are few."""

    name: str
    brief: str
    values: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[str | float, ...] = ()
    type: Literal["string", "double", "boolean", "any"] = "string"


@dataclass(frozen=True)
class Event:
    """One log record: its name, what it means and what it carries; `conditions` say when an attribute is absent."""

    name: str
    brief: str
    attributes: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, how it is counted, what it means, and what distinguishes its series.

    Each point carries all attributes, but for those in `conditions`: pairs of an attribute and when a point carries it.
    """

    name: str
    instrument: Instrument
    unit: str
    brief: str
    attributes: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def prometheus(self) -> str:
        """The Prometheus name, without the `_bucket`, `_sum` and `_count` that a histogram adds."""
        suffix = "_total" if self.instrument == "counter" else ""
        return prometheus(self.name) + _SUFFIX_OF_UNIT.get(self.unit, "") + suffix

    @property
    def labels(self) -> tuple[str, ...]:
        """The attributes as Prometheus labels."""
        return tuple(prometheus(attribute) for attribute in self.attributes)


def prometheus(name: str) -> str:
    """An OpenTelemetry name as Prometheus writes it.

    >>> prometheus("ml.feature.name")
    'ml_feature_name'
    """
    return name.replace(".", "_")


ATTRIBUTES: Final = (
    Attribute(MODEL_NAME, "The model.", examples=("churn",)),
    Attribute(MODEL_VERSION, "The version of the model.", examples=("3", "2024-05-01")),
    Attribute(
        MODEL_TASK,
        "What the model predicts.",
        {"binary": "One of two classes.", "multiclass": "One of several classes.", "regression": "A number."},
    ),
    Attribute(
        MODEL_ROLE,
        "The role of the version.",
        {
            ROLE_STABLE: "It answers, and others are compared with it.",
            ROLE_CANARY: "It answers a share of the requests.",
            ROLE_SHADOW: "It runs beside the stable version; nobody gets its answers.",
        },
    ),
    Attribute(
        SEGMENT,
        "One of the segments that the monitor declares, or `__other__`. They are a partition: a sum over them counts everything once.",
        examples=("eu", OTHER),
    ),
    Attribute(
        VERIFICATION_RESULT,
        "The result of verifying a golden record of the baseline.",
        {
            VERIFICATION_MATCH: "The model answered as it did when the baseline was made.",
            VERIFICATION_MISMATCH: "It answered differently, or got differently transformed features.",
            VERIFICATION_ERROR: "It raised.",
        },
    ),
    Attribute(
        SHADOW_RESULT,
        "The result of comparing the primary's and the shadow's answers.",
        {
            SHADOW_AGREE: "Both say the same.",
            SHADOW_DISAGREE: "They differ.",
            SHADOW_ERROR: "The shadow raised, or the answers could not be compared.",
            SHADOW_DROPPED: "The shadow was skipped: its queue was full, it was late, or the arguments could not be copied.",
        },
    ),
    Attribute(BASELINE_ID, "Fingerprint of the baseline whose bins are counted.", examples=("f6a9c1d2e3b40516",)),
    Attribute(OUTPUT_NAME, "An output of the model other than the first, as the baseline names it.", examples=("price",)),
    Attribute(FEATURE_NAME, "A column of the model's input.", examples=("age",)),
    Attribute(
        BIN,
        "The label that the baseline stores: an interval (its index first, so that text order is bin order), the category's own name, or "
        "one of two reserved bins: `__missing__` (None, NaN) and `__other__` (a category without a bin of its own; in a numeric feature "
        "what is no number).",
        examples=("03 (18, 30]", "JFK", MISSING, OTHER),
    ),
    Attribute(
        VIOLATION_TYPE,
        "How a value violates the baseline's schema.",
        {
            VIOLATION_MISSING: "A missing value where the baseline has none.",
            VIOLATION_MISSING_COLUMN: "The whole column is absent.",
            VIOLATION_EXTRA_COLUMN: "A row has columns that the baseline lacks; the feature is `__other__`, and the log names them once.",
            VIOLATION_TYPE_MISMATCH: "Not a number, although the feature is numeric.",
            VIOLATION_OUT_OF_RANGE: "Outside the range the baseline observed.",
            VIOLATION_FAR: "Outside by more than the width of that range; counted as `out_of_range` too.",
            VIOLATION_INFINITE: "Plus or minus infinity.",
            VIOLATION_UNSEEN: "Outside the baseline's vocabulary.",
            VIOLATION_DEFAULT: "A common placeholder for no value (-999, 0, an empty text) that the baseline does not contain.",
            VIOLATION_PATTERN: "Does not match the declared pattern.",
            VIOLATION_BOUNDS: "Outside the declared minimum or maximum.",
            VIOLATION_NOT_ALLOWED: "Not among the declared values.",
            VIOLATION_STUCK: "Unchanged for more calls than the baseline makes plausible.",
        },
    ),
    Attribute(
        DROP_REASON,
        "Why something could not be counted.",
        {
            DROP_ERROR: "A fault while reading it.",
            DROP_UNSUPPORTED: "An input that cannot be read without guessing.",
            DROP_LIMIT: "More streams than the exporter keeps.",
            DROP_OVERFLOW: "The SDK merged series beyond its cardinality limit.",
            DROP_UNUSABLE: "A data point that is not a count, or names no model.",
            DROP_BUSY: "More requests or rows than the exporter works on at once.",
            DROP_RATE: "More rows per second than allowed.",
            DROP_FULL: "More rows than it may store.",
            DROP_STORE: "The store cannot be written.",
            DROP_TOKEN: "No token that allows it.",
        },
    ),
    Attribute(
        ERROR_TYPE,
        f"The class of the exception, as in OpenTelemetry's own conventions. `{ERROR_INVALID_INPUT}` is the caller's fault alone.",
        examples=("ValueError", "_OTHER", ERROR_INVALID_INPUT),
    ),
    Attribute(PREDICTION_ID, "Joins a prediction and its outcome; an array in a record of many.", examples=("0a1b2c3d4e5f",)),
    Attribute(PREDICTION_CLASS, "The predicted class.", examples=("yes",)),
    Attribute(PREDICTION_VALUE, "The predicted number.", examples=(41.5,), type="double"),
    Attribute(PREDICTION_CONFIDENCE, "The confidence, 0 to 1.", examples=(0.82,), type="double"),
    Attribute(PREDICTION_WEIGHT, "How many predictions a sampled one stands for.", examples=(10.0,), type="double"),
    Attribute(PREDICTION_FEATURES, "The input: a map from feature to number or text. Sent only when switched on.", type="any"),
    Attribute(PREDICTION_ABSTAINED, "True where the caller got the fallback instead.", type="boolean"),
    Attribute(PREDICTION_ENERGY, "The energy of the logits.", examples=(-4.1,), type="double"),
    Attribute(
        OUTLIER_DISTANCE,
        "The squared Mahalanobis distance of the row from the baseline's.",
        examples=(3.2,),
        type="double",
    ),
    Attribute(OUTCOME_LABEL, "What turned out to be true: a class, or a number as text.", examples=("yes", "38.0")),
    Attribute(OUTCOME_SOURCE, "Where the label comes from: an annotator, a system; absent if unspecified.", examples=("anna",)),
    Attribute(OUTCOME_VALUE, "What the decision was worth; below 0 a cost.", examples=(12.5,), type="double"),
    Attribute(
        DIRECTION,
        "The side on which a number lies.",
        {
            "over": "The prediction is above the truth.",
            "under": "The prediction is below the truth.",
            "exact": "It is the truth.",
            "gain": "A value of 0 or more.",
            "loss": "A value below 0; its size is summed.",
        },
    ),
    Attribute(ANNOTATORS, "Two sources of labels; `log` if a label names none.", examples=("anna, ben", "log, adjudicated")),
    Attribute(
        RESULT,
        "What was done with a prediction or an outcome that arrived.",
        {
            RESULT_KEPT: "A prediction that is new.",
            RESULT_MATCHED: "An outcome whose prediction is known.",
            RESULT_WAITING: "An outcome whose prediction is not known yet.",
            RESULT_REPEATED: "The same as before; nothing changes.",
            RESULT_CONFIRMED: "The same label from another source.",
            RESULT_CORRECTED: "A different label or value than before, which it replaces.",
            RESULT_OUTRANKED: "Kept, but a label of a trusted source stays the truth.",
            RESULT_UNFIT: "Kept, but not scored: not a class of the baseline, or not a number although the model predicts numbers.",
            RESULT_UNKNOWN_MODEL: "Kept; no baseline of this model is loaded.",
            RESULT_INVALID: "Rejected; the answer names row and field.",
        },
    ),
    Attribute(WINDOW, "The time span that a score covers, as configured.", examples=("1h", "24h")),
    Attribute(
        REFERENCE,
        "What the window is compared with.",
        {
            REFERENCE_BASELINE: "The baseline.",
            REFERENCE_PREVIOUS: "The same window some time earlier (PSI, noise floor and verdict only).",
            REFERENCE_STABLE: "The model's stable version in the same window, for a canary or a shadow (as `previous`).",
            REFERENCE_REST: "All other segments in the same window.",
            REFERENCE_ALL: "All predictions, for those whose outcome is known.",
        },
    ),
    Attribute(
        SEVERITY,
        "What the alert of a limit does.",
        {CRITICAL: "Pages somebody.", WARNING: "Files a ticket."},
    ),
    Attribute(
        SIGNAL,
        "What a sample count, a baseline share or a limit is about.",
        {
            SIGNAL_FEATURE: "Values of features.",
            SIGNAL_PREDICTION: "Predictions.",
            SIGNAL_CONFIDENCE: "Confidences.",
            SIGNAL_OUTLIER: "Squared Mahalanobis distances.",
            SIGNAL_ENERGY: "Energies of logits.",
            SIGNAL_CALIBRATION: "Confidences with their outcomes.",
            SIGNAL_PERFORMANCE: "Predictions with their outcomes; as a limit the least accuracy.",
            SIGNAL_COHORT: "Predictions of a window that ended the declared label delay ago, with their outcomes.",
            SIGNAL_ROWS: "Sampled rows.",
            SIGNAL_FEATURE_PSI: "Limit of a feature's PSI.",
            SIGNAL_DRIFTED_FEATURES: "Limit of the share of drifted features.",
            SIGNAL_PREDICTION_PSI: "Limit of the PSI of predictions.",
            SIGNAL_CONFIDENCE_PSI: "Limit of the PSI of confidences.",
            SIGNAL_CALIBRATION_ECE: "Limit of the expected calibration error.",
            SIGNAL_INPUT_VIOLATIONS: "Limit of the share of a feature's values that violate the schema.",
            SIGNAL_OUTPUT_SHARE: "Limit of the share of one class or interval among predictions.",
            SIGNAL_ERROR_BUDGET: "Share of calls that may fail.",
            SIGNAL_LATENCY: "Seconds a call may take.",
            SIGNAL_LATENCY_BUDGET: "Share of calls that may take longer.",
            SIGNAL_UNSEEN_VALUES: "Limit of the share of a feature's values outside the baseline's vocabulary.",
            SIGNAL_INPUT_SHARE: "Limit of the share of one bin among a feature's values.",
            SIGNAL_CONFIDENCE_DROP: "How much less confident the model may be than in its baseline.",
            SIGNAL_OUTLIER_SHARE: "Limit of the share of rows beyond 99.9 % of the baseline's.",
            SIGNAL_ABSTENTION_SHARE: "Limit of the share of rows without a prediction.",
            SIGNAL_SHADOW_DISAGREEMENT: "Limit of the share of rows on which the shadow disagrees.",
            SIGNAL_PERFORMANCE_R2: "Least share of the truth's variance that is explained.",
            SIGNAL_PERFORMANCE_MAE: "Limit of the mean absolute error.",
            SIGNAL_PERFORMANCE_RMSE: "Limit of the root mean squared error.",
            SIGNAL_SEGMENT_GAP: "How much less accurate a segment may be than all predictions together.",
            SIGNAL_SEGMENT_RECALL_GAP: "How much lower recall may be in a segment than over all predictions.",
            SIGNAL_SEGMENT_ERROR_RATIO: "How many times the overall mean absolute error a segment may have.",
            SIGNAL_ESTIMATED_DROP: "How much the estimated accuracy may lie below the baseline's.",
            SIGNAL_LABEL_DELAY: "Seconds within which nine outcomes in ten arrive.",
            SIGNAL_LABEL_COVERAGE: "Least share of predictions that get an outcome.",
            SIGNAL_OUTCOME_UNMATCHED: "Limit of the share of outcomes whose prediction is not known.",
            SIGNAL_BASELINE_AGE: "Seconds after which a baseline is old.",
            SIGNAL_DOMAIN_AUC: "Limit of the AUC with which a classifier separates rows from the baseline's.",
            SIGNAL_ABSENCE: "Seconds for which the model may report no metrics.",
        },
    ),
    Attribute(
        METRIC,
        "Which score.",
        {
            "accuracy": "Share of right classes.",
            "balanced_accuracy": "Mean recall over classes.",
            "precision": "Share of predicted positives that are right.",
            "recall": "Share of positives that were found.",
            "f1": "Harmonic mean of precision and recall.",
            "bias": "Mean error of the predicted numbers.",
            "mae": "Mean absolute error.",
            "rmse": "Root mean squared error.",
            "r2": "Share of the truth's variance that is explained.",
            "over": "Share of predictions above the truth.",
            "under": "Share of predictions below the truth.",
            "cost": "Mean cost of an answer, from the configured costs of wrong ones.",
        },
    ),
    Attribute(
        ESTIMATE,
        "How the score is known.",
        {
            ESTIMATE_REALIZED: "Measured with the labels that arrived in the window.",
            ESTIMATE_COHORT: "Measured of the predictions of a window that ended the declared label delay ago.",
            ESTIMATE_CBPE: "Estimated from calibrated confidence.",
            ESTIMATE_ATC: "Estimated from the share of confidences above a threshold.",
        },
    ),
    Attribute(QUANTILE, "Which quantile.", examples=("0.5", "0.9")),
    Attribute(SOURCE, "Where the exporter's counts come from.", {"prometheus": "Queried.", "otlp": "Received."}),
    Attribute(FILE, "The baseline's file, as configured.", examples=("churn-3.json",)),
)

_MODEL = (MODEL_NAME, MODEL_VERSION)
_BINNED = (*_MODEL, BASELINE_ID)
_SEGMENTED = ((SEGMENT, "The monitor declares segments."),)
_OF_A_TASK = ((MODEL_TASK, "The baseline knows the predictions."),)

# What the plugin emits
INFERENCE_DURATION = Metric(
    "ml.inference.duration",
    "histogram",
    "s",
    "How long a call to the model took.",
    (*_MODEL, ERROR_TYPE),
    ((ERROR_TYPE, "The call failed, or its input was rejected."),),
)
INFERENCE_ROWS = Metric("ml.inference.rows", "counter", "{row}", "Rows given to the model.", _MODEL)
FEATURE_OBSERVATIONS = Metric(
    "ml.feature.observations",
    "counter",
    "{observation}",
    "Values of a feature, per bin of the baseline.",
    (*_BINNED, FEATURE_NAME, BIN),
)
FEATURE_VIOLATIONS = Metric(
    "ml.feature.violations",
    "counter",
    "{violation}",
    "Values of a feature that the baseline's schema does not allow.",
    (*_BINNED, FEATURE_NAME, VIOLATION_TYPE),
)
PREDICTION_OBSERVATIONS = Metric(
    "ml.prediction.observations",
    "counter",
    "{observation}",
    "Predictions, per class or interval of the baseline.",
    (*_BINNED, BIN, SEGMENT),
    _SEGMENTED,
)
CONFIDENCE_OBSERVATIONS = Metric(
    "ml.confidence.observations", "counter", "{observation}", "Confidences of predictions, per bin.", (*_BINNED, BIN, SEGMENT), _SEGMENTED
)
OUTPUT_OBSERVATIONS = Metric(
    "ml.output.observations",
    "counter",
    "{observation}",
    "Predictions of an output other than the first, per class or interval of the baseline.",
    (*_BINNED, OUTPUT_NAME, BIN),
)
PREDICTION_ABSTENTIONS = Metric(
    "ml.prediction.abstentions", "counter", "{row}", "Rows whose prediction was withheld: the caller got the fallback.", _MODEL
)
SHADOW_COMPARISONS = Metric(
    "ml.shadow.comparisons",
    "counter",
    "{row}",
    "Rows that were also sent to a shadow, by how its answer compares with the primary's.",
    (*_MODEL, SHADOW_RESULT),
)
VERIFICATION_RECORDS = Metric(
    "ml.verification.records",
    "gauge",
    "{record}",
    "Golden records of the baseline in the last verification, by result.",
    (*_MODEL, VERIFICATION_RESULT),
)
OUTLIER_OBSERVATIONS = Metric(
    "ml.outlier.observations", "counter", "{observation}", "Squared Mahalanobis distances of rows, per bin.", (*_BINNED, BIN)
)
ENERGY_OBSERVATIONS = Metric(
    "ml.energy.observations", "counter", "{observation}", "Energies of the logits that a model returns, per bin.", (*_BINNED, BIN)
)
MODEL_INFO = Metric(
    "ml.model.info",
    "gauge",
    "{model}",
    "1 for each model being served.",
    (*_BINNED, MODEL_TASK, MODEL_ROLE),
    ((BASELINE_ID, "There is a baseline."), *_OF_A_TASK),
)
MONITOR_DROPPED = Metric("ml.monitor.dropped", "counter", "{row}", "Rows that could not be counted.", (*_MODEL, DROP_REASON))
MONITOR_ERRORS = Metric("ml.monitor.errors", "counter", "{error}", "Internal errors of the monitor itself.", (*_MODEL, ERROR_TYPE))

PLUGIN_METRICS: Final = (
    INFERENCE_DURATION,
    INFERENCE_ROWS,
    FEATURE_OBSERVATIONS,
    FEATURE_VIOLATIONS,
    PREDICTION_OBSERVATIONS,
    OUTPUT_OBSERVATIONS,
    CONFIDENCE_OBSERVATIONS,
    OUTLIER_OBSERVATIONS,
    ENERGY_OBSERVATIONS,
    PREDICTION_ABSTENTIONS,
    SHADOW_COMPARISONS,
    VERIFICATION_RECORDS,
    MODEL_INFO,
    MONITOR_DROPPED,
    MONITOR_ERRORS,
)

# What the exporter publishes
_WINDOWED = (*_MODEL, WINDOW, REFERENCE)
_PER_FEATURE = (*_MODEL, FEATURE_NAME, WINDOW, REFERENCE)
_PER_SEGMENT = (*_MODEL, SEGMENT, WINDOW, REFERENCE)
_PER_OUTPUT = (*_MODEL, OUTPUT_NAME, WINDOW, REFERENCE)
_OUTCOMES = (*_MODEL, WINDOW)
_PERFORMANCE = (*_OUTCOMES, METRIC, ESTIMATE)
_OF_A_FEATURE = ((FEATURE_NAME, "The signal is `feature`."),)

FEATURE_PSI = Metric("ml.feature.psi", "gauge", "", "Population stability index of a feature against its reference.", _PER_FEATURE)
FEATURE_PSI_NOISE_FLOOR = Metric(
    "ml.feature.psi.noise_floor",
    "gauge",
    "",
    "PSI that chance alone stays below, over all features of the model, in 99 % of windows.",
    _PER_FEATURE,
)
FEATURE_KS = Metric(
    "ml.feature.ks", "gauge", "", "Largest gap between the cumulative shares of bins, now and in the baseline.", _PER_FEATURE
)
FEATURE_JS_DISTANCE = Metric(
    "ml.feature.js_distance", "gauge", "", "Jensen-Shannon distance of a feature from the baseline, from 0 to 1.", _PER_FEATURE
)
FEATURE_WASSERSTEIN = Metric(
    "ml.feature.wasserstein",
    "gauge",
    "",
    "How far the values of a numeric feature moved, in standard deviations of the baseline.",
    _PER_FEATURE,
)
FEATURE_DRIFT_PVALUE = Metric(
    "ml.feature.drift_pvalue",
    "gauge",
    "",
    "Probability of counts so far apart if nothing had changed, adjusted over the features of the model.",
    _PER_FEATURE,
)
FEATURE_IMPACT = Metric("ml.feature.impact", "gauge", "", "Importance of a feature times its PSI.", _PER_FEATURE)
FEATURE_MISSING_RATIO = Metric("ml.feature.missing.ratio", "gauge", "", "Share of values that were missing.", _PER_FEATURE)
FEATURE_UNSEEN_RATIO = Metric("ml.feature.unseen.ratio", "gauge", "", "Share of values outside the baseline's vocabulary.", _PER_FEATURE)
FEATURE_OUT_OF_RANGE_RATIO = Metric(
    "ml.feature.out_of_range.ratio", "gauge", "", "Share of values outside the range the baseline observed.", _PER_FEATURE
)
FEATURE_TOP_BIN_RATIO = Metric("ml.feature.top_bin.ratio", "gauge", "", "Share of the fullest bin of a feature.", _PER_FEATURE)
FEATURE_DRIFTED = Metric("ml.feature.drifted", "gauge", "", "The verdict: 1 when the feature drifted, else 0.", _PER_FEATURE)
PREDICTION_PSI = Metric("ml.prediction.psi", "gauge", "", "PSI of the predictions.", _WINDOWED)
PREDICTION_PSI_NOISE_FLOOR = Metric(
    "ml.prediction.psi.noise_floor", "gauge", "", "PSI of predictions that chance alone stays below.", _WINDOWED
)
OUTPUT_PSI = Metric("ml.output.psi", "gauge", "", "PSI of an output other than the first.", _PER_OUTPUT)
OUTPUT_PSI_NOISE_FLOOR = Metric(
    "ml.output.psi.noise_floor", "gauge", "", "PSI of an output other than the first that chance alone stays below.", _PER_OUTPUT
)
CONFIDENCE_PSI = Metric("ml.confidence.psi", "gauge", "", "PSI of the confidences.", _WINDOWED)
CONFIDENCE_PSI_NOISE_FLOOR = Metric(
    "ml.confidence.psi.noise_floor", "gauge", "", "PSI of confidences that chance alone stays below.", _WINDOWED
)
CONFIDENCE_MEAN = Metric(
    "ml.confidence.mean", "gauge", "", "How sure the model was of the class it predicted, on average; from bins.", _OUTCOMES
)
OUTLIER_PSI = Metric("ml.outlier.psi", "gauge", "", "PSI of the rows' squared Mahalanobis distances.", _WINDOWED)
OUTLIER_PSI_NOISE_FLOOR = Metric(
    "ml.outlier.psi.noise_floor", "gauge", "", "PSI of squared Mahalanobis distances that chance alone stays below.", _WINDOWED
)
ENERGY_PSI = Metric("ml.energy.psi", "gauge", "", "PSI of the energies of logits.", _WINDOWED)
ENERGY_PSI_NOISE_FLOOR = Metric(
    "ml.energy.psi.noise_floor", "gauge", "", "PSI of the energies of logits that chance alone stays below.", _WINDOWED
)
SEGMENT_PREDICTION_PSI = Metric("ml.segment.prediction.psi", "gauge", "", "PSI of a segment's predictions against the rest.", _PER_SEGMENT)
SEGMENT_PREDICTION_PSI_NOISE_FLOOR = Metric(
    "ml.segment.prediction.psi.noise_floor", "gauge", "", "PSI of a segment's predictions that chance alone stays below.", _PER_SEGMENT
)
SEGMENT_CONFIDENCE_PSI = Metric("ml.segment.confidence.psi", "gauge", "", "PSI of a segment's confidences against the rest.", _PER_SEGMENT)
SEGMENT_CONFIDENCE_PSI_NOISE_FLOOR = Metric(
    "ml.segment.confidence.psi.noise_floor", "gauge", "", "PSI of a segment's confidences that chance alone stays below.", _PER_SEGMENT
)
DRIFTED_FEATURES_RATIO = Metric(
    "ml.drifted_features.ratio", "gauge", "", "Share of features that drifted, adjusted for chance over all features.", _WINDOWED
)
MMD = Metric("ml.mmd", "gauge", "", "Maximum mean discrepancy of sampled rows from the baseline's: all features together.", _OUTCOMES)
MMD_NOISE_FLOOR = Metric("ml.mmd.noise_floor", "gauge", "", "Maximum mean discrepancy that chance alone stays below.", _OUTCOMES)
DOMAIN_CLASSIFIER_AUC = Metric(
    "ml.domain_classifier.auc",
    "gauge",
    "",
    "How well a classifier separates sampled rows from the baseline's (AUC); 0.5 is not at all.",
    _OUTCOMES,
)
DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR = Metric(
    "ml.domain_classifier.auc.noise_floor", "gauge", "", "AUC that chance alone stays below.", _OUTCOMES
)
DOMAIN_CLASSIFIER_IMPORTANCE = Metric(
    "ml.domain_classifier.importance",
    "gauge",
    "",
    "Importance of a feature to the classifier, for the ten highest, while the AUC is above its noise floor.",
    (*_MODEL, FEATURE_NAME, WINDOW),
)
PCA_ERROR_RATIO = Metric(
    "ml.pca.error.ratio",
    "gauge",
    "",
    "Distance of sampled rows from the plane in which the baseline varies, divided by that of the baseline's own rows.",
    _OUTCOMES,
)
PCA_ERROR_RATIO_NOISE_FLOOR = Metric(
    "ml.pca.error.ratio.noise_floor", "gauge", "", "Ratio of distances from the plane that chance alone stays below.", _OUTCOMES
)
HOTELLING_T2 = Metric("ml.hotelling_t2", "gauge", "", "Hotelling's T2: how far the means of sampled rows moved together.", _OUTCOMES)
HOTELLING_T2_NOISE_FLOOR = Metric("ml.hotelling_t2.noise_floor", "gauge", "", "T2 that chance alone stays below.", _OUTCOMES)
ESTIMATED_LABEL_RATIO = Metric(
    "ml.estimated_label.ratio",
    "gauge",
    "",
    "Share of a true class, estimated from the predictions and the baseline's confusion (BBSE); it assumes label shift only.",
    (*_OUTCOMES, OUTCOME_LABEL),
)
ESTIMATED_LABEL_RATIO_LOW = Metric(
    "ml.estimated_label.ratio.low", "gauge", "", "Lower end of the 95 % interval of the estimated share.", (*_OUTCOMES, OUTCOME_LABEL)
)
ESTIMATED_LABEL_RATIO_HIGH = Metric(
    "ml.estimated_label.ratio.high", "gauge", "", "Upper end of the 95 % interval of the estimated share.", (*_OUTCOMES, OUTCOME_LABEL)
)
CALIBRATION_ECE = Metric("ml.calibration.ece", "gauge", "", "Expected calibration error.", _OUTCOMES)
CALIBRATION_ECE_NOISE_FLOOR = Metric(
    "ml.calibration.ece.noise_floor",
    "gauge",
    "",
    "Expected calibration error that a calibrated model would show with these counts.",
    _OUTCOMES,
)
CALIBRATION_MCE = Metric("ml.calibration.mce", "gauge", "", "Largest calibration gap of a bin with enough outcomes.", _OUTCOMES)
BRIER_SCORE = Metric("ml.brier_score", "gauge", "", "Mean squared error of the confidence.", _OUTCOMES)
PERFORMANCE = Metric(
    "ml.performance", "gauge", "", "A score of the predictions, measured with labels or estimated without them.", _PERFORMANCE
)
PERFORMANCE_LOW = Metric("ml.performance.low", "gauge", "", "Lower end of the 95 % interval of the score.", _PERFORMANCE)
PERFORMANCE_HIGH = Metric("ml.performance.high", "gauge", "", "Upper end of the 95 % interval of the score.", _PERFORMANCE)
WINDOW_SAMPLES = Metric(
    "ml.window.samples", "gauge", "", "Samples in the window; below the minimum there is no score.", (*_MODEL, WINDOW, SIGNAL)
)
OUTCOME_COVERAGE_RATIO = Metric(
    "ml.outcome.coverage.ratio", "gauge", "", "Share of the window's predictions that have an outcome.", _OUTCOMES
)
OUTCOME_LAST_TIMESTAMP = Metric("ml.outcome.last_timestamp", "gauge", "s", "When the last outcome arrived, Unix time.", _MODEL)
OUTCOME_DELAY = Metric(
    "ml.outcome.delay",
    "gauge",
    "s",
    "Time between prediction and outcome, of the outcomes that arrived in the window.",
    (*_OUTCOMES, QUANTILE),
)
CALIBRATION_ECE_DEBIASED = Metric(
    "ml.calibration.ece.debiased", "gauge", "", "Root-mean-square calibration error, without what chance alone adds.", _OUTCOMES
)
CALIBRATION_ECE_EQUAL_MASS = Metric(
    "ml.calibration.ece.equal_mass", "gauge", "", "Expected calibration error in bins of equal mass, of the newest pairs.", _OUTCOMES
)
CALIBRATION_ECE_CLASS = Metric(
    "ml.calibration.ece.class", "gauge", "", "Expected calibration error of one predicted class.", (*_OUTCOMES, PREDICTION_CLASS)
)
LOG_LOSS = Metric("ml.log_loss", "gauge", "", "Mean log loss of the confidence.", _OUTCOMES)
SEGMENT_PERFORMANCE = Metric(
    "ml.segment.performance", "gauge", "", "A score of one segment, measured with labels.", (*_OUTCOMES, SEGMENT, METRIC)
)
SEGMENT_PERFORMANCE_LOW = Metric(
    "ml.segment.performance.low", "gauge", "", "Lower end of the 95 % interval of that score.", (*_OUTCOMES, SEGMENT, METRIC)
)
SEGMENT_PERFORMANCE_HIGH = Metric(
    "ml.segment.performance.high", "gauge", "", "Upper end of the 95 % interval of that score.", (*_OUTCOMES, SEGMENT, METRIC)
)
RESIDUAL_MEAN = Metric("ml.residual.mean", "gauge", "", "Mean error of the predictions in a range.", (*_OUTCOMES, BIN))
LABEL_KAPPA = Metric(
    "ml.label.kappa", "gauge", "", "Agreement of two sources of labels beyond chance: Cohen's kappa.", (MODEL_NAME, WINDOW, ANNOTATORS)
)
LABEL_NOISE = Metric(
    "ml.label.noise.ratio", "gauge", "", "Share of labels that a trusted source says are wrong, of those it judged.", (MODEL_NAME, WINDOW)
)
LABEL_NOISE_LOW = Metric("ml.label.noise.ratio.low", "gauge", "", "Lower end of the 95 % interval of that share.", (MODEL_NAME, WINDOW))
LABEL_NOISE_HIGH = Metric("ml.label.noise.ratio.high", "gauge", "", "Upper end of the 95 % interval of that share.", (MODEL_NAME, WINDOW))
OUTCOME_CONFUSION = Metric(
    "ml.outcome.confusion", "counter", "", "Pairs by true and by predicted class.", (*_BINNED, OUTCOME_LABEL, PREDICTION_CLASS)
)
OUTCOME_RESIDUALS = Metric(
    "ml.outcome.residuals", "counter", "", "Pairs of numbers, by range of the prediction and side of the error.", (*_BINNED, BIN, DIRECTION)
)
OUTCOME_RESIDUAL_SUM = Metric("ml.outcome.residual_sum", "counter", "", "Sum of the sizes of their errors.", (*_BINNED, BIN, DIRECTION))
_OF_A_CLASS = ((PREDICTION_CLASS, "The model predicts classes."),)
OUTCOME_VALUES = Metric(
    "ml.outcome.values", "counter", "", "Outcomes that came with a value, by decision.", (*_MODEL, PREDICTION_CLASS, DIRECTION), _OF_A_CLASS
)
OUTCOME_VALUE_SUM = Metric(
    "ml.outcome.value_sum", "counter", "", "Sum of the sizes of their values.", (*_MODEL, PREDICTION_CLASS, DIRECTION), _OF_A_CLASS
)
OUTCOME_UNMATCHED = Metric(
    "ml.outcome.unmatched", "gauge", "", "Outcomes that arrived in the window without a known prediction.", (MODEL_NAME, WINDOW)
)
_OF_A_KNOWN_MODEL = ((MODEL_NAME, "A baseline of the model is loaded."),)
OUTCOME_RECEIVED = Metric(
    "ml.outcome.received", "counter", "", "Outcomes that arrived, by result.", (MODEL_NAME, RESULT), _OF_A_KNOWN_MODEL
)
PREDICTION_RECEIVED = Metric(
    "ml.prediction.received",
    "counter",
    "",
    "Prediction events that arrived, by result.",
    (MODEL_NAME, RESULT),
    _OF_A_KNOWN_MODEL,
)
OUTCOME_PAIRS = Metric("ml.outcome.pairs", "counter", "", "Predictions whose outcome became known, per confidence bin.", (*_BINNED, BIN))
OUTCOME_POSITIVES = Metric(
    "ml.outcome.positives", "counter", "", "Pairs in which the class that the confidence belongs to came true, per bin.", (*_BINNED, BIN)
)
OUTCOME_CONFIDENCE_SUM = Metric(
    "ml.outcome.confidence_sum", "counter", "", "Sum of the confidences of the pairs, per bin.", (*_BINNED, BIN)
)
BASELINE_BIN_RATIO = Metric(
    "ml.baseline.bin.ratio", "gauge", "", "Share of a bin in the baseline.", (*_BINNED, SIGNAL, FEATURE_NAME, BIN), _OF_A_FEATURE
)
BASELINE_SAMPLES = Metric(
    "ml.baseline.samples", "gauge", "", "Samples in the baseline's histogram of a signal.", (*_BINNED, SIGNAL, FEATURE_NAME), _OF_A_FEATURE
)
BASELINE_LABEL_RATIO = Metric("ml.baseline.label.ratio", "gauge", "", "Share of a true class in the baseline.", (*_BINNED, OUTCOME_LABEL))
BASELINE_SMOOTHING = Metric(
    "ml.baseline.smoothing",
    "gauge",
    "",
    "Added to each count before PSI: 0.5 times the number of rows that count as one independent row.",
    (*_BINNED, SIGNAL, FEATURE_NAME),
    _OF_A_FEATURE,
)
BASELINE_NOISE_SCALE = Metric(
    "ml.baseline.noise_scale",
    "gauge",
    "",
    "Noise floor of PSI in units of 1/n + 1/m, design effect included; n samples in the window, m in the baseline.",
    (*_BINNED, SIGNAL, FEATURE_NAME),
    _OF_A_FEATURE,
)
BASELINE_CALIBRATION_RATIO = Metric(
    "ml.baseline.calibration.ratio", "gauge", "", "Share of the baseline's outcomes in a confidence bin that came true.", (*_BINNED, BIN)
)
BASELINE_CONFIDENCE_MEAN = Metric("ml.baseline.confidence.mean", "gauge", "", "The baseline's `ml_confidence_mean`.", _BINNED)
BASELINE_PERFORMANCE = Metric(
    "ml.baseline.performance", "gauge", "", "A score of the predictions that the baseline was built from.", (*_BINNED, METRIC)
)
BASELINE_INFO = Metric("ml.baseline.info", "gauge", "", "1 for each baseline the exporter has loaded.", (*_BINNED, MODEL_TASK), _OF_A_TASK)
BASELINE_CREATED = Metric("ml.baseline.created_timestamp", "gauge", "s", "When the baseline was made, Unix time.", _BINNED)
THRESHOLD = Metric("ml.threshold", "gauge", "", "The limit that rules compare a signal with.", (*_MODEL, SIGNAL, SEVERITY))
EXPORTER_SOURCE_UP = Metric("ml.exporter.source.up", "gauge", "", "1 when the source of counts answered the last query.", (SOURCE,))
EXPORTER_LAST_EVALUATION = Metric("ml.exporter.last_evaluation_timestamp", "gauge", "s", "When the last evaluation ended, Unix time.", ())
EXPORTER_EVALUATION_DURATION = Metric("ml.exporter.evaluation_duration", "gauge", "s", "How long the last evaluation took.", ())
EXPORTER_EVALUATION_ERRORS = Metric("ml.exporter.evaluation.errors", "counter", "", "Evaluations that failed.", ())
EXPORTER_BASELINE_MISMATCHES = Metric(
    "ml.exporter.baseline.mismatches",
    "gauge",
    "",
    "1 for each model that is served with another baseline than the loaded one.",
    _MODEL,
)
EXPORTER_BASELINE_MISSING = Metric(
    "ml.exporter.baseline.missing", "gauge", "", "1 for each configured baseline that cannot be used.", (FILE,)
)
EXPORTER_POINTS_DROPPED = Metric(
    "ml.exporter.points.dropped", "counter", "", "Data points received over OTLP that could not be counted.", (DROP_REASON,)
)
EXPORTER_STORE_ROWS = Metric("ml.exporter.store.rows", "gauge", "", "Predictions and outcomes that are stored.", ())
EXPORTER_STORE_LIMIT = Metric("ml.exporter.store.limit", "gauge", "", "Predictions and outcomes that may be stored.", ())
EXPORTER_REQUESTS_REFUSED = Metric(
    "ml.exporter.requests.refused", "counter", "", "Requests with predictions or outcomes that were refused.", (DROP_REASON,)
)

EXPORTER_METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric) and value not in PLUGIN_METRICS)
METRICS: Final = PLUGIN_METRICS + EXPORTER_METRICS

# Log records, opt-in
EVENTS: Final = (
    Event(
        EVENT_PREDICTION,
        "A prediction was made.",
        (
            *_BINNED,
            MODEL_ROLE,
            SEGMENT,
            PREDICTION_ID,
            PREDICTION_CLASS,
            PREDICTION_VALUE,
            PREDICTION_CONFIDENCE,
            PREDICTION_WEIGHT,
            PREDICTION_FEATURES,
            PREDICTION_ABSTAINED,
            PREDICTION_ENERGY,
            OUTLIER_DISTANCE,
        ),
        (
            *_SEGMENTED,
            (PREDICTION_CLASS, "The model predicts classes."),
            (PREDICTION_VALUE, "The model predicts numbers."),
            (PREDICTION_CONFIDENCE, "The model gives one."),
            (PREDICTION_WEIGHT, "Only a share of the predictions is sent."),
            (PREDICTION_FEATURES, "Switched on by the user."),
            (PREDICTION_ABSTAINED, "The prediction was withheld."),
            (PREDICTION_ENERGY, "One prediction, of a model that returns logits."),
            (OUTLIER_DISTANCE, "One prediction, if the baseline has the distances of its rows."),
        ),
    ),
    Event(
        EVENT_OUTCOME,
        "The truth about a prediction became known.",
        (MODEL_NAME, PREDICTION_ID, OUTCOME_LABEL, OUTCOME_SOURCE, OUTCOME_VALUE),
        ((OUTCOME_SOURCE, "The label names its source."), (OUTCOME_VALUE, "The decision has a value.")),
    ),
)
