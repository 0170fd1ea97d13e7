"""Where each series of a model lives in its one array of counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Final

from otel_ml import catalogue as names
from otel_ml._runs import run_limit
from otel_ml.baseline import Baseline, Feature, Histogram, Output, Rules
from otel_ml.catalogue import Metric

Attributes = Mapping[str, str]

SERIES_BUDGET: Final = 2_000
"""Series of one instrument of one Meter that the OpenTelemetry SDK keeps apart by default."""


@dataclass(frozen=True)
class Series:
    """The consecutive places that one metric has in the array: from `start`, one for each set of attributes."""

    start: int
    attributes: tuple[Attributes, ...]

    @property
    def stop(self) -> int:
        """One past the last place."""
        return self.start + len(self.attributes)

    @cached_property
    def parts(self) -> tuple[Series, ...]:
        """The series of features in parts of whole features, of which none is larger than the SDK keeps apart, if no feature is."""
        found = [Series(self.start, ())]
        for _, of_feature in groupby(self.attributes, key=itemgetter(names.FEATURE_NAME)):
            more, last = tuple(of_feature), found[-1]
            if last.attributes and len(last.attributes) + len(more) > SERIES_BUDGET:
                found.append(Series(last.stop, more))
            else:
                found[-1] = Series(last.start, last.attributes + more)
        return tuple(found)


class Layout:
    """The places of all counts of one model and version; those of a baseline exist from the start, at zero.

    With `segments` the predictions and confidences have their bins once for each segment, one segment after the other.
    """

    def __init__(
        self, model: str, version: str, baseline: Baseline | None, *, role: str = names.ROLE_STABLE, segments: Sequence[str] = ()
    ) -> None:
        self.baseline = baseline
        self.role = role
        self.segments = tuple(segments)
        self.model_attributes = {names.MODEL_NAME: model, names.MODEL_VERSION: version}
        self.series: dict[Metric, Series] = {}
        self.size = 0
        self._place(names.INFERENCE_ROWS, [self.model_attributes])
        reasons = (names.DROP_ERROR, names.DROP_UNSUPPORTED)
        self._place(names.MONITOR_DROPPED, [{**self.model_attributes, names.DROP_REASON: reason} for reason in reasons])
        self._place(names.PREDICTION_ABSTENTIONS, [self.model_attributes])
        if role == names.ROLE_SHADOW:
            results = [{**self.model_attributes, names.SHADOW_RESULT: result} for result in names.SHADOW_RESULTS]
            self._place(names.SHADOW_COMPARISONS, results)
        if baseline is not None:
            self._place_baseline(baseline)

    @property
    def identity(self) -> tuple[str, ...]:
        """Two layouts of one identity have the same places: model and version, then what else the places hang on."""
        return (*self.binned_attributes.values(), self.role, *self.segments)

    @cached_property
    def binned_attributes(self) -> dict[str, str]:
        """What every binned counter carries."""
        fingerprint = {} if self.baseline is None else {names.BASELINE_ID: self.baseline.fingerprint}
        return {**self.model_attributes, **fingerprint}

    def _place_baseline(self, baseline: Baseline) -> None:
        self.feature_start: dict[str, int] = {}
        self.violation_start: dict[str, dict[str, int]] = {}
        observations: list[Attributes] = []
        violations: list[Attributes] = []
        for feature in baseline.features:
            of_feature = {**self.binned_attributes, names.FEATURE_NAME: feature.name}
            self.feature_start[feature.name] = self.size + len(observations)
            observations += [{**of_feature, names.BIN: label} for label in feature.histogram.labels]
        self._place(names.FEATURE_OBSERVATIONS, observations)
        for feature in baseline.features:
            of_feature = {**self.binned_attributes, names.FEATURE_NAME: feature.name}
            kinds = violations_of(feature)
            self.violation_start[feature.name] = {kind: self.size + len(violations) + i for i, kind in enumerate(kinds)}
            violations += [{**of_feature, names.VIOLATION_TYPE: kind} for kind in kinds]
        self.extra_column = self.size + len(violations)
        extra_column = {names.FEATURE_NAME: names.OTHER, names.VIOLATION_TYPE: names.VIOLATION_EXTRA_COLUMN}
        self._place(names.FEATURE_VIOLATIONS, [*violations, {**self.binned_attributes, **extra_column}])
        outliers = baseline.outliers.histogram if baseline.outliers else None
        segments = [{names.SEGMENT: segment} for segment in self.segments] or [{}]
        self._place_histogram(names.PREDICTION_OBSERVATIONS, baseline.prediction, segments)
        if baseline.outputs:
            self._place_outputs(baseline.outputs)
        self._place_histogram(names.CONFIDENCE_OBSERVATIONS, baseline.confidence, segments)
        self._place_histogram(names.ENERGY_OBSERVATIONS, baseline.energy, [{}])
        self._place_histogram(names.OUTLIER_OBSERVATIONS, outliers, [{}])

    def _place_outputs(self, outputs: Sequence[Output]) -> None:
        attributes: list[Attributes] = []
        self.output_start: dict[str, int] = {}
        for output in outputs:
            of_output = {**self.binned_attributes, names.OUTPUT_NAME: output.name}
            self.output_start[output.name] = self.size + len(attributes)
            attributes += [{**of_output, names.BIN: label} for label in output.histogram.labels]
        self._place(names.OUTPUT_OBSERVATIONS, attributes)

    def _place_histogram(self, metric: Metric, histogram: Histogram | None, parts: Sequence[Attributes]) -> None:
        if histogram is not None:
            self._place(metric, [{**self.binned_attributes, names.BIN: label, **part} for part in parts for label in histogram.labels])

    def _place(self, metric: Metric, attributes: Sequence[Attributes]) -> None:
        self.series[metric] = Series(self.size, tuple(attributes))
        self.size += len(attributes)


def violations_of(feature: Feature) -> tuple[str, ...]:
    """The kinds of violation that a feature can have; a missing value is one where the baseline had none, unless declared otherwise."""
    rules = feature.rules or Rules()
    kinds = [names.VIOLATION_MISSING_COLUMN]
    if is_required(feature):
        kinds.append(names.VIOLATION_MISSING)
    if feature.type == "categorical":
        kinds += [names.VIOLATION_UNSEEN, names.VIOLATION_DEFAULT]
    else:
        kinds += [names.VIOLATION_TYPE_MISMATCH, names.VIOLATION_INFINITE, names.VIOLATION_OUT_OF_RANGE, names.VIOLATION_FAR]
        kinds += [names.VIOLATION_DEFAULT] if feature.defaults else []
    if rules.pattern is not None:
        kinds.append(names.VIOLATION_PATTERN)
    if rules.minimum is not None or rules.maximum is not None:
        kinds.append(names.VIOLATION_BOUNDS)
    if rules.enum is not None:
        kinds.append(names.VIOLATION_NOT_ALLOWED)
    if math.isfinite(run_limit(feature)):
        kinds.append(names.VIOLATION_STUCK)
    return tuple(kinds)


def is_required(feature: Feature) -> bool:
    """Whether a missing value is a violation."""
    declared = None if feature.rules is None else feature.rules.required
    return feature.histogram.counts[-2] == 0 if declared is None else declared
