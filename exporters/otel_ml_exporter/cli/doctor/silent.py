"""Alerts of the pack that cannot fire for a model as things are, and what wakes each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.cli.doctor.links import Case
from otel_ml_exporter.mixin.groups.limits import limit
from otel_ml_exporter.mixin.groups.serving import objective, spelled
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import MODEL_VERSION, REFERENCE, ROLE, SIGNAL, equal

_TASK: Final = prometheus(names.MODEL_TASK)
_OF: Final = "MODEL"
"""Stands for the matcher of the model in the queries."""


@dataclass(frozen=True)
class Silence:
    """Alerts that have nothing to compare until a query finds something; `wake` is what a person does about it."""

    alerts: tuple[str, ...]
    why: str
    heard: str
    wake: str


def _series(metric: Metric, *matchers: str, suffix: str = "") -> str:
    return f"{metric.prometheus}{suffix}{{{', '.join((_OF, *matchers))}}}"


def _samples(signal: str) -> str:
    return _series(names.WINDOW_SAMPLES, equal(SIGNAL, signal))


def _threshold(signal: str) -> str:
    return _series(names.THRESHOLD, f'{SIGNAL}=~"{signal}"')


def _task(matcher: str) -> str:
    return _series(names.BASELINE_INFO, matcher)


_CANARY = _series(names.MODEL_INFO, equal(ROLE, names.ROLE_CANARY))
_COMPARED = _series(names.PREDICTION_PSI, equal(REFERENCE, names.REFERENCE_STABLE))
_REGRESSION, _CLASSES = _task(equal(_TASK, "regression")), _task(f'{_TASK}!="regression"')
_OBJECTIVE = f"{limit(names.SIGNAL_LATENCY)}{{{_OF}}} or on ({MODEL_VERSION}) {_threshold(names.SIGNAL_LATENCY)}"
_STATED = (
    f"{_threshold(names.SIGNAL_PERFORMANCE)} and on ({MODEL_VERSION}) {_CLASSES}\n"
    f"or {_threshold(f'{names.SIGNAL_PERFORMANCE}_.+')} and on ({MODEL_VERSION}) {_REGRESSION}"
)

BASELINE: Final = Silence(
    ("ModelFeatureDrift", "ModelDatasetDrift", "and all alerts on the exporter's scores"),
    "the exporter has no baseline for the model",
    _series(names.BASELINE_INFO),
    "name it under `models` of the exporter's configuration",
)
OF_SERVICE: Final = (
    Silence(
        ("ModelLatencyBudgetBurn",),
        "no latency objective is set, or it is not a bucket bound of ml_inference_duration_seconds",
        f"{_series(names.INFERENCE_DURATION, suffix='_bucket')}\nand on ({MODEL_VERSION}, le)\n{spelled(objective(f'({_OBJECTIVE})'))}",
        "`thresholds: {latency: 0.5s}` in the exporter's configuration, or rules rendered with `--latency-objective 0.5`",
    ),
    Silence(
        ("ModelTrafficDropped",),
        "Prometheus knows of no calls a week ago",
        f"{_series(names.INFERENCE_DURATION, suffix='_count')} offset {Knobs().season}",
        "keep its data for longer than a week, and wait; or render the rules with `--season 1d`",
    ),
    Silence(
        ("ModelVerificationFailed",),
        "no golden records were verified",
        _series(names.VERIFICATION_RECORDS),
        "build the baseline with golden=24, and call monitor.verify(predict) when the process starts",
    ),
    Silence(
        ("ModelCanaryWorse", "ModelCanaryDiffers"),
        "no version serves as a canary",
        _CANARY,
        'in a rollout, give the new version\'s monitor role="canary"',
    ),
    Silence(
        ("ModelShadowDisagrees",),
        "no version runs as a shadow",
        _series(names.SHADOW_COMPARISONS),
        'before a rollout, otel_ml.shadow(primary, candidate), with role="shadow" of the candidate\'s monitor',
    ),
)
OF_EXPORTER: Final = (
    Silence(
        ("ModelCanaryDiffers",),
        "the exporter does not compare the canary's predictions with the stable version's",
        f"{_COMPARED} and on ({MODEL_VERSION}) {_CANARY}\nor on () (vector(1) unless on () {_CANARY})",
        "`references: [baseline, stable]` in the exporter's configuration, the baselines of both versions, with the same bins "
        "(`otel-ml baseline build --like OLD`), and enough predictions of each",
    ),
    Silence(
        ("ModelPredictionShift", "ModelOutputCollapsed"),
        "the baseline has no predictions",
        _samples(names.SIGNAL_PREDICTION),
        "build it with predictions=",
    ),
    Silence(
        ("ModelConfidenceDropped",),
        "the baseline has no confidences",
        f"{_samples(names.SIGNAL_CONFIDENCE)} or {_REGRESSION}",
        "build it with probabilities as predictions=",
    ),
    Silence(
        ("ModelEstimatedAccuracyLow",),
        "the baseline has no labels with confidences",
        f"{_series(names.BASELINE_CALIBRATION_RATIO)} or {_REGRESSION}",
        "build it with probabilities as predictions= and with labels=",
    ),
    Silence(
        ("ModelDomainShift",),
        "no rows are sampled",
        _samples(names.SIGNAL_ROWS),
        "`otel-ml baseline build --sample`, `sample:` under `models` of the exporter, events= and event_features= in the monitor",
    ),
    Silence(
        ("ModelAccuracyBelowFloor",),
        "no limit says what is good enough",
        _STATED,
        "`thresholds: {performance: 0.9}` of the model in the exporter's configuration; for a regression `{performance_mae: 10}`",
    ),
    Silence(
        (
            "ModelAccuracyBelowFloor",
            "ModelSegmentDegraded",
            "ModelMiscalibrated",
            "ModelLabelsStale",
            "ModelLabelDelayHigh",
            "ModelLabelCoverageLow",
        ),
        "no outcome has arrived",
        _series(names.OUTCOME_LAST_TIMESTAMP),
        "events= in the monitor, then otel_ml.record_outcome or `otel-ml outcomes import`",
    ),
    Silence(
        ("ModelSegmentDegraded",),
        "no segment has a score",
        _series(names.SEGMENT_PERFORMANCE),
        "segment= and segments= in the monitor, and enough outcomes for each",
    ),
)


def silent(case: Case) -> Iterator[Silence]:
    """The silences of the model; without a baseline in the exporter those of its scores go without saying."""

    def heard(silence: Silence) -> bool:
        return bool(case.prometheus.vector(silence.heard.replace(_OF, case.matcher)))

    known = heard(BASELINE)
    yield from (silence for silence in OF_SERVICE if not heard(silence))
    if known:
        yield from (silence for silence in OF_EXPORTER if not heard(silence))
    else:
        yield BASELINE
