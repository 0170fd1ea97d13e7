"""Limits as recordings: the exporter's threshold of a signal, or the site's default for models that have none."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.pack import Recording
from otel_ml_exporter.mixin.promql import MODEL_VERSION, Queries


def limit(signal: str) -> str:
    """The name of the recorded limit of a signal."""
    return f"model_version:ml_threshold:{signal}"


def limit_or(queries: Queries, signal: str, default: float, severity: str) -> str:
    """The exporter's threshold, or the default for models whose exporter publishes none; a default of 0 is none."""
    if not default:
        return queries.limit(signal, severity)
    models = f"{default} * group by ({MODEL_VERSION}) ({queries.series(names.MODEL_INFO)})"
    return f"{queries.limit(signal, severity)}\nor on ({MODEL_VERSION})\n  {models}"


def threshold(queries: Queries, signal: str, default: float, severity: str) -> Recording:
    """The limit of a signal as a recording, which rules and annotations read."""
    return Recording(limit(signal), limit_or(queries, signal, default, severity))
