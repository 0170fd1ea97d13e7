"""What every source returns: for each model the counts of a window, in the bins of its baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml.errors import OtelMLError
from otel_ml_exporter.config import Window

Counts = Mapping[str, float]
Roles = Mapping[tuple[str, str, str], str]
"""The role of each model, version and baseline id that is being served."""

COUNTED: tuple[Metric, ...] = (
    names.FEATURE_OBSERVATIONS,
    names.FEATURE_VIOLATIONS,
    names.PREDICTION_OBSERVATIONS,
    names.OUTPUT_OBSERVATIONS,
    names.CONFIDENCE_OBSERVATIONS,
    names.OUTLIER_OBSERVATIONS,
    names.ENERGY_OBSERVATIONS,
)
"""The plugin's counters that an evaluation needs."""


class Series(NamedTuple):
    """What one number counts, whichever replica counted it.

    `bin` is the violation type where violations are counted, `feature` the segment where predictions or confidences are, the output where
    those of several are.
    """

    metric: str
    model: str
    version: str
    baseline_id: str
    feature: str
    bin: str


class Segment(NamedTuple):
    """What a model answered in one declared segment of its traffic."""

    predictions: Counts
    confidences: Counts


@dataclass(frozen=True)
class ModelCounts:
    """The counts of one model in one window, made in the bins of the baseline `baseline_id`; fractions are welcome.

    `features` and `violations` map feature names to counts per bin, and to counts per violation type. `segments` are parts of
    `predictions` and `confidences`, for a model that declares some and a source that tells them apart. `outputs` are the predictions of
    the outputs beside the first.
    """

    model: str
    version: str
    baseline_id: str
    features: Mapping[str, Counts]
    violations: Mapping[str, Counts]
    predictions: Counts
    confidences: Counts
    outliers: Counts
    energies: Counts = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    outputs: Mapping[str, Counts] = field(default_factory=dict)


class SourceError(OtelMLError):
    """The source of counts did not answer, or not with counts."""


class Source(Protocol):
    """Where counts come from."""

    name: str

    def read(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        """The counts of each window that ends at the Unix time `at`. Raises `SourceError`."""

    def earlier(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        """The counts of each window that ended at a time past; a window that is not remembered is left out. Raises `SourceError`."""

    def roles(self, at: float) -> Roles:
        """The role of each version and baseline that is being served at a time. Raises `SourceError`."""

    def close(self) -> None:
        """Give back what the source holds."""


def series(metric: Metric, attributes: Mapping[str, str]) -> Series | None:
    """What a point with these attributes counts; None where no model is named."""
    kind = names.VIOLATION_TYPE if metric is names.FEATURE_VIOLATIONS else names.BIN
    part = next((key for key in (names.SEGMENT, names.OUTPUT_NAME) if key in metric.attributes), names.FEATURE_NAME)
    keys = (names.MODEL_NAME, names.MODEL_VERSION, names.BASELINE_ID, part, kind)
    found = Series(metric.name, *(attributes.get(key, "") for key in keys))
    return found if found.model else None


def gather(counted: Iterable[tuple[Series, float]]) -> list[ModelCounts]:
    """The counts that are more than 0, sorted into models."""
    models: dict[tuple[str, str, str], dict[str, dict[str, dict[str, float]]]] = {}
    for what, count in counted:
        if count > 0:
            model = models.setdefault(what[1:4], defaultdict(lambda: defaultdict(dict)))
            bins = model[what.metric][what.feature]
            bins[what.bin] = bins.get(what.bin, 0.0) + count
    return [_model_counts(key, model) for key, model in sorted(models.items())]


def _model_counts(key: tuple[str, str, str], counted: Mapping[str, Mapping[str, Counts]]) -> ModelCounts:
    def whole(metric: Metric) -> Counts:
        parts = list(counted.get(metric.name, {}).values())
        if len(parts) == 1:
            return parts[0]
        summed: dict[str, float] = defaultdict(float)
        for bins in parts:
            for label, count in bins.items():
                summed[label] += count
        return summed

    predictions, confidences = (counted.get(metric.name, {}) for metric in (names.PREDICTION_OBSERVATIONS, names.CONFIDENCE_OBSERVATIONS))
    return ModelCounts(
        *key,
        features=counted.get(names.FEATURE_OBSERVATIONS.name, {}),
        violations=counted.get(names.FEATURE_VIOLATIONS.name, {}),
        predictions=whole(names.PREDICTION_OBSERVATIONS),
        confidences=whole(names.CONFIDENCE_OBSERVATIONS),
        outliers=whole(names.OUTLIER_OBSERVATIONS),
        energies=whole(names.ENERGY_OBSERVATIONS),
        outputs=counted.get(names.OUTPUT_OBSERVATIONS.name, {}),
        segments={
            name: Segment(predictions.get(name, {}), confidences.get(name, {})) for name in sorted({*predictions, *confidences} - {""})
        },
    )
