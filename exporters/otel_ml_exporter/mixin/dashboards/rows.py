"""Panels of sampled rows: all features together, where they are sent in events."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.parts import CHOSEN, Line, Panel, Place
from otel_ml_exporter.mixin.promql import FEATURE, Queries

WINDOW = "$window"


def sampled_rows(queries: Queries) -> list[Panel]:
    """How sampled rows differ from the baseline's."""

    def scored(title: str, about: str, place: Place, score: Metric, floor: Metric) -> Panel:
        return parts.lines(
            title,
            f"{about} Above the dashed line it is more than chance gives in 99 of 100 windows.",
            "short",
            place,
            Line(queries.score(score, WINDOW, *CHOSEN), "now", parts.BLUE),
            Line(queries.score(floor, WINDOW, *CHOSEN), "noise floor", parts.GREY, dashed=True),
        )

    importance = f"max by ({FEATURE}) ({queries.windowed(names.DOMAIN_CLASSIFIER_IMPORTANCE, WINDOW, *CHOSEN)})"
    return [
        scored(
            "Classifier",
            "How well a classifier separates them from the baseline's rows (AUC): 0.5 not at all, above 0.75 easily.",
            Place(0, 0, 8, 8),
            names.DOMAIN_CLASSIFIER_AUC,
            names.DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR,
        ),
        parts.lines(
            "What the classifier uses",
            "Importance of each feature to the classifier, while it can tell the rows apart.",
            parts.SHARE,
            Place(8, 0, 8, 8),
            Line(f"topk({parts.SHOWN}, {importance})", f"{{{{{FEATURE}}}}}"),
        ),
        parts.number(
            "Sampled rows in the window",
            "Rows behind these scores; none unless events carry features and the exporter has a sample of the baseline.",
            "short",
            Place(16, 0, 8, 8),
            queries.samples(names.SIGNAL_ROWS, WINDOW, *CHOSEN),
        ),
        scored(
            "MMD",
            "Distance between the joint distributions, whatever their shape.",
            Place(0, 8, 8, 8),
            names.MMD,
            names.MMD_NOISE_FLOOR,
        ),
        scored(
            "PCA error",
            "Distance from the plane in which the baseline varies; 1 is as in the baseline, more means features no longer go together.",
            Place(8, 8, 8, 8),
            names.PCA_ERROR_RATIO,
            names.PCA_ERROR_RATIO_NOISE_FLOOR,
        ),
        scored(
            "T2",
            "How far the means of all features moved together.",
            Place(16, 8, 8, 8),
            names.HOTELLING_T2,
            names.HOTELLING_T2_NOISE_FLOOR,
        ),
    ]
