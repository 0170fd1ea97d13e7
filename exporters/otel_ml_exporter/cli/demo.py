"""`otel-ml demo`: the whole loop on this machine, with real data."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import mkdtemp


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo`."""
    parser = commands.add_parser(
        "demo",
        help="the whole loop on this machine: train, serve, drift, evaluate, page; ends by itself",
        epilog="Exit codes: 0 every step of the loop did what it should; 1 one did not; 2 wrong usage.",
    )
    parser.add_argument("-d", "--directory", type=Path, metavar="DIR", help="where files and logs go (default: a new temporary directory)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from otel_ml_exporter.demo.story import tell

    directory = options.directory or Path(mkdtemp(prefix="otel-ml-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    return tell(directory.absolute(), Console())
