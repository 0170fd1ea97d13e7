"""`otel-ml baseline build --from-prometheus`: what a served model was given, as a baseline."""

from __future__ import annotations

import argparse
import datetime as dt
import math
import re
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from otel_ml import Baseline, OtelMLError
from otel_ml import catalogue as names
from otel_ml.baseline import Feature, Histogram
from otel_ml_exporter.cli.servers import access
from otel_ml_exporter.config import PrometheusSettings, Window
from otel_ml_exporter.counts import Series
from otel_ml_exporter.shape import UnfitError, duration
from otel_ml_exporter.sources.prometheus import PrometheusSource

_INTERVAL = re.compile(r"\d{2,} \((\S+), (\S+)\]")
_COUNTED = (
    names.FEATURE_OBSERVATIONS,
    names.PREDICTION_OBSERVATIONS,
    names.OUTPUT_OBSERVATIONS,
    names.CONFIDENCE_OBSERVATIONS,
    names.OUTLIER_OBSERVATIONS,
    names.ENERGY_OBSERVATIONS,
)
_CONFIDENCE = tuple(index / 15 for index in range(1, 15))

Bins = dict[str, float]
Counted = dict[tuple[str, str], Bins]
"""Counts per bin of each metric and feature."""


class HistoryError(OtelMLError):
    """Prometheus has no counts that a baseline could be made of."""


def from_prometheus(options: argparse.Namespace) -> Baseline:
    """The baseline of what Prometheus counted over the range; raises `OtelMLError` that says what to do."""
    like = Baseline.load(options.like) if options.like else None
    model, version = (options.model or like.model, options.version or like.version) if like else (options.model, options.version)
    window = _window(options.range)
    counts = _counts(options, window)
    found = {key: counted for key, counted in counts.items() if key[:2] == (model, version)}
    if not any(sum(bins.values()) for counted in found.values() for bins in counted.values()):
        others = ", ".join(sorted({f"{name} {release}" for name, release, _ in counts})) or "none"
        raise HistoryError(
            f"{options.from_prometheus} counted nothing of model {model} {version} in {window.label}; models it knows: {others}; "
            "check --model, --version and --range, and that the counters are scraped"
        )
    if like is not None:
        return _like(like, _of_baseline(found, like.fingerprint, str(options.like)), model, version)
    return _parsed(model, version, _only(found))


def _window(text: str) -> Window:
    try:
        return Window(text, duration(text))
    except UnfitError as error:
        raise HistoryError(f"--range {error.problem}; {error.mend}") from None


def _counts(options: argparse.Namespace, window: Window) -> dict[tuple[str, str, str], Counted]:
    """What was counted for each model, version and baseline."""
    source = PrometheusSource(PrometheusSettings(options.from_prometheus.rstrip("/"), 120.0, access(options)))
    models: dict[tuple[str, str, str], Counted] = defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
    try:
        at = time.time()
        for metric in _COUNTED:
            for what, count in source.increases(metric, window, at):
                models[_owner(what)][metric.name, what.feature][what.bin] += count
    finally:
        source.close()
    return models


def _owner(what: Series) -> tuple[str, str, str]:
    return what.model, what.version, what.baseline_id


def _of_baseline(found: Mapping[tuple[str, str, str], Counted], fingerprint: str, file: str) -> Counted:
    for (_, _, baseline_id), counted in found.items():
        if baseline_id == fingerprint:
            return counted
    ids = ", ".join(sorted(baseline_id for _, _, baseline_id in found))
    raise HistoryError(
        f"the counts are in the bins of baseline {ids}, and {file} is {fingerprint}; give the file that the model is served with"
    )


def _only(found: Mapping[tuple[str, str, str], Counted]) -> Counted:
    if len(found) > 1:
        ids = ", ".join(sorted(baseline_id for _, _, baseline_id in found))
        raise HistoryError(
            f"the counts are in the bins of {len(found)} baselines ({ids}); choose one with --like FILE, or a shorter --range"
        )
    return next(iter(found.values()))


