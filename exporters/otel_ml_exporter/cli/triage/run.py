"""Ask and print."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

from otel_ml_exporter.cli.arguments import baseline as given
from otel_ml_exporter.cli.servers import alertmanager, prometheus
from otel_ml_exporter.cli.triage.forms import as_markdown, as_text, headline
from otel_ml_exporter.cli.triage.gather import gather


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 when a person should look."""
    baseline = given(options.baseline)
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
        print(as_markdown(report) if options.markdown else as_text(report))
    return int(report.wrong)
