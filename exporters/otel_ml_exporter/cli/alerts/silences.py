"""`otel-ml alerts silence`, `silences` and `expire`."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from difflib import get_close_matches

from otel_ml_exporter.alertmanager import Alertmanager, Matcher, Silence
from otel_ml_exporter.cli import pack
from otel_ml_exporter.cli.alerts.listing import about
from otel_ml_exporter.cli.exporter import table
from otel_ml_exporter.cli.models import listed
from otel_ml_exporter.cli.servers import alertmanager, given
from otel_ml_exporter.cli.words import clock, command, plain
from otel_ml_exporter.mixin.pack import ALL_MODELS
from otel_ml_exporter.mixin.promql import FEATURE, MODEL, VERSION

WEEK = 7 * 86_400
_LABELS = (("alert", "alertname"), ("category", "category"), ("feature", FEATURE), ("version", VERSION))


def make(options: argparse.Namespace) -> int:
    """Make a silence and print its id and how to end it; 0."""
    if options.duration > WEEK:
        print("otel-ml: this is longer than a week: whatever breaks meanwhile is silenced too", file=sys.stderr)
    narrowed = [Matcher(label, getattr(options, name)) for name, label in _LABELS if getattr(options, name)]
    matchers = [*about(options.model), *narrowed]
    now = time.time()
    with alertmanager(options) as server:
        muted = len(server.alerts(matchers))
        doubts = list(_doubts(server, options.model, options.alert))
        made = server.silence(matchers, starts=now, ends=now + options.duration, author=options.author or _user(), comment=options.comment)
    for doubt in doubts:
        print(f"otel-ml: {plain(doubt)}", file=sys.stderr)
    print(f"silence {made} until {clock(now + options.duration)}: {plain(', '.join(map(str, matchers)))}")
    print(f"it mutes {muted} of the alerts now firing; end it with: {command('alerts', 'expire', made, *given(options, 'alertmanager'))}")
    return 0


def _doubts(server: Alertmanager, model: str, alert: str | None) -> Iterator[str]:
    """What may be misspelled, as far as Alertmanager can tell: it has heard only of what is firing."""
    firing = server.alerts(about(None))
    models = {each.labels[MODEL] for each in firing} - {ALL_MODELS}
    if model not in {*models, ALL_MODELS}:
        others = f"; something is for {listed(models, model)}" if models else ""
        yield f"nothing is firing for model {model!r}, so nobody can tell here whether it is spelled like this{others}"
    if alert and not pack.is_alert(alert) and alert not in {each.labels.get("alertname") for each in firing}:
        near = get_close_matches(alert, pack.alert_names(), 1)
        yield f"no alert {alert!r} is in the pack, or is firing" + (f"; did you mean {near[0]}?" if near else "")


def show(options: argparse.Namespace) -> int:
    """Print the silences that are not over; always 0."""
    with alertmanager(options) as server:
        silences = _living(server.silences(), options.model)
    if options.json:
        print(json.dumps([asdict(silence) for silence in silences]))
    elif silences:
        rows = [(each.id, each.state, clock(each.ends), each.author, ", ".join(map(str, each.matchers)), each.comment) for each in silences]
        print(table([("id", "state", "until", "by", "mutes", "comment"), *rows]))
    else:
        print("no silence" + (f" of model {options.model}" if options.model else ""))
    return 0


def expire(options: argparse.Namespace) -> int:
    """End silences; 1 when there is none of the model, or not one that was named."""
    with alertmanager(options) as server:
        living = [silence.id for silence in _living(server.silences(), options.model)]
        ids = options.silences or living
        for each in ids:
            if each in living:
                server.expire(each)
                print(f"silence {each} ended")
    missing = (
        [f"silence {each} is unknown or over" for each in ids if each not in living]
        if ids
        else [f"no silence is for model {options.model}"]
    )
    for problem in missing:
        print(f"otel-ml: {plain(problem)}; see `otel-ml alerts silences`", file=sys.stderr)
    return int(bool(missing))


def _living(silences: Sequence[Silence], model: str | None) -> list[Silence]:
    """The silences that are not over and, where a model is given, name it."""
    return [each for each in silences if each.state != "expired" and (model is None or Matcher(MODEL, model) in each.matchers)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "otel-ml"
