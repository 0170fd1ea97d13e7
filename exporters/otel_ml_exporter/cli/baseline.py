"""`otel-ml baseline`: make a baseline from a file, look at it, check it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_ml import Baseline, BaselineError
from otel_ml.baseline import Feature, Histogram
from otel_ml.errors import Fault

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCKS = " ▁▂▃▄▅▆▇█"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `baseline build`, `show` and `validate`."""
    parser = commands.add_parser("baseline", help="make, show and check the baseline of a model")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    build = actions.add_parser("build", help="make a baseline from held-out data in a CSV or Parquet file")
    build.add_argument("data", type=Path, metavar="DATA", help="CSV or Parquet; one row a prediction")
    build.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the baseline (JSON)")
    build.add_argument("--model", required=True, help="the model's name")
    build.add_argument("--version", required=True, help="the model's version")
    build.add_argument("--prediction", type=_names, default=[], metavar="COL[,COL]", help="prediction, or one probability a class")
    build.add_argument("--label", metavar="COL", help="what turned out to be true")
    build.add_argument("--features", type=_names, metavar="A,B,C", help="the model's inputs (default: all other columns)")
    build.add_argument("--categorical", type=_names, default=[], metavar="A,B", help="numeric columns that are codes")
    build.add_argument("--task", choices=("binary", "multiclass", "regression"), help="inferred when it can be")
    build.add_argument("--bins", type=int, default=10, help="quantile bins of a numeric feature (default: %(default)s)")
    build.set_defaults(run=_build)

    show = actions.add_parser("show", help="print a baseline as a table, with the number of series it will cost")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(run=_show)

    validate = actions.add_parser("validate", help="check a baseline file; names every fault")
    validate.add_argument("file", type=Path, metavar="FILE")
    validate.add_argument("--json", action="store_true", help="for programs")
    validate.set_defaults(run=_validate)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _build(options: argparse.Namespace) -> int:
    table = _read(options.data)
    used = [*options.prediction, *([options.label] if options.label else [])]
    features = options.features or [name for name in table.column_names if name not in used]
    faults = [
        Fault(f"column {name!r}", "is not in the file", f"the file has {', '.join(table.column_names)}")
        for name in (*used, *features)
        if name not in table.column_names
    ]
    if faults:
        raise BaselineError(str(options.data), faults)
    baseline = Baseline.from_data(
        table.select(features),
        model=options.model,
        version=options.version,
        predictions=_predictions(table, options.prediction),
        labels=table[options.label] if options.label else None,
        task=options.task,
        categorical=options.categorical,
        bins=options.bins,
    )
    baseline.save(options.output)
    size = f"{len(baseline.features)} features, {baseline.samples:,} rows, {baseline.series} series"
    print(f"{options.output}: {size}, id {baseline.fingerprint}")
    return 0


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if path.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise BaselineError(str(path), [Fault("file", f"ends in {path.suffix or 'nothing'}", "give a .csv or .parquet file")])
    try:
        return csv.read_csv(path) if path.suffix.lower() == ".csv" else parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise BaselineError(str(path), [Fault("file", f"cannot be read ({error})", "give a CSV file with a header, or Parquet")]) from error


def _predictions(table: pa.Table, columns: Sequence[str]) -> Any:
    if not columns:
        return None
    if len(columns) == 1:
        return table[columns[0]]
    import numpy as np

    return np.column_stack([table[name].to_numpy() for name in columns])


def _show(options: argparse.Namespace) -> int:
    baseline = Baseline.load(options.file)
    if options.json:
        print(json.dumps({**baseline.to_dict(), "series": baseline.series}))
        return 0
    task = baseline.task or "no predictions"
    print(f"{baseline.model} {baseline.version}  {task}  {baseline.samples:,} rows  {baseline.created:%Y-%m-%d %H:%M} UTC")
    print(f"id {baseline.fingerprint}  {baseline.series} series for each replica\n")
    rows = [("feature", "type", "bins", "missing", "range", "distribution"), *map(_feature_row, baseline.features)]
    for name, histogram in (("(prediction)", baseline.prediction), ("(confidence)", baseline.confidence)):
        if histogram is not None:
            rows.append((name, "", str(len(histogram.labels)), _missing(histogram), "", sparkline(histogram)))
    _print_table(rows)
    if baseline.performance:
        print("\n" + "  ".join(f"{name} {value:.3f}" for name, value in baseline.performance.items()))
    return 0


def _feature_row(feature: Feature) -> tuple[str, ...]:
    if feature.type == "categorical":
        span = f"{len(feature.vocabulary)} categories"
    else:
        span = "" if feature.minimum is None else f"{feature.minimum:.6g} .. {feature.maximum:.6g}"
    histogram = feature.histogram
    return feature.name, feature.type, str(len(histogram.labels)), _missing(histogram), span, sparkline(histogram)


def _missing(histogram: Histogram) -> str:
    return f"{histogram.counts[-2] / histogram.samples:.1%}" if histogram.samples else ""


def sparkline(histogram: Histogram) -> str:
    """The counts as one character a bin.

    >>> sparkline(Histogram(None, ("a", "b"), (5, 10, 0, 0)))
    '▄█  '
    """
    most = max(histogram.counts) or 1
    return "".join(_BLOCKS[round(count / most * 8)] for count in histogram.counts)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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
