"""Panels of the quality dashboard: whether confidences come true, how sure the model is, and for whom it is right."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.parts import CHOSEN, Line, Panel, Place
from otel_ml_exporter.mixin.groups.limits import limit
from otel_ml_exporter.mixin.promql import BIN, SEGMENT, Queries, equal

OF_VERSION = ", ".join(CHOSEN)
WINDOW = "$window"


def sureness(queries: Queries, y: int) -> list[Panel]:
    """Panels from row `y` on."""
    return [parts.row("Confidence and truth", y), _reliability(queries, y + 1), _segments(queries, y + 1), *_sure(queries, y + 9)]


def _reliability(queries: Queries, y: int) -> Panel:
    """Pairs of the window; a bin without any has no bar."""

    def total(metric: Metric) -> str:
        return f"sum by ({BIN}) (increase({queries.series(metric, *CHOSEN)}[{WINDOW}]))"

    pairs = f"({total(names.OUTCOME_PAIRS)} > 0)"
    return parts.bars(
        "Reliability",
        "By bin of confidence: what the model promised, what came true, and what did in the baseline. The first two should agree.",
        Place(0, y, 12, 8),
        BIN,
        promised=f"{total(names.OUTCOME_CONFIDENCE_SUM)} / on ({BIN}) {pairs}",
        came_true=f"{total(names.OUTCOME_POSITIVES)} / on ({BIN}) {pairs}",
        baseline=f"max by ({BIN}) ({queries.series(names.BASELINE_CALIBRATION_RATIO, *CHOSEN)})",
    )


def _segments(queries: Queries, y: int) -> Panel:
    accuracy = equal(prometheus(names.METRIC), "accuracy")
    by_segment = f"max by ({SEGMENT}) ({queries.windowed(names.SEGMENT_PERFORMANCE, WINDOW, *CHOSEN, accuracy)})"
    realized = equal(prometheus(names.ESTIMATE), names.ESTIMATE_REALIZED)
    whole = f"max({queries.windowed(names.PERFORMANCE, WINDOW, *CHOSEN, accuracy, realized)})"
    gap = f"max({queries.limit(names.SIGNAL_SEGMENT_GAP, names.WARNING, *CHOSEN)})"
    return parts.lines(
        "Accuracy by segment",
        "Of the 20 worst segments; one that is under the dashed line, chance aside, raises ModelSegmentDegraded.",
        "percentunit",
        Place(12, y, 12, 8),
        Line(f"bottomk(20, {by_segment})", f"{{{{{SEGMENT}}}}}"),
        Line(f"{whole} - {gap}", "limit", parts.VERMILION, dashed=True),
    )


def _sure(queries: Queries, y: int) -> list[Panel]:
    knobs = queries.knobs
    usual = f"max({queries.series(names.BASELINE_CONFIDENCE_MEAN, *CHOSEN)})"
    drop = f"max({queries.limit(names.SIGNAL_CONFIDENCE_DROP, names.WARNING, *CHOSEN)})"
    withheld = "model_version:ml_prediction_abstentions:ratio"
    return [
        parts.lines(
            "Mean confidence",
            "How sure the model is of what it predicts; under the lower dashed line ModelConfidenceDropped fires.",
            "percentunit",
            Place(0, y, 12, 8),
            Line(queries.score(names.CONFIDENCE_MEAN, WINDOW, *CHOSEN), "now", parts.BLUE),
            Line(usual, "baseline", parts.BLACK, dashed=True),
            Line(f"{usual} - {drop}", "limit", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Withheld predictions",
            "Share of rows that got the fallback; over the dashed line ModelAbstentionHigh fires.",
            "percentunit",
            Place(12, y, 12, 8),
            Line(f"{withheld}{knobs.rate_window}{{{OF_VERSION}}}", knobs.rate_window, parts.SKY),
            Line(f"{withheld}{knobs.short_window}{{{OF_VERSION}}}", knobs.short_window, parts.BLUE),
            Line(f"{limit(names.SIGNAL_ABSTENTION_SHARE)}{{{OF_VERSION}}}", "limit", parts.VERMILION, dashed=True),
        ),
    ]
