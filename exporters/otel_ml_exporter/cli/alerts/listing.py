"""`otel-ml alerts list`: what Alertmanager holds, worst first."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import asdict

from otel_ml import catalogue as names
from otel_ml_exporter.alertmanager import Alert, Matcher
from otel_ml_exporter.cli.exporter import table
from otel_ml_exporter.cli.models import listed
from otel_ml_exporter.cli.servers import alertmanager
from otel_ml_exporter.cli.words import ago, plain
from otel_ml_exporter.mixin.pack import ALL_MODELS
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, VERSION

_HEADER = ("severity", "alert", "model", "version", "feature", "since", "told to", "state", "summary")
_ORDER = (names.CRITICAL, names.WARNING)


def show(options: argparse.Namespace) -> int:
    """Print the alerts; always 0."""
    with alertmanager(options) as server:
        alerts = worst_first(server.alerts(about(options.model)))
        others = set() if alerts or not options.model else {alert.labels[MODEL] for alert in server.alerts(about(None))} - {ALL_MODELS}
    if options.json:
        print(json.dumps([asdict(alert) for alert in alerts]))
    elif alerts:
        now = time.time()
        print(table([_HEADER, *(_row(alert, now) for alert in alerts)]))
    else:
        about_model = f" for model {options.model}" if options.model else ""
        print(plain(f"nothing is firing{about_model}" + (f"; something is for {listed(others, options.model)}" if others else "")))
    return 0


def about(model: str | None) -> list[Matcher]:
    """The condition that an alert is about a model; every alert of any model where none is given."""
    return [Matcher(MODEL, model) if model else Matcher(MODEL, "", equal=False)]


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Critical before warning before the rest; what is told before what is muted, then the oldest."""

    def rank(alert: Alert) -> tuple[int, bool, float]:
        severity = alert.labels.get(names.SEVERITY, "")
        return (_ORDER.index(severity) if severity in _ORDER else len(_ORDER)), alert.state == "suppressed", alert.since

    return sorted(alerts, key=rank)


def state(alert: Alert) -> str:
    """What Alertmanager does with an alert, in words."""
    if alert.silenced_by:
        return f"silenced by {', '.join(alert.silenced_by)}"
    return "muted by a larger fault" if alert.inhibited_by else alert.state


def _row(alert: Alert, now: float) -> tuple[str, ...]:
    labels = [alert.labels.get(name, "") for name in (names.SEVERITY, "alertname", MODEL, VERSION, FEATURE)]
    return *labels, ago(alert.since, now), ", ".join(alert.receivers), state(alert), alert.annotations.get("summary", "")
