"""`otel-ml baseline build` from files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from otel_ml import Baseline, BaselineError
from otel_ml.baseline import Batch
from otel_ml.errors import Fault
from otel_ml_exporter.cli.baseline.files import Files


def from_files(options: argparse.Namespace) -> Baseline:
    """The baseline of all rows of the files, read twice where they are large."""
    files = Files(options.data)
    beside = [name for name in (*options.prediction, options.label, options.time, options.key) if name]
    features = options.features or [name for name in files.columns if name not in beside]
    _check(files, [*beside, *features])

    def read() -> Iterator[Batch]:
        for table in files.tables(list(dict.fromkeys([*features, *beside]))):
            yield _batch(table, features, options)

    return Baseline.from_batches(
        read,
        model=options.model,
        version=options.version,
        task=options.task,
        categorical=options.categorical,
        bins=options.bins,
    )


def _check(files: Files, wanted: Sequence[str]) -> None:
    faults = [
        Fault(f"column {name!r}", "is not in the file", f"the file has {', '.join(files.columns)}")
        for name in wanted
        if name not in files.columns
    ]
    if not wanted:
        faults.append(Fault("columns", "there are none", "give a file with a header and at least one column"))
    if faults:
        raise BaselineError(files.name, faults)


def _batch(table: pa.Table, features: Sequence[str], options: argparse.Namespace) -> Batch:
    label, time, key = (table[name] if name else None for name in (options.label, options.time, options.key))
    return Batch(table.select(list(features)), _predictions(table, options.prediction), label, time, key)


def _predictions(table: pa.Table, columns: Sequence[str]) -> Any:
    if not columns:
        return None
    if len(columns) == 1:
        return table[columns[0]]
    return np.column_stack([table[name].to_numpy() for name in columns])
