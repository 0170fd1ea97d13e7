"""Segments: whether one of them gets worse answers than the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.groups.floors import CATEGORY, DASHBOARD, ESTIMATE, METRIC, worst_segments
from otel_ml_exporter.mixin.groups.verdicts import both, enough, past
from otel_ml_exporter.mixin.pack import Alert
from otel_ml_exporter.mixin.promql import MODEL, MODEL_VERSION, SEGMENT, VERSION, Queries, equal
from otel_ml_exporter.mixin.wording import COUNT, NUMBER, PERCENT, SUBJECT, label, look_up, of, value


@dataclass(frozen=True)
class Gap:
    """How far a score of a segment may be from that of the whole, in words.

    `end` is the better end of the segment's interval; it is compared with the whole, `operator` the limit of the signal.
    """

    score: str
    end: Metric
    sign: str
    operator: str
    signal: str
    said: str
    limit: str
    form: str = PERCENT


GAPS: Final = (
    Gap("accuracy", names.SEGMENT_PERFORMANCE_HIGH, "<", "-", names.SIGNAL_SEGMENT_GAP, "accuracy", "less"),
    Gap("recall", names.SEGMENT_PERFORMANCE_HIGH, "<", "-", names.SIGNAL_SEGMENT_RECALL_GAP, "recall", "less"),
    Gap("mae", names.SEGMENT_PERFORMANCE_LOW, ">", "*", names.SIGNAL_SEGMENT_ERROR_RATIO, "mean absolute error", "times that", NUMBER),
)


def degraded(queries: Queries, gap: Gap) -> Alert:
    """Segments without enough outcomes have no score; the whole must have enough to be compared with."""
    long, model = queries.knobs.long_window, (MODEL, VERSION)
    score, realized = equal(METRIC, gap.score), equal(ESTIMATE, names.ESTIMATE_REALIZED)
    at_best = f"max by ({MODEL_VERSION}, {SEGMENT}) ({queries.windowed(gap.end, long, score)})"
    limit = queries.limit(gap.signal, names.WARNING)
    allowed = f"({queries.score(names.PERFORMANCE, long, score, realized)} {gap.operator} on ({MODEL_VERSION}) {limit})"
    measured = queries.windowed(names.SEGMENT_PERFORMANCE, long, score, *of(*model, SEGMENT))
    whole = queries.score(names.PERFORMANCE, long, score, realized, *of(*model))
    stated = queries.limit(gap.signal, names.WARNING, *of(*model))
    outcomes = queries.samples(names.SIGNAL_PERFORMANCE, long, *of(*model))
    return Alert(
        name="ModelSegmentDegraded",
        expr=both(past(at_best, gap.sign, allowed), enough(queries, names.SIGNAL_PERFORMANCE, long, queries.knobs.minimum_outcomes)),
        hold="1h",
        keep="1h",
        severity=names.WARNING,
        category=CATEGORY,
        labels={METRIC: gap.score},
        summary="The model is worse for one segment",
        description=(
            f"{SUBJECT}: {gap.said} {look_up(measured, *model, SEGMENT, form=gap.form)} in segment {label(SEGMENT)} over {long}, at best "
            f"{value(gap.form)}; {look_up(whole, *model, form=gap.form)} overall (limit {look_up(stated, *model, form=gap.form)} "
            f"{gap.limit}; {look_up(outcomes, *model, form=COUNT)} outcomes overall). "
            f"{worst_segments(queries, gap.score, gap.sign, gap.said, gap.form)}."
        ),
        action="Look for a feature that is broken or new for this segment only; serve the fallback for the segment meanwhile.",
        dashboard=DASHBOARD,
    )
