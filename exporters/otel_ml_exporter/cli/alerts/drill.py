"""`otel-ml alerts test`: a drill along the real route, from Alertmanager to the service that rings the phone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from otel_ml import OtelMLError
from otel_ml_exporter.alertmanager import Alertmanager, Matcher, Notified
from otel_ml_exporter.cli.alerts.listing import about, state
from otel_ml_exporter.cli.baseline.progress import Progress
from otel_ml_exporter.cli.servers import alertmanager
from otel_ml_exporter.cli.words import span
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.prometheus import Labels
from otel_ml_exporter.remote import RemoteError
from otel_ml_exporter.routing import Reached, reached

ALERT = "ModelDrill"
_PAGE = "https://github.com/otel-ml/otel-ml/blob/main/docs/how-to/tools-on-call.md"
_MARGIN = 30.0
_POLL = 0.5
_SENDING = 3.0


class DrillError(OtelMLError):
    """The drill reached nobody."""


def run(options: argparse.Namespace) -> int:
    """Send the drill, wait until a notification was accepted, where that shows, and resolve it; 0 or `OtelMLError`."""
    labels = drill(options.model, options.severity, dict(options.labels))
    with alertmanager(options) as server:
        ways = reached(server.status().config, labels)
        integrations = _behind(ways)
        wait = options.wait or max(way.group_wait for way in ways) + _MARGIN
        print(f"route      {_told(ways)}")
        before = _counted(server)
        with _raised(server, labels, wait):
            _taken(server, options.model)
            if before is None:
                time.sleep(min(wait, max(way.group_wait for way in ways) + _SENDING))
                print("notified   unknown: this Alertmanager shows no metrics; look at the phone")
            else:
                after = _watch(server, integrations, before, wait)
                for name in integrations:
                    accepted = after[name].accepted - _of(before, name).accepted
                    print(f"notified   {name} accepted {accepted:g} (Alertmanager counts all alerts together)")
    print("resolved   receivers that send resolved alerts will say so")
    return 0


def _counted(server: Alertmanager) -> dict[str, Notified] | None:
    """What was notified so far; None where a hosted Alertmanager does not show it."""
    try:
        return server.notified()
    except RemoteError as error:
        if error.status in (404, 405):
            return None
        raise


def drill(model: str, severity: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The labels of a drill: routed as an alert of that severity would be, and muting nothing but other drills."""
    return {"alertname": ALERT, MODEL: model, "severity": severity, "category": "drill", **extra}


def _behind(ways: Iterable[Reached]) -> list[str]:
    """The integrations that will be used. Raises `DrillError` where a receiver has none."""
    for way in ways:
        if not way.integrations:
            raise DrillError(f"the alert is routed to receiver {way.receiver!r}, and nobody is behind it; mend the routes of Alertmanager")
    return sorted({integration for way in ways for integration in way.integrations})


def _told(ways: Iterable[Reached]) -> str:
    return "; ".join(f"{way.receiver} ({', '.join(way.integrations)}) after {span(way.group_wait)}" for way in ways)


@contextmanager
def _raised(server: Alertmanager, labels: Labels, wait: float) -> Iterator[None]:
    """The drill fires; it is resolved at the end, and by itself when this process dies."""
    started = time.time()
    notes = {
        "summary": "DRILL, nothing is wrong",
        "description": "Somebody tests the route to you with `otel-ml alerts test`. The alert resolves by itself.",
        "action": "Nothing; tell the sender that it arrived.",
        "runbook_url": _PAGE,
        "dashboard_url": _PAGE,
    }
    server.post(labels, notes, starts=started, ends=started + wait + 60)
    try:
        yield
    finally:
        server.post(labels, notes, starts=started, ends=time.time())


def _taken(server: Alertmanager, model: str) -> None:
    """Raises `DrillError` when Alertmanager mutes the drill."""
    end = time.monotonic() + _MARGIN
    while time.monotonic() < end:
        found = server.alerts([*about(model), Matcher("alertname", ALERT)])
        if found and found[0].state != "unprocessed":
            if found[0].state == "suppressed":
                raise DrillError(f"the drill is {state(found[0])}, as alerts of model {model} are now; see `otel-ml alerts silences`")
            return
        time.sleep(_POLL)
    raise DrillError("Alertmanager took the drill and does not process it; read its log")


def _watch(server: Alertmanager, integrations: Iterable[str], before: Mapping[str, Notified], wait: float) -> dict[str, Notified]:
    """The counts once every integration has accepted one more notification. Raises `DrillError` when one does not in time."""
    started, after, missing = time.monotonic(), dict(before), list(integrations)
    with Progress("waiting for the notification") as progress:
        while (passed := time.monotonic() - started) < wait:
            after = server.notified()
            missing = [name for name in integrations if _of(after, name).accepted <= _of(before, name).accepted]
            if not missing:
                return after
            progress.to(passed / wait)
            time.sleep(_POLL)
    refused = [name for name in missing if _of(after, name).failed > _of(before, name).failed]
    if refused:
        raise DrillError(f"notifications through {', '.join(refused)} fail; Alertmanager's log has the reason (key, URL, network)")
    raise DrillError(f"no notification through {', '.join(missing)} within {span(wait)}; give a longer --wait, or read Alertmanager's log")


def _of(counts: Mapping[str, Notified], name: str) -> Notified:
    return counts.get(name, Notified())
