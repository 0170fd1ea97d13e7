"""The last links: from Prometheus' alerts to somebody who is told."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from otel_ml import catalogue as names
from otel_ml_exporter.alertmanager import Matcher
from otel_ml_exporter.cli.doctor.links import Case, Finding, broken, look, ok
from otel_ml_exporter.cli.words import clock, span
from otel_ml_exporter.mixin.pack import WATCHDOG
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.routing import mutes, reached


def known(case: Case) -> Finding:
    """Prometheus sends alerts to this Alertmanager."""
    found = [urlsplit(url).netloc for url in case.prometheus.alertmanagers()]
    if not found:
        return broken("Prometheus knows no Alertmanager", "name it under `alerting` of prometheus.yml and reload")
    if case.alertmanager.host not in found:
        return look(
            f"Prometheus sends to {', '.join(found)}, not to {case.alertmanager.host}", "check --alertmanager; it may be another name"
        )
    return ok(f"Prometheus sends to {', '.join(found)}")


def answers(case: Case) -> Finding:
    """Alertmanager answers."""
    status = case.alertmanager.status()
    return ok(f"version {status.version}")


def watchdog(case: Case) -> Finding:
    """The alert that always fires comes through to somebody: the path is whole."""
    if not any(alert.labels.get("alertname") == WATCHDOG and alert.state == "firing" for alert in case.prometheus.alerts()):
        return broken("it does not fire in Prometheus", "load alert_rules/monitor.yaml; rendered with --no-watchdog it has none")
    held = case.alertmanager.alerts([Matcher("alertname", WATCHDOG)])
    if not held:
        return broken("it fires in Prometheus and is not in Alertmanager", "look for `Error sending alert` in Prometheus' log")
    ways = [way for alert in held for way in reached(case.alertmanager.status().config, alert.labels)]
    if not any(way.integrations for way in ways):
        return look("it arrives, and no receiver passes it on", "route it to a dead man's switch, which pages when it stops")
    return ok(f"it fires, arrives, and goes to {', '.join(sorted({way.receiver for way in ways}))}")


def route(severity: str) -> Callable[[Case], Finding]:
    """The test whether alerts of a severity about the model reach somebody."""

    def test(case: Case) -> Finding:
        ways = reached(case.alertmanager.status().config, _labels(case.model, severity))
        empty = [way.receiver for way in ways if not way.integrations]
        if empty:
            return broken(
                f"goes to receiver {', '.join(empty)}, and nobody is behind it", "mend the routes, or give the receiver an integration"
            )
        return ok("; ".join(f"{way.receiver} ({', '.join(way.integrations)}) after {span(way.group_wait)}" for way in ways))

    return test


def silences(case: Case) -> Finding:
    """No silence mutes the model's pages."""
    page = _labels(case.model, names.CRITICAL)
    muting = [each for each in case.alertmanager.silences() if each.state == "active" and mutes(list(each.matchers), page)]
    if muting:
        told = "; ".join(f"{each.id} by {each.author} until {clock(each.ends)} ({each.comment})" for each in muting)
        return look(f"pages are silenced: {told}", f"when it is over: otel-ml alerts expire {muting[0].id}")
    return ok("none mutes the model's pages")


def _labels(model: str, severity: str) -> dict[str, str]:
    """The labels of an alert of the pack; the alert's own name is one that exists."""
    kinds = {names.CRITICAL: ("ModelServiceDown", "serving"), names.WARNING: ("ModelFeatureDrift", "drift")}
    name, category = kinds[severity]
    return {"alertname": name, MODEL: model, names.SEVERITY: severity, "category": category}
