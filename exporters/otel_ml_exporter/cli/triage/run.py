"""Ask and print."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

from otel_ml_exporter.cli.arguments import baseline as of_file
from otel_ml_exporter.cli.servers import alertmanager, given, prometheus
from otel_ml_exporter.cli.triage.forms import as_markdown, as_text, headline
from otel_ml_exporter.cli.triage.gather import gather
from otel_ml_exporter.cli.triage.report import Commands
from otel_ml_exporter.cli.words import command


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 when a person should look."""
    baseline = of_file(options.baseline)
    with prometheus(options) as server, alertmanager(options) as other:
        report = gather(
            server,
            other,
            model=options.model,
            window=options.window,
            now=time.time(),
            back=options.range,
            top=options.top,
            baseline=baseline,
        )
    if options.json:
        print(json.dumps({"headline": headline(report), **asdict(report)}))
    else:
        print((as_markdown if options.markdown else as_text)(report, _commands(options)))
    return int(report.wrong)


def _commands(options: argparse.Namespace) -> Commands:
    about = ("--model", options.model)
    return Commands(
        doctor=command("doctor", *about, *given(options, "prometheus", "alertmanager")),
        silence=command("alerts", "silence", *about, "--for", "2h", "--comment", "why", *given(options, "alertmanager")),
    )
