"""The baseline and the limits of its model as series, so that rules and dashboards need no file of ours."""

from __future__ import annotations

from collections.abc import Iterator

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline, Histogram
from otel_ml_exporter.evaluate.confidence import mean_confidence
from otel_ml_exporter.evaluate.noise import Noise, of_feature, of_output
from otel_ml_exporter.evaluate.outputs import signals
from otel_ml_exporter.evaluate.readings import Reading
from otel_ml_exporter.thresholds import BASELINE, Limits

_SCORES = next(frozenset(attribute.values) for attribute in names.ATTRIBUTES if attribute.name == names.METRIC)


def describe(baseline: Baseline, limits: Limits) -> tuple[Reading, ...]:
    """The baseline and the limits of its model as series."""
    identity = (baseline.model, baseline.version, baseline.fingerprint)
    return (
        Reading(names.BASELINE_INFO, (*identity, baseline.task or ""), 1.0),
        Reading(names.BASELINE_CREATED, identity, baseline.created.timestamp()),
        *(_content(baseline, identity) if limits.wants(BASELINE) else ()),
        *_limits(identity, limits),
    )


def _limits(identity: tuple[str, str, str], limits: Limits) -> Iterator[Reading]:
    for limit in limits.thresholds:
        if limit.value is not None:
            yield Reading(names.THRESHOLD, (*identity[:2], limit.signal, limit.severity), limit.value)


def _content(baseline: Baseline, identity: tuple[str, str, str]) -> Iterator[Reading]:
    for signal, feature, histogram, noise in _histograms(baseline):
        samples, quantity = histogram.samples, (*identity, signal, feature)
        yield Reading(names.BASELINE_SAMPLES, quantity, samples)
        if samples:
            yield Reading(names.BASELINE_SMOOTHING, quantity, noise.smoothing)
            yield Reading(names.BASELINE_NOISE_SCALE, quantity, noise.scale(len(histogram.counts)))
            for label, count in zip(histogram.labels, histogram.counts, strict=True):
                yield Reading(names.BASELINE_BIN_RATIO, (*identity, signal, feature, label), count / samples)
    yield from _answers(baseline, identity)
    known = baseline.calibration
    if known is not None:
        yield Reading(names.BASELINE_SAMPLES, (*identity, names.SIGNAL_CALIBRATION, ""), sum(known.outcomes))
        for label, outcomes, positives in zip(confidence_labels(known.edges), known.outcomes, known.positives, strict=True):
            if outcomes:
                yield Reading(names.BASELINE_CALIBRATION_RATIO, (*identity, label), positives / outcomes)


def _answers(baseline: Baseline, identity: tuple[str, str, str]) -> Iterator[Reading]:
    """How often each class was true, how good the predictions were, and how sure."""
    if baseline.confusion is not None:
        truths = [sum(row) for row in baseline.confusion]
        for name, truth in zip(baseline.classes, truths, strict=True) if sum(truths) else ():
            yield Reading(names.BASELINE_LABEL_RATIO, (*identity, name), truth / sum(truths))
    for metric, score in baseline.performance.items():
        if metric in _SCORES:
            yield Reading(names.BASELINE_PERFORMANCE, (*identity, metric), score)
    sure = mean_confidence(baseline, None)
    if sure is not None:
        yield Reading(names.BASELINE_CONFIDENCE_MEAN, identity, sure)


def confidence_labels(edges: tuple[float, ...]) -> tuple[str, ...]:
    """The names of the confidence bins between `edges`, as the plugin counts them; the reserved ones left out."""
    return Histogram(edges, (), ()).labels[: len(edges) + 1]


def _histograms(baseline: Baseline) -> Iterator[tuple[str, str, Histogram, Noise]]:
    for feature in baseline.features:
        yield names.SIGNAL_FEATURE, feature.name, feature.histogram, of_feature(feature, baseline)
    for signal, histogram, _, _ in signals(baseline):
        yield signal, "", histogram, of_output(baseline, signal)
