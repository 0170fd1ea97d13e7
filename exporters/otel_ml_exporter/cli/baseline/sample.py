"""`otel-ml baseline build --sample`: a random sample of the rows beside the baseline."""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa

from otel_ml import Baseline
from otel_ml_exporter.cli.baseline.files import Files
from otel_ml_exporter.rows.sample import write


def write_sample(options: argparse.Namespace, baseline: Baseline) -> int:
    """Write the sample of a baseline that was built from files; the number of its rows."""
    files = Files(options.data)
    rows = _chosen(files, [feature.name for feature in baseline.features if feature.source is None], options.sample_rows)
    write(options.sample, baseline, rows)
    return int(rows.num_rows)


def _chosen(files: Files, columns: list[str], most: int) -> pa.Table:
    """At most so many random rows, the same each time: each draws a number, those with the smallest stay, in their order."""
    random = np.random.default_rng(0)
    kept, draws = [], np.empty(0)
    for table in files.tables(columns):
        kept.append(table)
        draws = np.concatenate([draws, random.random(table.num_rows)])
        if len(draws) > most:
            places = np.sort(np.argpartition(draws, most)[:most])
            kept, draws = [pa.concat_tables(kept).take(places)], draws[places]
    return pa.concat_tables(kept)
