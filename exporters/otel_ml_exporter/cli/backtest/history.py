"""The past of each alert, asked from Prometheus part by part."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml_exporter.cli.backtest.notifications import Fired, Labels, Notification, notifications
from otel_ml_exporter.cli.backtest.replay import Interval, firing, incidents
from otel_ml_exporter.cli.backtest.ruleset import Rules
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.prometheus import Prometheus, in_steps

POINTS = 1_000
"""Steps that one query asks for: a few hours at a minute's rhythm, which a busy server bears."""

ALERT: Final = "alertname"
Active = Mapping[Labels, Sequence[float]]
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Span:
    """The past that is looked at, in Unix seconds; `step` overrules the rhythm of the rules."""

    start: float
    end: float
    step: float | None = None

    @property
    def weeks(self) -> float:
        """Its length."""
        return (self.end - self.start) / 604_800


@dataclass(frozen=True)
class Outcome:
    """What one alert would have done for one model in one place: when it told somebody, and over how many series.

    `places` are the values of the labels that tell environments apart, `severity` is the pack's word where it has one.
    """

    alert: str
    model: str
    places: tuple[str, ...]
    severity: str
    incidents: tuple[Interval, ...]
    series: int

    @property
    def row(self) -> Row:
        """Severity, alert, and the model with its place, as pages have it."""
        return self.severity, self.alert, f"{self.model} ({', '.join(self.places)})" if any(self.places) else self.model


@dataclass(frozen=True)
class Firing:
    """One alert with all its labels, and when it fired."""

    labels: Mapping[str, str]
    intervals: Sequence[Interval]


def fired(rules: Rules, span: Span, model: str | None, ask: Callable[[str, float], Active]) -> list[Firing]:
    """What fired, of a model or of all; `ask` gives the times at which an expression held on a step."""
    found = []
    for alert in rules.alerts:
        step = span.step or alert.interval
        for own, times in ask(alert.expr, step).items():
            labels = {**dict(own), **alert.labels, ALERT: alert.name}
            intervals = firing(times, step=step, hold=alert.hold, keep=alert.keep, end=span.end)
            if intervals and model in (None, labels.get(MODEL, "")):
                found.append(Firing(labels, intervals))
    return found


def outcomes(found: Sequence[Firing], rules: Rules) -> list[Outcome]:
    """The outcome of each alert, model and place that fired. Rules of one name are one alert: Alertmanager tells them together."""
    together: dict[tuple[str, str, tuple[str, ...], str], list[Sequence[Interval]]] = defaultdict(list)
    for each in found:
        alert, model, severity, *places = (each.labels.get(name, "") for name in (ALERT, MODEL, names.SEVERITY, *rules.places))
        together[alert, model, tuple(places), rules.levels.get(severity, severity)].append(each.intervals)
    return [
        Outcome(*key, tuple(incidents(interval for intervals in several for interval in intervals)), len(several))
        for key, several in together.items()
    ]


def told(config: Mapping[str, Any], found: Sequence[Firing], span: Span) -> list[Notification]:
    """What an Alertmanager with this configuration would have told of what fired."""
    alerts = [
        Fired(tuple(sorted(alert.labels.items())), each.start, math.inf if each.open else each.end)
        for alert in found
        for each in alert.intervals
    ]
    return notifications(config, alerts, span.end)


class History:
    """Asks each expression once, whatever the number of variants that share it."""

    def __init__(self, server: Prometheus, span: Span, seen: Callable[[], None]) -> None:
        self._server = server
        self._span = span
        self._seen = seen
        self._known: dict[tuple[str, float], Active] = {}

    def ask(self, expr: str, step: float) -> Active:
        """The times at which each label set of an expression held, on multiples of `step`."""
        if (expr, step) not in self._known:
            self._known[expr, step] = self._asked(expr, step)
        return self._known[expr, step]

    def _asked(self, expr: str, step: float) -> Active:
        active: dict[Labels, list[float]] = defaultdict(list)
        for start, end in parts(self._span, step):
            for line in self._server.lines(expr, start, end, step):
                labels = tuple(sorted((name, value) for name, value in line.labels.items() if name != "__name__"))
                active[labels] += [at for at, _ in line.points]
            self._seen()
        return active


def parts(span: Span, step: float) -> list[tuple[float, float]]:
    """The queries that a span needs, on multiples of the step, so that two runs see the same times."""
    return list(in_steps(-(-span.start // step) * step, span.end, step, POINTS))


def queries(variants: Sequence[Rules], span: Span) -> int:
    """How many queries the variants need."""
    asked = {(alert.expr, span.step or alert.interval) for rules in variants for alert in rules.alerts}
    return sum(len(parts(span, step)) for _, step in asked)
