"""The last links: from Prometheus' alerts to somebody who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from otel_ml import catalogue as names
from otel_ml_exporter.alertmanager import Matcher
from otel_ml_exporter.cli.doctor.links import Case, Finding, broken, look, ok, unchecked
from otel_ml_exporter.cli.pack import of_site
from otel_ml_exporter.cli.words import ago, clock, command, counted, told
from otel_ml_exporter.mixin.pack import WATCHDOG
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.routing import mutes, reached

_RESENT = 120.0
"""Seconds in which Prometheus sends an alert again: its delay of a minute, and a minute until the next evaluation."""
_WAIT = "ask again in two minutes"


def known(case: Case) -> Finding:
    """Prometheus sends alerts to this Alertmanager."""
    found = [urlsplit(url).netloc for url in case.prometheus.alertmanagers()]
    if not found:
        return broken("Prometheus knows no Alertmanager", "name it under `alerting` of prometheus.yml and reload")
    if _named(case.alertmanager.host) not in map(_named, found):
        return look(
            f"Prometheus sends to {', '.join(found)}, not to {case.alertmanager.host}", "check --alertmanager; it may be another name"
        )
    return ok(f"Prometheus sends to {', '.join(found)}")


def _named(host: str) -> str:
    """The host by one of the two names that this machine has for itself."""
    return host.replace("127.0.0.1", "localhost")


def answers(case: Case) -> Finding:
    """Alertmanager answers."""
    status = case.alertmanager.status()
    return ok(f"version {status.version}")


def watchdog(case: Case) -> Finding:
    """The alert that always fires comes through to somebody: the path is whole, or has only just begun."""
    since = [alert.since for alert in case.prometheus.alerts() if alert.labels.get("alertname") == WATCHDOG and alert.state == "firing"]
    if not since:
        if any(rule.name == WATCHDOG and rule.alerting and not rule.evaluated for rule in case.rules):
            return unchecked("waiting: Prometheus has loaded it just now and not evaluated it yet", _WAIT)
        return broken("it is not firing in Prometheus", "load alert_rules/monitor.yaml; rendered with --no-watchdog it has none")
    held = case.alertmanager.alerts([Matcher("alertname", WATCHDOG)])
    if not held:
        begun, what = max((min(since), "it began to fire"), (case.alertmanager.status().started, "Alertmanager started"))
        if case.now - begun < _RESENT:
            return unchecked(f"waiting: {what} {ago(begun, case.now)}, and Prometheus sends alerts again once a minute", _WAIT)
        return broken("it is firing in Prometheus but is not in Alertmanager", "look for `Error sending alert` in Prometheus' log")
    ways = [way for alert in held for way in reached(case.alertmanager.status().config, alert.labels)]
    if not any(way.integrations for way in ways):
        return look("it arrives, but no receiver passes it on", "route it to a dead man's switch, which pages when it stops")
    return ok(f"it fires, arrives, and goes to {', '.join(sorted({way.receiver for way in ways}))}")


def route(severity: str) -> Callable[[Case], Finding]:
    """The test whether every alert of a severity about the model reaches somebody."""

    def test(case: Case) -> Finding:
        alerts = case.alerts(severity)
        if not alerts:
            return look(f"no loaded alert of the pack is {severity}", "load alert_rules/, unless this is intended")
        config = case.alertmanager.status().config
        ways = [(alert, way) for alert in alerts for way in reached(config, alert)]
        lost = [(alert, way) for alert, way in ways if not way.integrations]
        site = of_site(alerts)
        carry = f" (alerts carry {', '.join(f'{name}={value}' for name, value in site.items())})" if site else ""
        if lost:
            names_ = sorted({alert["alertname"] for alert, _ in lost})
            which = "" if len(lost) == len(ways) else f"{_brief(names_)} "
            receivers = ", ".join(dict.fromkeys(way.receiver for _, way in lost))
            found = f"{which}goes to receiver {receivers}, which notifies nobody{carry}"
            mend = "fix the routes, or give the receiver an integration"
            return look(found, f"unless this is intended, {mend}") if which and severity != names.CRITICAL else broken(found, mend)
        return ok("; ".join(dict.fromkeys(told(way) for _, way in ways)) + carry)

    return test


def silences(case: Case) -> Finding:
    """No silence mutes the model's pages."""
    pages = case.alerts(names.CRITICAL)
    active = [each for each in case.alertmanager.silences() if each.state == "active"]
    muting = {each.id: [page["alertname"] for page in pages if mutes(list(each.matchers), page)] for each in active}
    found = [
        f"{each.id} by {each.author} until {clock(each.ends)} ({each.comment})"
        + ("" if len(muting[each.id]) == len(pages) else f" mutes {_brief(sorted(set(muting[each.id])))}")
        for each in active
        if muting[each.id]
    ]
    if found:
        ids = [identity for identity, muted in muting.items() if muted]
        return look(f"pages are silenced: {'; '.join(found)}", f"when it is over: {command('alerts', 'expire', *ids)}")
    narrower = sum(Matcher(MODEL, case.model) in each.matchers for each in active)
    return ok("none mutes the model's pages" + (f"; {counted(narrower, 'narrower one')} about it" if narrower else ""))


def _brief(found: Sequence[str]) -> str:
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
