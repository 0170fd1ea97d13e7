"""The rules of the pack: which groups there are, and how they are written for Prometheus."""

from __future__ import annotations

from typing import Any

from otel_ml_exporter.mixin.groups.drift import drift
from otel_ml_exporter.mixin.groups.inputs import inputs
from otel_ml_exporter.mixin.groups.labels import labels
from otel_ml_exporter.mixin.groups.monitor import monitor
from otel_ml_exporter.mixin.groups.outputs import outputs
from otel_ml_exporter.mixin.groups.quality import quality
from otel_ml_exporter.mixin.groups.rollout import rollout
from otel_ml_exporter.mixin.groups.scores import scores
from otel_ml_exporter.mixin.groups.serving import serving
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import Group
from otel_ml_exporter.mixin.promql import Queries

_GROUPS = (serving, inputs, outputs, drift, quality, labels, rollout, monitor, scores)


def groups(knobs: Knobs) -> tuple[Group, ...]:
    """All groups of rules."""
    queries = Queries(knobs)
    return tuple(group(queries) for group in _GROUPS)


def rule_file(group: Group, knobs: Knobs) -> dict[str, Any]:
    """The content of one rule file."""
    return {"groups": group.render(knobs)}
