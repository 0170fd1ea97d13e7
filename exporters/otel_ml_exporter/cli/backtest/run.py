"""One replay: which rules, over which past, side by side."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from otel_ml import catalogue as names
from otel_ml.errors import ConfigurationError, Fault, OtelMLError
from otel_ml.files import write_text
from otel_ml_exporter.cli import models
from otel_ml_exporter.cli.backtest import ruleset, scratch
from otel_ml_exporter.cli.backtest.history import History, Span, fired, outcomes, queries, told
from otel_ml_exporter.cli.backtest.notifications import check
from otel_ml_exporter.cli.backtest.picture import draw
from otel_ml_exporter.cli.backtest.report import Variant, as_data, as_text
from otel_ml_exporter.cli.backtest.ruleset import AlertRule, Rules
from otel_ml_exporter.cli.baseline.progress import Progress
from otel_ml_exporter.cli.servers import prometheus
from otel_ml_exporter.cli.words import clock
from otel_ml_exporter.mixin.knobs import load
from otel_ml_exporter.prometheus import Prometheus
from otel_ml_exporter.routing import RoutingError

AS_IS = "as is"


class NoPastError(OtelMLError):
    """There is nothing to look at."""


def run(options: argparse.Namespace) -> int:
    """Print what the alerts would have done; 1 when they would have paged more often than asked for."""
    named = {AS_IS: _chosen(options, {}), **{name: _chosen(options, changes) for name, changes in options.sets.items()}}
    if options.most_pages is not None:
        _check_pages(named[AS_IS])
    routing = _routing(options.alertmanager_config)
    with _past(options) as (server, asked), Progress("asking for the past") as progress:
        span = _with_models(server, asked, options)
        total, done = queries(list(named.values()), span), 0

        def seen() -> None:
            nonlocal done
            done += 1
            progress.to(done / total)

        history = History(server, span, seen)
        found = {name: fired(rules, span, options.model, history.ask) for name, rules in named.items()}
    variants = [
        Variant(name, named[name], outcomes(series, named[name]), None if routing is None else told(routing, series, span))
        for name, series in found.items()
    ]
    if options.svg:
        write_text(options.svg, draw(variants, span))
    if options.json:
        print(json.dumps(as_data(variants, span)))
    else:
        heard = {outcome.alert for variant in variants for outcome in variant.outcomes}
        print(as_text(variants, span, asked, sorted({alert.name for alert in named[AS_IS].alerts} - heard)))
    pages = variants[-1].pages(span)
    if options.most_pages is not None and pages > options.most_pages:
        print(f"otel-ml: {pages:.1f} pages a week are more than {options.most_pages:g}", file=sys.stderr)
        return 1
    return 0


def _routing(file: Path | None) -> Mapping[str, Any] | None:
    """Alertmanager's configuration, tried on nothing; `ConfigurationError` where it cannot be read."""
    if file is None:
        return None
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        check(config)
    except (yaml.YAMLError, UnicodeDecodeError, RoutingError, KeyError, TypeError, AttributeError, ValueError) as error:
        fault = Fault("route", f"cannot be read ({type(error).__name__}: {error})", "check it with `amtool check-config`")
        raise ConfigurationError(str(file), [fault]) from error
    return config  # type: ignore[no-any-return]


def _chosen(options: argparse.Namespace, changes: dict[str, str]) -> Rules:
    """The rules with these thresholds and knobs, without those that nobody asked for."""
    limits = {signal: value for signal, value in changes.items() if signal in ruleset.SIGNALS}
    others = {name: value for name, value in changes.items() if name not in limits}
    knobs = load(options.knobs, {})
    if options.files:
        rules = ruleset.of_files(options.files, knobs)
        if others:
            faults = [Fault(name, "is no threshold", f"use one of {', '.join(sorted(ruleset.SIGNALS))}") for name in others]
            raise ConfigurationError("--set", faults)
    else:
        rules = ruleset.of_pack(ruleset.with_knobs(knobs, others))
    rules = rules.limited({signal: _number(signal, value) for signal, value in limits.items()})
    rules = rules if options.recorded else rules.inlined()
    return replace(rules, alerts=tuple(_wanted([alert for alert in rules.alerts if alert.severity != "none"], options.alerts)))


def _wanted(alerts: list[AlertRule], chosen: list[str]) -> list[AlertRule]:
    """The alerts that somebody asked for."""
    known = sorted({alert.name for alert in alerts})
    faults = [
        Fault(name, "is no alert of these rules", f"choose from {', '.join(known) or 'none'}") for name in chosen if name not in known
    ]
    if not known:
        faults = [Fault("rules", "hold no alert", "give files with alert rules")]
    if faults:
        raise ConfigurationError("--alert" if known else "the rules", faults)
    return [alert for alert in alerts if not chosen or alert.name in chosen]


def _check_pages(rules: Rules) -> None:
    """Raises `ConfigurationError` for rules of which none could page: fewer pages than any number would say nothing."""
    words = [word for word, level in rules.levels.items() if level == names.CRITICAL]
    if not any(alert.severity in words for alert in rules.alerts):
        mend = "name this site's word for it in --knobs, as in `severities: {critical: page}`"
        raise ConfigurationError("--most-pages", [Fault("rules", f"none of them has severity {' or '.join(words)}", mend)])


def _with_models(server: Prometheus, span: Span, options: argparse.Namespace) -> Span:
    """The span from when there is a model, so that rates are of its time; raises `OtelMLError` where the pack has no past to look at."""
    first = models.begun(server, options.model, span.start, span.end)
    if first is not None:
        return replace(span, start=first) if first - span.start > (span.end - span.start) / 100 else span
    if options.files:
        return span
    if options.model:
        models.check(server, options.model, span.end, span.end - span.start)
    about = f"model {options.model}" if options.model else "any model"
    raise NoPastError(
        f"Prometheus at {server.host} has nothing of {about} from {clock(span.start)} to {clock(span.end)}; check --range and --end"
    )


def _number(signal: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigurationError("--set", [Fault(signal, f"{value!r} is no number", "write a number")]) from None


@contextmanager
def _past(options: argparse.Namespace) -> Iterator[tuple[Prometheus, Span]]:
    """The server that has the past, and which part of it is looked at."""
    if options.history is None:
        end = options.end or time.time()
        with prometheus(options) as server:
            yield server, Span(end - (options.range or 7 * 86_400.0), end, options.step)
        return
    first, last = scratch.times(options.history)
    end = options.end or last
    with scratch.filled(options.history) as server:
        yield server, Span(max(first, end - options.range) if options.range else first, end, options.step)
