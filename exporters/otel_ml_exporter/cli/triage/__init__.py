"""`otel-ml triage`: the incident report of a model, on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from otel_ml_exporter.cli.arguments import said, seconds, whole
from otel_ml_exporter.cli.servers import add_access, add_alertmanager, add_prometheus


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `triage`."""
    parser = commands.add_parser(
        "triage",
        help="the incident report of a model: what moved, is it real, since when, what changed before, what to do",
        description="One page for the person who was woken: what fires, what moved and whether it is real, since when, "
        "what changed before, and what to do.",
        epilog="Exit codes: 0 nothing is wrong; 1 something fires or moved, or Prometheus does not answer; 2 wrong usage.",
    )
    parser.add_argument("--model", type=said, required=True)
    add_prometheus(parser)
    add_alertmanager(parser)
    add_access(parser)
    parser.add_argument("--range", type=seconds, default=86_400.0, metavar="DURATION", help="how far to look back (default: 24h)")
    parser.add_argument("--window", metavar="WINDOW", help="the exporter's window whose scores are told (default: its shortest)")
    parser.add_argument("--top", type=whole(0), default=5, metavar="N", help="features to tell (default: %(default)s)")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="the model's baseline: adds importance and design effect of features")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--markdown", action="store_true", help="for a ticket")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.triage.run import run

    return run(options)
