"""The rules of the pack among all that a Prometheus has loaded."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.rules import groups
from otel_ml_exporter.prometheus import Rule

_GROUP = "otel-ml-"


@cache
def alert_names() -> frozenset[str]:
    """The names of the pack's alerts."""
    return frozenset(alert.name for group in groups(Knobs()) for alert in group.alerts)


def own(rules: Iterable[Rule]) -> list[Rule]:
    """The rules that are the pack's, in its groups or taken over into others."""
    return [rule for rule in rules if rule.group.startswith(_GROUP) or (rule.alerting and rule.name in alert_names())]
