"""Ground truth: what became of predictions and outcomes on their way in, and what the store holds."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.drift import WINDOW
from otel_ml_exporter.mixin.dashboards.parts import Line, Panel, Place
from otel_ml_exporter.mixin.promql import MODEL, Queries, equal

REASON = prometheus(names.DROP_REASON)
RESULT = prometheus(names.RESULT)


def truth(queries: Queries, y: int) -> list[Panel]:
    """Rows of panels from `y` on."""
    return [
        parts.row("Ground truth on its way in", y),
        parts.lines(
            "What became of outcomes",
            "Outcomes a second: matched, waiting for their prediction, repeated, corrected, or of no use (unfit, unknown_model, invalid).",
            "ops",
            Place(0, y + 1, 8, 7),
            Line(_rate(queries, names.OUTCOME_RECEIVED, RESULT, f'{MODEL}=~"$model|"'), f"{{{{{RESULT}}}}}"),
        ),
        parts.lines(
            "What became of predictions",
            "Events of predictions a second; a repetition changes nothing.",
            "ops",
            Place(8, y + 1, 8, 7),
            Line(_rate(queries, names.PREDICTION_RECEIVED, RESULT, f'{MODEL}=~"$model|"'), f"{{{{{RESULT}}}}}"),
        ),
        parts.lines(
            "Outcomes without a prediction",
            "Outcomes of the window whose id no prediction has: wrong ids, or predictions that were not sent.",
            "short",
            Place(16, y + 1, 8, 7),
            Line(f"max({queries.windowed(names.OUTCOME_UNMATCHED, WINDOW, equal(MODEL, '$model'))})", "unmatched", parts.VERMILION),
        ),
        parts.lines(
            "Store",
            "Predictions and outcomes that are stored, and how many may be; over the limit clients are asked to come again.",
            "short",
            Place(0, y + 8, 12, 6),
            Line(f"max({queries.series(names.EXPORTER_STORE_ROWS)})", "rows", parts.BLUE),
            Line(f"max({queries.series(names.EXPORTER_STORE_LIMIT)})", "limit", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Requests that were refused",
            "Requests a second: busy and rate pass by themselves, full, store and token need somebody.",
            "reqps",
            Place(12, y + 8, 12, 6),
            Line(_rate(queries, names.EXPORTER_REQUESTS_REFUSED, REASON), f"{{{{{REASON}}}}}"),
        ),
    ]


def _rate(queries: Queries, metric: Metric, label: str, *matchers: str) -> str:
    return f"sum by ({label}) (rate({queries.series(metric, *matchers)}[$__rate_interval]))"
