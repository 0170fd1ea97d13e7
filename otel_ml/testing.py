"""Read back what was counted, for the tests of code that is monitored; needs no OpenTelemetry SDK."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml.errors import ConfigurationError, Fault
from otel_ml.monitor import Monitor, monitor_of


@dataclass(frozen=True)
class Counted:
    """What a monitor has counted so far, zeros included: feature, bin or kind to count.

    `segments` counts predictions, `outputs` those of each output beside the first, `verifications` the golden records of the last time.
    """

    rows: int
    features: Mapping[str, Mapping[str, int]]
    violations: Mapping[str, Mapping[str, int]]
    predictions: Mapping[str, int]
    outputs: Mapping[str, Mapping[str, int]]
    confidences: Mapping[str, int]
    energies: Mapping[str, int]
    outliers: Mapping[str, int]
    segments: Mapping[str, int]
    dropped: Mapping[str, int]
    errors: Mapping[str, int]
    verifications: Mapping[str, int]


def collect(monitor: Monitor | Callable[..., Any]) -> Counted:
    """Everything that a monitor, or that of a monitored function, has counted; waiting rows are counted first.

    Raises `ConfigurationError` for what is neither.

    >>> import numpy as np, otel_ml
    >>> ages = np.arange(20.0, 70.0).reshape(-1, 1)
    >>> baseline = otel_ml.Baseline.from_data(ages, model="churn", version="4", feature_names=["age"], bins=2)
    >>> monitor = otel_ml.Monitor(baseline)
    >>> _ = monitor.wrap(lambda rows: None)([{"age": 30}, {"age": None}])
    >>> collect(monitor).features["age"]
    {'00 (-inf, 44]': 1, '01 (44, inf]': 0, '__missing__': 1, '__other__': 0}
    """
    found = monitor if isinstance(monitor, Monitor) else monitor_of(monitor)
    if found is None:
        mend = "give a Monitor, or a function that one monitors"
        raise ConfigurationError("otel_ml.testing.collect", [Fault("monitor", f"is {monitor!r:.80}", mend)])
    counts = found._counts  # noqa: SLF001
    values = counts.read().tolist()

    def flat(metric: Metric, key: str) -> dict[str, int]:
        series = counts.layout.series.get(metric)
        if series is None:
            return {}
        found: Counter[str] = Counter()
        for i, attributes in enumerate(series.attributes):
            found[attributes[key]] += values[series.start + i]
        return dict(found)

    def nested(metric: Metric, key: str, of: str = names.FEATURE_NAME) -> dict[str, dict[str, int]]:
        series = counts.layout.series.get(metric)
        found: dict[str, dict[str, int]] = {}
        for i, attributes in enumerate(series.attributes if series is not None else ()):
            found.setdefault(attributes[of], {})[attributes[key]] = values[series.start + i]  # type: ignore[union-attr]
        return found

    return Counted(
        rows=values[0],
        features=nested(names.FEATURE_OBSERVATIONS, names.BIN),
        violations=nested(names.FEATURE_VIOLATIONS, names.VIOLATION_TYPE),
        predictions=flat(names.PREDICTION_OBSERVATIONS, names.BIN),
        outputs=nested(names.OUTPUT_OBSERVATIONS, names.BIN, names.OUTPUT_NAME),
        confidences=flat(names.CONFIDENCE_OBSERVATIONS, names.BIN),
        energies=flat(names.ENERGY_OBSERVATIONS, names.BIN),
        outliers=flat(names.OUTLIER_OBSERVATIONS, names.BIN),
        segments=flat(names.PREDICTION_OBSERVATIONS, names.SEGMENT) if counts.layout.segments else {},
        dropped=flat(names.MONITOR_DROPPED, names.DROP_REASON),
        errors=counts.guard.counts(),
        verifications=found._owners.verified,  # noqa: SLF001
    )
