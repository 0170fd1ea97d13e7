"""`otel-ml baseline`: make a baseline, look at it, check it, compare it with another."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from otel_ml import Baseline, BaselineError
from otel_ml_exporter.cli.servers import add_access, server_url
from otel_ml_exporter.rows import MAX_ROWS


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `baseline build`, `show`, `diff` and `validate`."""
    parser = commands.add_parser("baseline", help="make, show, compare and check a model's baseline")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_build(
        actions.add_parser(
            "build",
            help="make a baseline from held-out data in CSV or Parquet files, or from what Prometheus counted",
            epilog="Exit codes: 0 written; 1 the data make no baseline, or Prometheus does not answer; 2 wrong usage.",
        )
    )

    show = actions.add_parser(
        "show",
        help="print a baseline as a table, with the number of series it will cost",
        epilog="Exit codes: 0 printed; 1 the file is no baseline, or has no such feature; 2 wrong usage.",
    )
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--feature", metavar="NAME", help="the bins of one feature, with bars")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(run=_show)

    diff = actions.add_parser(
        "diff",
        help="what changed from one baseline to another; exit code 1 when it matters",
        epilog="Exit codes: 0 nothing that matters changed; 1 something did, or a file is no baseline; 2 wrong usage.",
    )
    diff.add_argument("before", type=Path, metavar="A", help="the older baseline")
    diff.add_argument("after", type=Path, metavar="B", help="the newer one")
    diff.add_argument("--json", action="store_true", help="for programs")
    diff.set_defaults(run=_diff)

    validate = actions.add_parser(
        "validate", help="check a baseline file; names every fault", epilog="Exit codes: 0 valid; 1 not, with every fault; 2 wrong usage."
    )
    validate.add_argument("file", type=Path, metavar="FILE")
    validate.add_argument("--json", action="store_true", help="for programs")
    validate.set_defaults(run=_validate)


def _add_build(build: argparse.ArgumentParser) -> None:
    build.add_argument("data", nargs="*", metavar="DATA", help="CSV or Parquet files or patterns, of any size; one row a prediction")
    build.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the baseline (JSON)")
    build.add_argument("--model", help="the model's name")
    build.add_argument("--version", help="the model's version")
    build.add_argument("--prediction", type=_names, default=[], metavar="COL[,COL]", help="prediction, or one probability a class")
    build.add_argument("--label", metavar="COL", help="what turned out to be true")
    build.add_argument("--time", metavar="COL", help="when each row was; gives the design effect, is no feature")
    build.add_argument("--key", metavar="COL", help="whose each row is (user, device); gives the design effect, is no feature")
    build.add_argument("--features", type=_names, metavar="A,B,C", help="the model's inputs (default: all other columns)")
    build.add_argument("--categorical", type=_names, default=[], metavar="A,B", help="numeric columns that are codes")
    build.add_argument("--task", choices=("binary", "multiclass", "regression"), help="inferred when it can be")
    build.add_argument(
        "--confidence", choices=("probability", "margin", "entropy"), help="what is watched of the probabilities (default: probability)"
    )
    build.add_argument("--logits", action="store_true", help="the predictions are logits, whose energy is watched too")
    build.add_argument("--importance", type=Path, metavar="FILE", help="how much the model uses each feature (JSON or CSV)")
    build.add_argument("--bins", type=int, default=10, help="quantile bins of a numeric feature (default: %(default)s)")
    build.add_argument(
        "--golden", type=int, default=0, metavar="N", help="store N rows with their predictions, raw values in the file, for Monitor.verify"
    )
    build.add_argument("--sample", type=Path, metavar="FILE", help="also write a random sample of the rows (Parquet), for the exporter")
    build.add_argument("--sample-rows", type=int, default=5_000, metavar="N", help="rows of the sample (default: %(default)s)")
    build.add_argument(
        "--like",
        type=Path,
        metavar="OLD",
        help="keep the bins of another version's baseline, so that versions compare; with --from-prometheus the one that is served",
    )
    history = build.add_argument_group("from what a served model emitted, instead of DATA")
    history.add_argument("--from-prometheus", type=server_url, metavar="URL", help="count what the model was given, as Prometheus has it")
    history.add_argument("--range", default="7d", help="how far to look back (default: %(default)s)")
    add_access(history, "at Prometheus")
    build.set_defaults(run=_build, fail=build.error)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _check_usage(options: argparse.Namespace) -> None:
    if bool(options.data) == bool(options.from_prometheus):
        options.fail("give DATA (CSV or Parquet files), or --from-prometheus URL; one of the two")
    if options.importance and options.from_prometheus:
        options.fail("--importance needs DATA; with --like OLD a baseline keeps that of the old one")
    if options.sample and not 0 < options.sample_rows <= MAX_ROWS:
        options.fail(f"--sample-rows is {options.sample_rows}; give a number from 1 to {MAX_ROWS}")
    if options.sample and options.from_prometheus:
        options.fail("--sample needs DATA: Prometheus has counts, not rows")
    if options.confidence and options.from_prometheus:
        options.fail("--confidence needs DATA; with --like OLD a baseline keeps that of the old one")
    if options.golden and options.from_prometheus:
        options.fail("--golden needs DATA: Prometheus has counts, not rows")
    if not (options.model and options.version) and not options.like:
        options.fail("give --model and --version")
    if not options.version and options.data:
        options.fail("give --version; that of --like is of another one")


def _build(options: argparse.Namespace) -> int:
    _check_usage(options)
    if options.from_prometheus:
        from otel_ml_exporter.cli.baseline.history import from_prometheus as make
    else:
        from otel_ml_exporter.cli.baseline.build import from_files as make
    baseline = make(options)
    baseline.save(options.output)
    size = f"{len(baseline.features)} features, {baseline.samples:,} rows, {baseline.series} series"
    print(f"{options.output}: {size}, id {baseline.fingerprint}")
    if baseline.golden is not None:
        print(f"{len(baseline.golden.rows)} golden records are in it: raw rows, as personal as the data are")
    if options.sample:
        from otel_ml_exporter.cli.baseline.sample import write_sample

        rows = write_sample(options, baseline)
        print(f"{options.sample}: {rows:,} rows of the data; they are as personal as the data are")
    return 0


def _show(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.baseline.show import show

    return show(options)


def _diff(options: argparse.Namespace) -> int:
    from otel_ml_exporter.cli.baseline.diff import diff

    return diff(options)


def _validate(options: argparse.Namespace) -> int:
    try:
        baseline = Baseline.load(options.file)
    except BaselineError as error:
        if options.json:
            print(json.dumps({"valid": False, "faults": [vars(fault) for fault in error.faults]}))
        else:
            print(f"otel-ml: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"valid": True, "fingerprint": baseline.fingerprint}))
    else:
        print(f"{options.file}: valid, {baseline.model} {baseline.version}, id {baseline.fingerprint}")
    return 0
