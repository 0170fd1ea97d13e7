"""From counts to numbers: one baseline, one window, no side effects; the only caller of `otel_ml.stats`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate.confidence import confidence_readings
from otel_ml_exporter.evaluate.describe import describe
from otel_ml_exporter.evaluate.estimates import estimate_readings
from otel_ml_exporter.evaluate.features import FeatureScore, feature_readings, scores, unknown_features
from otel_ml_exporter.evaluate.labels import Labelled, evaluate_outcomes, judge_of, labelled, layout_of, total_readings
from otel_ml_exporter.evaluate.outputs import further_readings, output_readings, output_samples
from otel_ml_exporter.evaluate.readings import Reading
from otel_ml_exporter.evaluate.segments import segment_readings
from otel_ml_exporter.evaluate.shares import share_readings
from otel_ml_exporter.evaluate.truth import agreement_readings
from otel_ml_exporter.thresholds import Limits

__all__ = [
    "Evaluation",
    "FeatureScore",
    "Labelled",
    "Reading",
    "agreement_readings",
    "describe",
    "evaluate",
    "evaluate_outcomes",
    "judge_of",
    "labelled",
    "layout_of",
    "total_readings",
]


@dataclass(frozen=True)
class Evaluation:
    """One model in one window: readings, the scores of features behind them, and why a score is absent.

    `scores` are against the baseline; `problems` are sentences.
    """

    readings: tuple[Reading, ...]
    scores: tuple[FeatureScore, ...]
    samples: float
    problems: tuple[str, ...]


def evaluate(
    baseline: Baseline,
    counts: Sequence[ModelCounts],
    window: str,
    limits: Limits,
    *,
    previous: Sequence[ModelCounts] = (),
    stable: ModelCounts | None = None,
    rest: bool = False,
) -> Evaluation:
    """Compare the counts of a window with the baseline, and with other references where there are any.

    `previous` are the counts of an earlier window, `stable` those of the model's stable version in the same bins; with `rest` each
    segment is compared with all others.

    Counts of another baseline are never compared. A score that cannot be computed, for want of samples or because a bin is
    unknown, is left out.
    """
    ours, earlier = (_of(baseline, entries) for entries in (counts, previous))
    samples = max((sum(bins.values()) for bins in ours.features.values()), default=0.0) if ours is not None else 0.0
    problems: list[str] = []
    readings = [
        Reading(names.WINDOW_SAMPLES, (baseline.model, baseline.version, window, names.SIGNAL_FEATURE), samples),
        *output_samples(baseline, ours, window),
    ]
    found: tuple[FeatureScore, ...] = ()
    if ours is not None:
        problems += unknown_features(baseline, ours)
        found = scores(baseline, ours, None, limits, problems)
        readings += feature_readings(baseline, found, window, names.REFERENCE_BASELINE, limits)
        for outputs in (output_readings, further_readings):
            readings += outputs(baseline, ours, None, window, limits, reference=names.REFERENCE_BASELINE, problems=problems)
        readings += confidence_readings(baseline, ours, window, limits)
        readings += estimate_readings(baseline, ours, window, limits)
        readings += share_readings(baseline, ours, window, limits)
        for reference, other in ((names.REFERENCE_PREVIOUS, earlier), (names.REFERENCE_STABLE, stable)):
            if other is not None:
                readings += feature_readings(baseline, scores(baseline, ours, other, limits, []), window, reference, limits)
                for outputs in (output_readings, further_readings):
                    readings += outputs(baseline, ours, other, window, limits, reference=reference, problems=[])
        readings += segment_readings(baseline, ours, window, limits) if rest else ()
    return Evaluation(tuple(readings), found, samples, tuple(problems))


def _of(baseline: Baseline, counts: Sequence[ModelCounts]) -> ModelCounts | None:
    return next((entry for entry in counts if entry.baseline_id == baseline.fingerprint), None)
