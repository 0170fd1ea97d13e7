"""Limits as recordings: the exporter's threshold of a signal, or the site's default for models that never had one."""

from __future__ import annotations

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.pack import Recording
from otel_ml_exporter.mixin.promql import MODEL_VERSION, Queries


def limit(signal: str) -> str:
    """The name of the recorded limit of a signal."""
    return f"model_version:ml_threshold:{signal}"


def or_default(queries: Queries, known: str, default: float) -> str:
    """The limits that are known, and the default for the other models that are served; a default of 0 is none."""
    if not default:
        return known
    models = f"{default} * group by ({MODEL_VERSION}) ({queries.series(names.MODEL_INFO)})"
    return f"{known}\nor on ({MODEL_VERSION})\n  {models}"


def thresholds(queries: Queries, signal: str, default: float, severity: str) -> tuple[Recording, Recording]:
    """What the exporter publishes, and the limit that rules and annotations read.

    What an owner stated holds while the exporter is away, or its end would page by the default.
    """
    published = Recording(f"{limit(signal)}_published", queries.limit(signal, severity))
    known = f"last_over_time({published.record}[{queries.knobs.memory_window}])"
    return published, Recording(limit(signal), or_default(queries, known, default))
