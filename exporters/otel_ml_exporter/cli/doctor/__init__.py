"""`otel-ml doctor`: walks the path from the process to the pager and says which link is broken."""

from __future__ import annotations

import argparse
from pathlib import Path

from otel_ml_exporter.cli.arguments import said
from otel_ml_exporter.cli.servers import add_access, add_alertmanager, add_prometheus, server_url


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="check every link from the process to the pager and say which is broken",
        description="Test each link from the model's process to the person on call; nothing is changed and no alert is sent.",
        epilog="Exit codes: 0 no link is broken; 1 a link is broken, with how to fix it; 2 wrong usage.",
    )
    parser.add_argument("--model", type=said, required=True, help="the model whose links are checked")
    add_prometheus(parser)
    add_alertmanager(parser)
    add_access(parser)
    parser.add_argument("--target", type=server_url, metavar="URL", help="the service's own /metrics, to look inside the process")
    parser.add_argument("--exporter", type=server_url, metavar="URL", help="the companion exporter, to check that it is ready")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="the baseline that the model should be served with")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.doctor.visit import visit

    return visit(options)
