"""One visit: the table of links in their order, and how they are printed."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml_exporter.cli.arguments import baseline as of_file
from otel_ml_exporter.cli.doctor import evaluation, notification, service
from otel_ml_exporter.cli.doctor.links import BROKEN, OK, Case, Check, Finding, Link, ok, walk
from otel_ml_exporter.cli.doctor.silent import silent
from otel_ml_exporter.cli.servers import alertmanager, given, prometheus
from otel_ml_exporter.cli.words import command, plain
from otel_ml_exporter.remote import Remote, RemoteError


def _prometheus(case: Case) -> Finding:
    case.prometheus.vector("1")
    return ok(f"{case.prometheus.host} answers")


_SERVER, _ARRIVAL, _EXPORTER, _RULES, _ALERTMANAGER = "Prometheus", "metrics arrive", "exporter evaluates", "rules loaded", "Alertmanager"

CHECKS: Final = (
    Check("service endpoint", service.endpoint),
    Check(_SERVER, _prometheus),
    Check("scrape", service.scrape, (_SERVER,)),
    Check(_ARRIVAL, service.arrival, (_SERVER,)),
    Check("calls", service.calls, (_ARRIVAL,)),
    Check("nothing lost", service.losses, (_ARRIVAL,)),
    Check("series budget", service.budget, (_SERVER,)),
    Check("fingerprint", evaluation.fingerprint, (_ARRIVAL,)),
    Check("exporter endpoint", evaluation.exporter),
    Check(_EXPORTER, evaluation.evaluations, (_SERVER,)),
    Check("exporter reads", evaluation.source, (_EXPORTER,)),
    Check("scores", evaluation.scores, (_ARRIVAL, _EXPORTER)),
    Check("labels", evaluation.labels, (_EXPORTER,)),
    Check(_RULES, evaluation.loaded, (_SERVER,)),
    Check("rules healthy", evaluation.healthy, (_SERVER, _RULES)),
    Check("alerting", notification.known, (_SERVER,)),
    Check(_ALERTMANAGER, notification.answers),
    Check("Watchdog", notification.watchdog, (_SERVER, _ALERTMANAGER)),
    Check("route, critical", notification.route(names.CRITICAL), (_ALERTMANAGER,)),
    Check("route, warning", notification.route(names.WARNING), (_ALERTMANAGER,)),
    Check("silences", notification.silences, (_ALERTMANAGER,)),
)
"""The path from the process to the pager, in its order."""

_WIDTH = max(len(check.name) for check in CHECKS)


def visit(options: argparse.Namespace) -> int:
    """Walk the path and print each link as it is tested; 1 when one is broken."""
    baseline = of_file(options.baseline)
    with ExitStack() as open_:
        exporter, target = (
            open_.enter_context(Remote(name, url, timeout=10)) if url else None
            for name, url in (("the exporter", options.exporter), ("the service", options.target))
        )
        servers = open_.enter_context(prometheus(options)), open_.enter_context(alertmanager(options))
        case = Case(options.model, *servers, exporter, target, baseline, time.time())
        links = walk(CHECKS, case, lambda link: None if options.json else _print(link))
        silences = _silences(case, links)
    broken = [link for link in links if link.state == BROKEN]
    if options.json:
        print(json.dumps({"model": options.model, "healthy": not broken, "links": [asdict(link) for link in links], "silent": silences}))
        return int(bool(broken))
    for silence in silences:
        print(f"silent  {', '.join(silence['alerts'])}: {silence['why']}\n        -> {silence['wake']}")
    phone = command("alerts", "test", "--model", options.model, *given(options, "alertmanager"))
    if broken:
        print(f"\nbroken: {', '.join(link.name for link in broken)}; start with the first")
    else:
        print(f"\nno link is broken; to see whether the phone rings: {phone}")
    return int(bool(broken))


def _silences(case: Case, links: Sequence[Link]) -> list[dict[str, Any]]:
    """What cannot fire, and what wakes it; nothing where Prometheus does not know the model."""
    if not any(link.name == _ARRIVAL and link.state == OK for link in links):
        return []
    try:
        return [{"alerts": silence.alerts, "why": silence.why, "wake": silence.wake} for silence in silent(case)]
    except RemoteError:
        return []


def _print(link: Link) -> None:
    print(f"{link.state:<6}  {link.name:<{_WIDTH}}  {plain(link.found)}", flush=True)
    if link.mend:
        print(f"{'':<{_WIDTH + 10}}-> {plain(link.mend)}")
