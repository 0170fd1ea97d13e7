"""Scores that Prometheus computes itself, from counters and the baseline's series, in one chain of recordings."""

from __future__ import annotations

from otel_ml_exporter.mixin.groups.estimates import calibration, estimated_accuracy, right
from otel_ml_exporter.mixin.groups.psi import compared, expected, observed, published
from otel_ml_exporter.mixin.pack import Group
from otel_ml_exporter.mixin.promql import Queries


def scores(queries: Queries) -> Group:
    """PSI and its noise floor, calibration error, and the accuracy that confidences promise; as `otel_ml.stats` defines them."""
    knobs = queries.knobs
    windows = tuple(dict.fromkeys((knobs.short_window, knobs.long_window)))
    recordings = [*observed(queries), *expected(queries), right(queries)]
    for window in windows:
        recordings += [*compared(knobs, window), *published(window), estimated_accuracy(knobs, window)]
    recordings += calibration(queries, tuple(dict.fromkeys((knobs.short_window, knobs.middle_window, knobs.long_window))))
    return Group("scores", "The same scores from the same series, without the exporter's arithmetic.", tuple(recordings), knobs.step)
