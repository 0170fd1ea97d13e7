"""Which models Prometheus has heard of, for a name that somebody typed at night."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from otel_ml import OtelMLError
from otel_ml_exporter.cli.words import span
from otel_ml_exporter.mixin.pack import ALL_MODELS
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.prometheus import Prometheus
from otel_ml_exporter.remote import RemoteError

_SHOWN = 10


class UnknownModelError(OtelMLError):
    """Prometheus has no series of a model of that name."""


def check(server: Prometheus, model: str, start: float, end: float) -> None:
    """Raises `UnknownModelError` when no series between two Unix times is of the model; a host that does not tell is believed."""
    try:
        known = set(server.label_values(MODEL, start, end)) - {ALL_MODELS}
    except RemoteError as error:
        if error.status:
            return
        raise
    if model not in known:
        raise UnknownModelError(
            f"Prometheus at {server.host} has no series of model {model!r} in {span(end - start)}; it knows {listed(known, model)}"
        )


def listed(known: Iterable[str], model: str) -> str:
    """The names of models, those that are like `model` first, and not too many of them.

    >>> listed({"churn", "fraud"}, "fruad")
    'models fraud, churn'
    """
    found = sorted(known)
    near = get_close_matches(model, found, _SHOWN, 0.5)
    names = [*near, *(name for name in found if name not in near)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"models {', '.join(names[:_SHOWN])}{more}" if names else "no model"
