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


def reliability(queries: Queries, place: Place) -> Panel:
    """Pairs of the window; a bin without any has no bar."""

    def total(metric: Metric) -> str:
        return f"sum by ({BIN}) (increase({queries.series(metric, *CHOSEN)}[{WINDOW}]))"

    pairs = f"({total(names.OUTCOME_PAIRS)} > 0)"
    return parts.bars(
        "Reliability",
        "By confidence bin: what the model promised, what came true, and what came true in the baseline. The first two should agree.",
        place,
        BIN,
        {
            "promised": f"{total(names.OUTCOME_CONFIDENCE_SUM)} / on ({BIN}) {pairs}",
            "came true": f"{total(names.OUTCOME_POSITIVES)} / on ({BIN}) {pairs}",
            "in the baseline": f"max by ({BIN}) ({queries.series(names.BASELINE_CALIBRATION_RATIO, *CHOSEN)})",
        },
    )


def segments(queries: Queries, place: Place) -> Panel:
    """Whether one group gets worse answers than the others."""
    accuracy = equal(prometheus(names.METRIC), "accuracy")
    by_segment = f"max by ({SEGMENT}) ({queries.windowed(names.SEGMENT_PERFORMANCE, WINDOW, *CHOSEN, accuracy)})"
    realized = equal(prometheus(names.ESTIMATE), names.ESTIMATE_REALIZED)
    whole = f"max({queries.windowed(names.PERFORMANCE, WINDOW, *CHOSEN, accuracy, realized)})"
    gap = f"max({queries.limit(names.SIGNAL_SEGMENT_GAP, names.WARNING, *CHOSEN)})"
    return parts.lines(
        "Accuracy by segment",
        "The 20 worst segments; one below the dashed line by more than chance explains fires ModelSegmentDegraded.",
        parts.SHARE,
        place,
        Line(f"bottomk(20, {by_segment})", f"{{{{{SEGMENT}}}}}"),
        Line(f"{whole} - {gap}", "limit", parts.VERMILION, dashed=True),
        least=None,
        empty="no segments",
    )


def confidence_mean(queries: Queries, place: Place) -> Panel:
    """How sure the model is, beside how sure it was."""
    usual = f"max({queries.series(names.BASELINE_CONFIDENCE_MEAN, *CHOSEN)})"
    drop = f"max({queries.limit(names.SIGNAL_CONFIDENCE_DROP, names.WARNING, *CHOSEN)})"
    return parts.lines(
        "Mean confidence",
        "How sure the model is of what it predicts; below the lower dashed line, ModelConfidenceDropped fires.",
        parts.SHARE,
        place,
        Line(queries.score(names.CONFIDENCE_MEAN, WINDOW, *CHOSEN), "now", parts.BLUE),
        Line(usual, "baseline", parts.GREY, dashed=True),
        Line(f"{usual} - {drop}", "limit", parts.VERMILION, dashed=True),
        least=None,
    )


def abstentions(queries: Queries, place: Place) -> Panel:
    """How often the fallback answers instead."""
    knobs = queries.knobs
    withheld = "model_version:ml_prediction_abstentions:ratio"
    return parts.lines(
        "Withheld predictions",
        "Share of rows that got the fallback; above the dashed line, ModelAbstentionHigh fires.",
        parts.SHARE,
        place,
        Line(f"{withheld}{knobs.rate_window}{{{OF_VERSION}}}", knobs.rate_window, parts.SKY),
        Line(f"{withheld}{knobs.short_window}{{{OF_VERSION}}}", knobs.short_window, parts.BLUE),
        Line(f"{limit(names.SIGNAL_ABSTENTION_SHARE)}{{{OF_VERSION}}}", "limit", parts.VERMILION, dashed=True),
    )
