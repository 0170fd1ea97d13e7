"""`otel-ml exporter run`: the companion exporter, its check, and one evaluation as a table."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otel_ml_exporter.cli.words import padded, plain, wide

if TYPE_CHECKING:
    from otel_ml_exporter.config import Config
    from otel_ml_exporter.evaluate import FeatureScore
    from otel_ml_exporter.service import Report

_HEADER = ("model", "version", "window", "feature", "psi", "floor", "verdict", "samples")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `exporter`."""
    parser = subparsers.add_parser("exporter", help="the companion exporter: turns counts into numbers for Prometheus")
    commands = parser.add_subparsers(dest="exporter_command", required=True)
    run = commands.add_parser(
        "run",
        help="evaluate each interval and serve /metrics",
        description="Compare what was counted with the baselines, each interval, and serve the scores on /metrics.",
        epilog="Exit codes: 0 done; 1 an error in the configuration, or with --once a feature drifted or the source does not answer; "
        "2 wrong usage.",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="the YAML configuration")
    once = run.add_mutually_exclusive_group()
    once.add_argument("--check", action="store_true", help="say what is wrong with the configuration and its baselines, then exit")
    once.add_argument("--once", action="store_true", help="print one evaluation as a table; exit code 1 when something drifted")
    run.set_defaults(run=run_exporter, invalid=1)


def run_exporter(args: argparse.Namespace) -> int:
    """The exit code, 0 or 1. Raises `OtelMLError` when the exporter cannot be started."""
    from otel_ml_exporter import config as configuration
    from otel_ml_exporter.baselines import BaselineFiles

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = configuration.load(args.config)
    loaded = BaselineFiles(config.models, config.directory).check()
    if args.check:
        for file, problem in loaded.missing.items():
            print(f"baseline {file}: {problem}; the exporter will look for it again", file=sys.stderr)
        print(f"{args.config}: baselines: {len(loaded.watched)} loaded, {len(loaded.missing)} missing")
        return 0
    if args.once:
        return _once(config)
    from otel_ml_exporter.server import serve

    serve(config)
    return 0


def _once(config: Config) -> int:
    from otel_ml_exporter.service import Exporter

    exporter = Exporter(config)
    try:
        report = exporter.tick(time.time())
    finally:
        exporter.close()
    rows = list(_rows(report))
    print(table([_HEADER, *rows]))
    return int(report.problem is not None or any(row[6] == "drift" for row in rows))


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    """A row for each feature of each model and window, the ones without a score among them."""
    for model in report.models:
        for window, evaluation in model.windows.items():
            scores = {score.feature.name: score for score in evaluation.scores}
            for feature in model.watched.baseline.features:
                yield (*model.watched.key, window.label, feature.name, *_cells(scores.get(feature.name)))


def _cells(score: FeatureScore | None) -> tuple[str, ...]:
    if score is None:
        return "-", "-", "no score", "-"
    verdict = "drift" if score.drifted else "stable"
    return f"{score.psi.value:.4f}", f"{score.psi.noise_floor:.4f}", verdict, f"{score.psi.samples:.0f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text with aligned columns.

    >>> print(table([("feature", "psi"), ("age", "0.83")]))
    feature  psi
    age      0.83
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(wide, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
