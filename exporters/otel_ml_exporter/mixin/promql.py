"""PromQL over the catalogue: no metric or label is spelled anywhere else in the pack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.knobs import Knobs

MODEL: Final = prometheus(names.MODEL_NAME)
VERSION: Final = prometheus(names.MODEL_VERSION)
FEATURE: Final = prometheus(names.FEATURE_NAME)
BASELINE: Final = prometheus(names.BASELINE_ID)
BIN: Final = prometheus(names.BIN)
SIGNAL: Final = prometheus(names.SIGNAL)
SEGMENT: Final = prometheus(names.SEGMENT)
OUTPUT: Final = prometheus(names.OUTPUT_NAME)
VIOLATION: Final = prometheus(names.VIOLATION_TYPE)
ROLE: Final = prometheus(names.MODEL_ROLE)
ERROR: Final = prometheus(names.ERROR_TYPE)
SEVERITY: Final = names.SEVERITY
WINDOW: Final = names.WINDOW
REFERENCE: Final = names.REFERENCE

MODEL_VERSION: Final = f"{MODEL}, {VERSION}"
MODEL_VERSION_FEATURE: Final = f"{MODEL_VERSION}, {FEATURE}"
MODEL_VERSION_BASELINE: Final = f"{MODEL_VERSION}, {BASELINE}"
QUANTITY: Final = f"{MODEL_VERSION_BASELINE}, {SIGNAL}, {FEATURE}"


REJECTED: Final = f'{ERROR}="{names.ERROR_INVALID_INPUT}"'
"""Calls whose input the monitor refused: the caller's fault, so that they count neither as calls nor as failures."""
ACCEPTED: Final = f'{ERROR}!="{names.ERROR_INVALID_INPUT}"'
FAILED: Final = f'{ERROR}!="", {ACCEPTED}'


def quoted(value: str) -> str:
    """A text as PromQL and Alertmanager read it, which take no line break as it is."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def equal(label: str, value: str) -> str:
    """A matcher of one label.

    >>> equal("window", "1h")
    'window="1h"'
    """
    return f"{label}={quoted(value)}"


def merged(*matchers: str) -> str:
    """The selector of what the SDK merged beyond its limit: series of the plugin that alone name no model.

    The mark that OpenTelemetry gives them cannot be relied on: `PrometheusMetricReader` writes it under the label that has its place
    in the first model it meets.
    """
    any_of = "|".join(f"{metric.prometheus}.*" for metric in names.PLUGIN_METRICS)
    inside = ", ".join(part for part in (f'__name__=~"{any_of}"', equal(prometheus(names.MODEL_NAME), ""), *matchers) if part)
    return f"{{{inside}}}"


@dataclass(frozen=True)
class Queries:
    """Selectors and the expressions that several rules and panels share, with a site's knobs applied."""

    knobs: Knobs

    def series(self, metric: Metric, *matchers: str, suffix: str = "") -> str:
        """The selector of a metric; `suffix` is the `_bucket`, `_sum` or `_count` of a histogram."""
        of_exporter = dict.fromkeys((self.knobs.exporter_selector, *self.knobs.place))
        site = (self.knobs.selector,) if metric in names.PLUGIN_METRICS else of_exporter
        inside = ", ".join(part for part in (*matchers, *site) if part)
        return f"{metric.prometheus}{suffix}" + (f"{{{inside}}}" if inside else "")

    def merged(self) -> str:
        """As the function `merged`, at this site."""
        return merged(self.knobs.selector)

    def windowed(self, metric: Metric, window: str, *matchers: str) -> str:
        """The selector of a score over a window, against the baseline where the metric has references."""
        reference = [equal(REFERENCE, "baseline")] if REFERENCE in metric.labels else []
        return self.series(metric, equal(WINDOW, window), *reference, *matchers)

    def score(self, metric: Metric, window: str, *matchers: str) -> str:
        """A score over a window, the same from every replica of the exporter."""
        by = ", ".join((MODEL_VERSION, *(part for part in (FEATURE, OUTPUT) if part in metric.labels)))
        return f"max by ({by}) ({self.windowed(metric, window, *matchers)})"

    def limit(self, signal: str, severity: str, *matchers: str) -> str:
        """The threshold of a signal that the exporter publishes."""
        return f"max by ({MODEL_VERSION}) ({self.series(names.THRESHOLD, equal(SIGNAL, signal), equal(SEVERITY, severity), *matchers)})"

    def samples(self, signal: str, window: str, *matchers: str) -> str:
        """How many samples the exporter saw in a window."""
        return f"max by ({MODEL_VERSION}) ({self.series(names.WINDOW_SAMPLES, equal(SIGNAL, signal), equal(WINDOW, window), *matchers)})"
