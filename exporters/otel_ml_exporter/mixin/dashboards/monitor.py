"""The monitor itself: whether what the other dashboards show can be trusted."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.overview import MODELS, several
from otel_ml_exporter.mixin.dashboards.parts import Line, Panel, Place, Section
from otel_ml_exporter.mixin.promql import ERROR, MODEL, MODEL_VERSION, VERSION, Queries

LEGEND = f"{{{{{MODEL}}}}} {{{{{VERSION}}}}}"
REASON = prometheus(names.DROP_REASON)
VERIFIED = prometheus(names.VERIFICATION_RESULT)
INTERVAL = "$__rate_interval"


def monitor(queries: Queries) -> models.Dashboard:
    """The monitor itself: the exporter, what it reads, and what the plugin could not count."""
    built = parts.frame("otel-ml-monitor", "Models: the monitor", "Whether what the other dashboards show can be trusted.", carry=False)
    built = built.with_variable(several("model", "Model", f"label_values({queries.series(names.MODEL_INFO)}, {MODEL})"))
    versions = queries.series(names.MODEL_INFO, MODELS[0])
    built = built.with_variable(several("version", "Version", f"label_values({versions}, {VERSION})"))
    return parts.assembled(
        built,
        Section("", _exporter(queries)),
        Section("What could not be counted", _plugin(queries)),
        Section("Baselines", _baselines(queries)),
    )


def _exporter(queries: Queries) -> list[Panel]:
    last = f"time() - max({queries.series(names.EXPORTER_LAST_EVALUATION)})"
    failed = f"sum(increase({queries.series(names.EXPORTER_EVALUATION_ERRORS)}[$__range]))"
    missing = f"sum({queries.series(names.EXPORTER_BASELINE_MISSING)})"
    dropped = f"sum by ({REASON}) (rate({queries.series(names.EXPORTER_POINTS_DROPPED)}[{INTERVAL}]))"
    return [
        parts.number("Last evaluation", "Time since the exporter completed its last evaluation.", "s", Place(0, 0, 6, 4), last),
        parts.number(
            "Sources that respond",
            "Share of the exporter's sources that answered its last query.",
            parts.SHARE,
            Place(6, 0, 6, 4),
            f"avg({queries.series(names.EXPORTER_SOURCE_UP)})",
        ),
        parts.number(
            "Failed evaluations", "In the time shown.", "short", Place(12, 0, 6, 4), f"{failed} or vector(0)", alarm=parts.VERMILION
        ),
        parts.number(
            "Baselines that cannot be used",
            "Files named in the exporter's configuration that are missing or faulty.",
            "short",
            Place(18, 0, 6, 4),
            f"{missing} or vector(0)",
            alarm=parts.VERMILION,
        ),
        parts.lines(
            "Evaluation time",
            "How long an evaluation takes; it must stay well below the exporter's interval.",
            "s",
            Place(0, 4, 12, 7),
            Line(f"max({queries.series(names.EXPORTER_EVALUATION_DURATION)})", "evaluation", parts.BLUE),
        ),
        parts.lines(
            "Points refused over OTLP",
            "Data points per second that the exporter received and could not count, by reason.",
            parts.PER_SECOND,
            Place(12, 4, 12, 7),
            Line(dropped, f"{{{{{REASON}}}}}"),
        ),
    ]


def _plugin(queries: Queries) -> list[Panel]:
    def rate(metric: Metric, label: str) -> str:
        return f"sum by ({MODEL_VERSION}, {label}) (rate({queries.series(metric, *MODELS)}[{INTERVAL}])) > 0"

    golden = f"sum by ({MODEL_VERSION}, {VERIFIED}) ({queries.series(names.VERIFICATION_RECORDS, *MODELS)}) > 0"
    return [
        parts.lines(
            "Rows not counted",
            "Rows per second that the plugin could not count, by reason; above 1 % of all rows, ModelMonitorUnhealthy fires.",
            parts.ROWS,
            Place(0, 0, 8, 8),
            Line(rate(names.MONITOR_DROPPED, REASON), f"{LEGEND} {{{{{REASON}}}}}"),
            empty="none",
        ),
        parts.lines(
            "Errors in the monitor, and golden records",
            "Internal errors of the plugin per second, which did not affect predictions: any is one too many. Golden records by their "
            "last result: a mismatch means that what is serving is not what was trained, and ModelVerificationFailed fires.",
            "short",
            Place(8, 0, 8, 8),
            Line(rate(names.MONITOR_ERRORS, ERROR), f"{LEGEND} {{{{{ERROR}}}}}"),
            Line(golden, f"{LEGEND} golden records: {{{{{VERIFIED}}}}}"),
            empty="none",
        ),
        parts.lines(
            "Metrics with an overflow series",
            "Metrics whose time series the SDK merged beyond its limit, by job; ModelSeriesOverflow fires on any.",
            "short",
            Place(16, 0, 8, 8),
            Line(f"count by (job) (group by (job, __name__) ({queries.merged()}))", "{{job}}"),
            empty="none",
        ),
    ]


def _baselines(queries: Queries) -> list[Panel]:
    mismatches = f"max by ({MODEL_VERSION}) ({queries.series(names.EXPORTER_BASELINE_MISMATCHES, *MODELS)})"
    age = f"time() - max by ({MODEL_VERSION}) ({queries.series(names.BASELINE_CREATED, *MODELS)})"
    return [
        parts.lines(
            "Age of the baselines",
            "Time since each was built; above the dashed line, ModelBaselineStale fires.",
            "s",
            Place(0, 0, 12, 8),
            Line(f"topk(20, {age})", LEGEND),
            Line(f"max({queries.limit(names.SIGNAL_BASELINE_AGE, names.WARNING, *MODELS)})", "limit", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Server and exporter have different baselines",
            "Nothing can be compared where a model server counts with a different baseline than the exporter's.",
            "short",
            Place(12, 0, 12, 8),
            Line(f"topk(20, {mismatches} > 0)", LEGEND),
            empty="none",
        ),
    ]
