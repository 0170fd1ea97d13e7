"""`otel-ml backtest`: how often alert rules would have paged, told before they do."""

from __future__ import annotations

import argparse
from pathlib import Path

from otel_ml_exporter.cli.arguments import moment, number, said, seconds
from otel_ml_exporter.cli.servers import add_access, add_prometheus


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `backtest`."""
    parser = commands.add_parser(
        "backtest",
        help="replay alert rules over the past: how often they would have paged",
        description="Replay alert rules over Prometheus' own past, or over a file, with other limits side by side. Nothing is changed.",
        epilog="Exit codes: 0 done; 1 more pages than --most-pages, or no past to look at; 2 wrong usage.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="RULES", help="rule files (default: the rules of this pack)")
    add_prometheus(parser)
    add_access(parser)
    parser.add_argument("--history", type=Path, metavar="FILE", help="an OpenMetrics file with timestamps, instead of a Prometheus")
    parser.add_argument("--range", type=seconds, metavar="DURATION", help="how far to look back (default: 7d; a file: all)")
    parser.add_argument("--end", type=moment, metavar="TIME", help="until when, RFC 3339 or Unix seconds (default: now; a file: its end)")
    parser.add_argument("--step", type=seconds, metavar="DURATION", help="evaluate less often than the rules say: faster and coarser")
    parser.add_argument("--model", type=said, help="this model only")
    parser.add_argument("--alert", dest="alerts", action="append", default=[], metavar="NAME", help="this alert only; repeatable")
    parser.add_argument(
        "--set",
        dest="sets",
        action=_Variants,
        default={},
        metavar="NAME=VALUE,...",
        help="a variant, shown beside the unchanged rules: thresholds (error_budget=0.02) and, without RULES, knobs; repeatable",
    )
    parser.add_argument(
        "--knobs", type=Path, metavar="FILE", help="the knobs that this site renders the pack with: its limits, its words, its environments"
    )
    parser.add_argument(
        "--alertmanager-config", type=Path, metavar="FILE", help="also count what Alertmanager would send with this configuration"
    )
    parser.add_argument(
        "--recorded", action="store_true", help="read recorded series from Prometheus, which must have had the rules loaded at the time"
    )
    parser.add_argument("--most-pages", type=number(0), metavar="N", help="exit with 1 when the last variant pages more often in a week")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the timeline as a picture")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_run)


class _Variants(argparse.Action):
    """Collects variants by their text."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option_string: str | None = None
    ) -> None:
        changes = dict(part.partition("=")[::2] for part in str(values).split(","))
        if not all(name and value for name, value in changes.items()):
            parser.error(f"{option_string}: {values!r} is not NAME=VALUE, or several with commas between")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), str(values): changes})


def _run(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.backtest.run import run

    return run(options)
