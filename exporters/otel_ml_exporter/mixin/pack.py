"""The parts of the pack as plain values: recordings, alerts and the groups they are evaluated in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import scaled
from otel_ml_exporter.mixin.grouping import grouped, located, matched
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.mixin.wording import annotate

PROBLEM: Final = "ml_problem"
"""Tells alerts of one name apart by what is wrong."""

WATCHDOG: Final = "Watchdog"
"""The alert that always fires."""

RESTART: Final = "5m"
"""How long an alert outlasts its cause, for a server or an exporter that starts anew would resolve and repeat it."""

ALL_MODELS: Final = "all"
"""The model label of alerts about the pack itself; Alertmanager takes labels that both sides lack for equal."""


@dataclass(frozen=True)
class Recording:
    """A recording rule, named `level:metric:operations`; `labels` are added to what the expression gives."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def render(self, knobs: Knobs) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        expr = _of_site(self.expr, knobs)
        return {"record": self.record, "expr": expr, **({"labels": dict(self.labels)} if self.labels else {})}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert: when it fires, how long that must hold, and what the person who reads it is told."""

    name: str
    expr: str
    severity: str
    category: str
    summary: str
    description: str
    action: str
    dashboard: str
    hold: str = "0s"
    keep: str = "0s"
    labels: Mapping[str, str] = field(default_factory=dict)

    def render(self, knobs: Knobs) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        rule: dict[str, Any] = {"alert": knobs.named(self.name), "expr": _of_site(self.expr, knobs)}
        for key, duration in (("for", self.hold), ("keep_firing_for", self.keep)):
            if duration != "0s":
                rule[key] = scaled(duration, knobs.pace)
        severity = knobs.severity(self.severity, self.name)
        rule["labels"] = {**self.labels, names.SEVERITY: severity, "category": self.category, **knobs.labels}
        annotations = annotate(
            name=self.name,
            summary=self.summary,
            description=self.description,
            action=self.action,
            dashboard=self.dashboard,
            knobs=knobs,
        )
        rule["annotations"] = located(annotations, self.expr, knobs.group_labels)
        return rule


Rule = Recording | Alert


@dataclass(frozen=True)
class Rhythm:
    """Recordings of a group that have a rhythm of their own: Prometheus evaluates them as a group beside it, in the same file."""

    name: str
    interval: str
    rules: tuple[Recording, ...]


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated in order, in one file of its name; recordings stand before the alerts that read them.

    `interval` is the group's own rhythm, where it is not that of the knobs.
    """

    name: str
    brief: str
    rules: tuple[Rule, ...]
    interval: str = ""
    rhythms: tuple[Rhythm, ...] = ()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts among the rules."""
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))

    def render(self, knobs: Knobs) -> list[dict[str, Any]]:
        """The groups of the file as Prometheus reads them."""
        own = (self.name, self.interval or knobs.interval, self.rules)
        beside = ((f"{self.name}-{rhythm.name}", rhythm.interval, rhythm.rules) for rhythm in self.rhythms)
        return [
            {"name": f"otel-ml-{name}", "interval": interval, "rules": [rule.render(knobs) for rule in rules]}
            for name, interval, rules in (own, *beside)
        ]


def _of_site(expr: str, knobs: Knobs) -> str:
    """The expression by the labels that tell environments apart; of what is recorded, a rendering for one of them reads its own."""
    return grouped(matched(expr, knobs.place, of=":"), knobs.group_labels)


def about_the_pack(labels: Mapping[str, str] | None = None) -> dict[str, str]:
    """Labels of an alert that belongs to no model."""
    return {MODEL: ALL_MODELS, **(labels or {})}
