"""`otel-ml baseline build` from files."""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
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

    like = Baseline.load(options.like) if options.like else None
    return Baseline.from_batches(
        read,
        model=options.model or (like.model if like else ""),
        version=options.version,
        task=options.task,
        categorical=options.categorical,
        importance=_importance(options.importance) if options.importance else None,
        confidence=options.confidence,
        logits=options.logits,
        bins=options.bins,
        like=like,
        golden=options.golden,
    )


def _importance(path: Path) -> dict[str, float]:
    """The weight of each feature: a JSON object, or CSV with the columns `feature` and `importance`."""
    mend = 'write {"age": 0.6, "plan": 0.4}, or CSV with the columns feature and importance'
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                found = {row["feature"]: float(row["importance"]) for row in csv.DictReader(file)}
        else:
            found = {str(name): float(weight) for name, weight in json.loads(path.read_text("utf-8")).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(str(path), [Fault("importance", f"cannot be read ({type(error).__name__}: {error})", mend)]) from error
    if not found or not all(0 <= weight < math.inf for weight in found.values()):
        raise BaselineError(str(path), [Fault("importance", "holds a weight that is no number of 0 or more, or none", mend)])
    return found


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
