"""`otel-ml alerts test`: a drill along the real route, from Alertmanager to the service that rings the phone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from otel_ml import OtelMLError
from otel_ml import catalogue as names
from otel_ml_exporter.alertmanager import Alertmanager, Matcher, Notified
from otel_ml_exporter.cli.alerts.listing import state
from otel_ml_exporter.cli.baseline.progress import Progress
from otel_ml_exporter.cli.pack import carried, of_site
from otel_ml_exporter.cli.servers import alertmanager, prometheus
from otel_ml_exporter.cli.words import span, told
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


@dataclass(frozen=True)
class Turn:
    """The next time that a route tells its receiver: within so many seconds, and in words."""

    way: Reached
    within: float
    words: str = ""


def run(options: argparse.Namespace) -> int:
    """Send the drill, wait until a notification was accepted, where that shows, and resolve it; 0 or `OtelMLError`."""
    site = _site(options)
    labels = drill(options.model, options.severity, {**(site or {}), **dict(options.labels)})
    with alertmanager(options) as server:
        if site:
            print(f"labels     {', '.join(f'{name}={value}' for name, value in site.items())}, as the loaded rules and Prometheus add them")
        ways = reached(server.status().config, labels)
        integrations = _behind(ways, "" if site is not None else "; Prometheus does not say which labels rules add, so give --label")
        turns = _turns(server, ways)
        print(f"route      {'; '.join(told(turn.way, turn.words) for turn in turns)}", flush=True)
        due = max(turn.within for turn in turns)
        with _raised(server, labels, options.wait or due + _MARGIN) as before:
            _taken(server, labels)
            _ring(server, integrations, before, options.wait or due + _MARGIN, due)
    print("resolved   receivers that notify of resolved alerts will do so")
    return 0


def _site(options: argparse.Namespace) -> dict[str, str] | None:
    """The labels that all loaded alerts of the pack of this severity carry here; None where Prometheus does not tell."""
    try:
        with prometheus(options) as server:
            return of_site(carried(server, server.rules(), options.model, options.severity))
    except RemoteError:
        return None


def _turns(server: Alertmanager, ways: Iterable[Reached]) -> list[Turn]:
    """When each route tells: a new group after its `group_wait`, one that lives at its next `group_interval`."""
    living = server.groups()
    try:
        hidden = server.group_count() > len(living)
    except RemoteError:
        hidden = False

    def turn(way: Reached) -> Turn:
        if (way.receiver, way.group) in living:
            return Turn(way, way.group_interval, f"within {span(way.group_interval)}, in a group that is already firing")
        if hidden and way.group_interval > way.group_wait:
            told_again = f"within {span(way.group_interval)} in a group that has just fired"
            return Turn(way, way.group_interval, f"after {span(way.group_wait)}, or {told_again}")
        return Turn(way, way.group_wait)

    return [turn(way) for way in ways]


def _ring(server: Alertmanager, integrations: Iterable[str], before: Mapping[str, Notified] | None, wait: float, due: float) -> None:
    """Wait until each integration has notified, and say so; raises `DrillError`."""
    if before is None:
        time.sleep(min(wait, due + _SENDING))
        print("notified   unknown: this Alertmanager exposes no metrics; look at the phone")
        return
    after = _watch(server, integrations, before, wait, due)
    for name in integrations:
        accepted = after[name].accepted - _of(before, name).accepted
        print(f"notified   {name} accepted {accepted:g} (Alertmanager counts all alerts together)")


def _counted(server: Alertmanager) -> dict[str, Notified] | None:
    """What was notified so far; None where a hosted Alertmanager does not show it."""
    try:
        return server.notified()
    except RemoteError as error:
        if error.status in (404, 405):
            return None
        raise


def drill(model: str, severity: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The labels of a drill: routed as an alert of that severity would be, and muting nothing but other drills.

    `drill` tells it from the last one: Alertmanager sends nothing for an alert that fires again before its group's next notification.
    """
    return {"alertname": ALERT, MODEL: model, names.SEVERITY: severity, "category": "drill", "drill": f"{time.time():.3f}", **extra}


def _behind(ways: Iterable[Reached], hint: str) -> list[str]:
    """The integrations that will be used. Raises `DrillError` where a receiver has none."""
    for way in ways:
        if not way.integrations:
            raise DrillError(f"the alert is routed to receiver {way.receiver!r}, which notifies nobody; fix Alertmanager's routes{hint}")
    return sorted({integration for way in ways for integration in way.integrations})


@contextmanager
def _raised(server: Alertmanager, labels: Labels, wait: float) -> Iterator[dict[str, Notified] | None]:
    """The drill fires, after the counts that it gives; it is resolved at the end, and by itself when this process dies."""
    before, started = _counted(server), time.time()
    notes = {
        "summary": "DRILL, nothing is wrong",
        "description": "Somebody is testing the route to you with `otel-ml alerts test`. The alert resolves by itself.",
        "action": "None; tell the sender that it arrived.",
        "runbook_url": _PAGE,
        "dashboard_url": _PAGE,
    }
    server.post(labels, notes, starts=started, ends=started + wait + 60)
    try:
        yield before
    finally:
        server.post(labels, notes, starts=started, ends=time.time())


def _taken(server: Alertmanager, labels: Labels) -> None:
    """Raises `DrillError` when Alertmanager mutes the drill."""
    end = time.monotonic() + _MARGIN
    while time.monotonic() < end:
        found = server.alerts([Matcher(name, labels[name]) for name in ("alertname", MODEL, "drill")])
        if found and found[0].state != "unprocessed":
            if found[0].state == "suppressed":
                raise DrillError(
                    f"the drill is {state(found[0])}, as alerts of model {labels[MODEL]} are now; see `otel-ml alerts silences`"
                )
            return
        time.sleep(_POLL)
    raise DrillError("Alertmanager accepted the drill but does not process it; read its log")


def _watch(
    server: Alertmanager, integrations: Iterable[str], before: Mapping[str, Notified], wait: float, due: float
) -> dict[str, Notified]:
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
    mend = f"the route waits up to {span(due)}, give a longer --wait" if wait <= due else "read Alertmanager's log"
    raise DrillError(f"no notification through {', '.join(missing)} within {span(wait)}; {mend}")


def _of(counts: Mapping[str, Notified], name: str) -> Notified:
    return counts.get(name, Notified())
