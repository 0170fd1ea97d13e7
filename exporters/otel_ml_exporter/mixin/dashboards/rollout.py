"""Rollout: the canary beside the stable version, and the shadow beside the one that answers."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.dashboards import parts
from otel_ml_exporter.mixin.dashboards.drift import WINDOW
from otel_ml_exporter.mixin.dashboards.parts import Line, Panel, Place, Section
from otel_ml_exporter.mixin.groups.limits import limit
from otel_ml_exporter.mixin.groups.rollout import CALLS, ERRORS, GREATER, RESULT, SCORE_Z, Z, record
from otel_ml_exporter.mixin.groups.serving import WITHIN
from otel_ml_exporter.mixin.promql import ACCEPTED, MODEL, MODEL_VERSION, REFERENCE, ROLE, VERSION, Queries, equal

THIS = equal(MODEL, "$model")
INTERVAL = "$__rate_interval"
BY_VERSION = f"version {{{{{VERSION}}}}}"


def rollout(queries: Queries) -> models.Dashboard:
    """The canary beside the stable version, and the shadow beside the one that answers."""
    built = parts.frame("otel-ml-rollout", "Models: rollout", "The versions of one model side by side: may the new one take over?")
    info = queries.series(names.MODEL_INFO)
    built = built.with_variable(parts.chooser("model", "Model", "The model to show.", f"label_values({info}, {MODEL})"))
    built = built.with_variable(parts.window_chooser(queries))
    return parts.assembled(built, Section("", _versions(queries)), Section("Canary", _canary(queries)), Section("Shadow", _shadow(queries)))


def _versions(queries: Queries) -> list[Panel]:
    roles = f"count by ({VERSION}, {ROLE}) ({queries.series(names.MODEL_INFO, THIS)})"
    rows = f"sum by ({VERSION}) (rate({queries.series(names.INFERENCE_ROWS, THIS)}[{INTERVAL}]))"
    buckets = queries.series(names.INFERENCE_DURATION, THIS, ACCEPTED, suffix="_bucket")
    return [
        parts.lines(
            "Replicas by version and role",
            "Processes serving each version; two stable versions for an hour fire ModelVersionSkew.",
            "short",
            Place(0, 0, 8, 8),
            Line(roles, f"{BY_VERSION} {{{{{ROLE}}}}}"),
        ),
        parts.lines(
            "Rows by version", "Rows per second: how much each version gets.", parts.ROWS, Place(8, 0, 8, 8), Line(rows, BY_VERSION)
        ),
        parts.lines(
            "Latency p99 by version",
            "One call in 100 is slower.",
            "s",
            Place(16, 0, 8, 8),
            Line(f"histogram_quantile(0.99, sum by ({VERSION}, {WITHIN}) (rate({buckets}[{INTERVAL}]))) >= 0", BY_VERSION),
        ),
    ]


def _canary(queries: Queries) -> list[Panel]:
    def share(role: str) -> str:
        calls, errors = (f"{record(role, count)}{{{THIS}}}" for count in (CALLS, ERRORS))
        return f"{errors} / ({calls} > 0)"

    stable = equal(REFERENCE, names.REFERENCE_STABLE)
    window = equal(names.WINDOW, WINDOW)

    def against(metric: names.Metric) -> str:
        return f"max by ({MODEL_VERSION}) ({queries.series(metric, THIS, window, stable)})"

    calls = f"{record(names.ROLE_CANARY, CALLS)}{{{THIS}}}"
    return [
        parts.lines(
            "Failed calls",
            "Share of calls that failed, for the canary and for the stable version, over the same time.",
            parts.SHARE,
            Place(0, 0, 12, 8),
            Line(share(names.ROLE_CANARY), f"canary {BY_VERSION}", parts.ORANGE),
            Line(share(names.ROLE_STABLE), "stable", parts.BLUE),
        ),
        parts.lines(
            "Significance of the difference",
            "Standard errors between the two shares; above the dashed line, with enough calls and gap, ModelCanaryWorse pages.",
            "short",
            Place(12, 0, 12, 8),
            Line(f"{SCORE_Z}{{{THIS}}}", f"canary {BY_VERSION}", parts.ORANGE),
            Line(f"vector({Z})", "limit", parts.VERMILION, dashed=True),
            least=None,
        ),
        parts.lines(
            "Canary calls and excess failures",
            "Canary calls compared, and how many more of them failed than at the stable version's rate.",
            "short",
            Place(0, 8, 12, 8),
            Line(calls, f"calls of {BY_VERSION}", parts.BLUE),
            Line(f"{GREATER}{{{THIS}}} * on ({MODEL_VERSION}) {calls}", f"excess failures of {BY_VERSION}", parts.VERMILION),
            least=None,
        ),
        parts.lines(
            "Predictions against the stable version",
            "PSI of the canary's predictions; above both dashed lines, ModelCanaryDiffers fires.",
            "short",
            Place(12, 8, 12, 8),
            Line(against(names.PREDICTION_PSI), f"canary {BY_VERSION}", parts.ORANGE),
            Line(f"max({queries.limit(names.SIGNAL_PREDICTION_PSI, names.WARNING, THIS)})", "limit", parts.VERMILION, dashed=True),
            Line(against(names.PREDICTION_PSI_NOISE_FLOOR), "noise floor", parts.GREY, dashed=True),
        ),
    ]


def _shadow(queries: Queries) -> list[Panel]:
    window = queries.knobs.short_window
    share = f"model_version:ml_shadow_disagreements:ratio{window}{{{THIS}}}"
    results = f"sum by ({RESULT}) (rate({queries.series(names.SHADOW_COMPARISONS, THIS)}[{INTERVAL}]))"
    return [
        parts.lines(
            "Disagreement",
            f"Share of rows over {window} on which the shadow disagrees; above the dashed line, ModelShadowDisagrees fires.",
            parts.SHARE,
            Place(0, 0, 12, 8),
            Line(share, BY_VERSION, parts.PURPLE),
            Line(f"{limit(names.SIGNAL_SHADOW_DISAGREEMENT)}{{{THIS}}}", f"limit {BY_VERSION}", parts.VERMILION, dashed=True),
        ),
        parts.lines(
            "Rows sent to the shadow",
            "Rows per second by result; errors and dropped rows are not compared.",
            parts.ROWS,
            Place(12, 0, 12, 8),
            Line(results, f"{{{{{RESULT}}}}}"),
        ),
    ]