def _like(like: Baseline, counted: Counted, model: str, version: str) -> Baseline:
    """The same bins, ranges, vocabulary and quality with other counts."""

    def again(histogram: Histogram | None, metric: names.Metric, feature: str = "") -> Histogram | None:
        bins = counted.get((metric.name, feature))
        if histogram is None or bins is None:
            return histogram
        return replace(histogram, counts=tuple(round(bins.get(label, 0.0)) for label in histogram.labels))

    features = []
    for feature in like.features:
        histogram = again(feature.histogram, names.FEATURE_OBSERVATIONS, feature.name)
        assert histogram is not None
        features.append(replace(feature, histogram=histogram))
    outputs = [
        replace(output, histogram=again(output.histogram, names.OUTPUT_OBSERVATIONS, output.name) or output.histogram)
        for output in like.outputs
    ]
    outliers = like.outliers and replace(
        like.outliers, histogram=again(like.outliers.histogram, names.OUTLIER_OBSERVATIONS) or like.outliers.histogram
    )
    return replace(
        like,
        model=model,
        version=version,
        created=_now(),
        samples=_samples(counted),
        features=tuple(features),
        prediction=again(like.prediction, names.PREDICTION_OBSERVATIONS),
        confidence=again(like.confidence, names.CONFIDENCE_OBSERVATIONS),
        energy=again(like.energy, names.ENERGY_OBSERVATIONS),
        outliers=outliers,
        outputs=tuple(outputs),
    )


def _parsed(model: str, version: str, counted: Counted) -> Baseline:
    """Bins as their labels name them, edges rounded to six digits; no range, no vocabulary beyond the bins, no quality."""
    features = [_feature(name, bins) for (metric, name), bins in counted.items() if metric == names.FEATURE_OBSERVATIONS.name]
    if not features:
        raise HistoryError(
            f"Prometheus has no {names.FEATURE_OBSERVATIONS.prometheus} of model {model} {version}; serve it with a baseline first"
        )
    prediction, confidence = (
        _histogram(metric.name, counted[metric.name, ""]) if (metric.name, "") in counted else None
        for metric in (names.PREDICTION_OBSERVATIONS, names.CONFIDENCE_OBSERVATIONS)
    )
    if confidence is not None and confidence.labels == (exact := replace(confidence, edges=_CONFIDENCE)).labels:
        confidence = exact
    classes = prediction.categories if prediction is not None else ()
    return Baseline(
        model=model,
        version=version,
        task=None
        if prediction is None
        else "regression"
        if prediction.edges is not None
        else "binary"
        if len(classes) == 2
        else "multiclass",
        created=_now(),
        samples=_samples(counted),
        features=tuple(sorted(features, key=lambda feature: feature.name)),
        classes=classes,
        prediction=prediction,
        confidence=confidence,
    )


def _feature(name: str, bins: Bins) -> Feature:
    histogram = _histogram(name, bins)
    if histogram.edges is not None:
        return Feature(name, "numeric", histogram)
    if histogram.counts[-1]:
        print(
            f"otel-ml: feature {name}: {histogram.counts[-1]:,} values have no bin, and counts do not have their names: they will be "
            "counted as unseen; --like OLD.json keeps the vocabulary",
            file=sys.stderr,
        )
    return Feature(name, "categorical", histogram, vocabulary=histogram.categories)


def _histogram(name: str, bins: Bins) -> Histogram:
    """The histogram that has these labels."""
    labels = sorted(label for label in bins if label not in (names.MISSING, names.OTHER))
    bounds = [_INTERVAL.fullmatch(label) for label in labels]
    edges = None
    if bounds and all(bounds):
        pairs = [(float(found[1]), float(found[2])) for found in bounds if found]
        edges = tuple(upper for _, upper in pairs[:-1])
        whole = pairs[0][0] == -math.inf and pairs[-1][1] == math.inf and all(one[1] == two[0] for one, two in pairwise(pairs))
        if not whole or list(edges) != sorted(set(edges)):
            raise HistoryError(f"the bins of {name} have gaps, or edges that six digits do not tell apart; give --like OLD.json")
    empty = Histogram(edges, () if edges is not None else _in_order(labels), ())
    return replace(empty, counts=tuple(round(bins.get(label, 0.0)) for label in empty.labels))


def _in_order(labels: list[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(labels, key=float))
    except ValueError:
        return tuple(labels)


def _samples(counted: Counted) -> int:
    return round(max(sum(bins.values()) for bins in counted.values()))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
