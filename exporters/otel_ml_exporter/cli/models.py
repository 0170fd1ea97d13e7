"""Which models Prometheus has heard of, for a name that somebody typed at night."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from otel_ml import OtelMLError
from otel_ml import catalogue as names
from otel_ml_exporter.cli.words import span
from otel_ml_exporter.mixin.pack import ALL_MODELS
from otel_ml_exporter.mixin.promql import MODEL, equal
from otel_ml_exporter.prometheus import Prometheus
from otel_ml_exporter.remote import RemoteError

_SHOWN = 10
_STEPS = 500
_MONTH = 30 * 86_400.0


class UnknownModelError(OtelMLError):
    """Prometheus has no series of a model of that name."""


def check(server: Prometheus, model: str, end: float, back: float = 0.0) -> None:
    """Raises `UnknownModelError` when no series of a month, or of a longer time, is of the model; a host that does not tell is believed."""
    back = max(back, _MONTH)
    try:
        known = set(server.label_values(MODEL, end - back, end)) - {ALL_MODELS}
    except RemoteError as error:
        if error.status:
            return
        raise
    if model not in known:
        raise UnknownModelError(
            f"Prometheus at {server.host} has no series of model {model!r} in {span(back)}; it knows {listed(known, model)}"
        )


def begun(server: Prometheus, model: str | None, start: float, end: float) -> float | None:
    """When the model, or any, was first seen between two Unix times; None where it was not."""
    expression = f"count({names.MODEL_INFO.prometheus}{{{equal(MODEL, model) if model else ''}}})"
    first = None
    for _ in range(2):
        step = (end - start) / _STEPS
        found = min((line.points[0][0] for line in server.lines(expression, start, end, step)), default=None)
        if found is None:
            return first
        first, start, end = found, max(start, found - step), found
        if start == end:
            return first
    return first


def listed(known: Iterable[str], model: str) -> str:
    """The names of models, those that are like `model` first, and not too many of them.

    >>> listed({"churn", "fraud"}, "fruad")
    'models fraud, churn'
    """
    found = sorted(known)
    near = get_close_matches(model, found, _SHOWN, 0.5)
    ordered = [*near, *(name for name in found if name not in near)]
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"models {', '.join(ordered[:_SHOWN])}{more}" if ordered else "no model"
