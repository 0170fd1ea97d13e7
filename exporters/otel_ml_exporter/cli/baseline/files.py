"""CSV and Parquet files of any size as one stream of tables, in bounded memory."""

from __future__ import annotations

import glob
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from otel_ml import BaselineError
from otel_ml.errors import Fault
from otel_ml_exporter.cli.baseline.progress import Progress

CSV_BLOCK = 16 * 1024 * 1024
"""Bytes of CSV that are parsed at once; a smaller file is parsed as a whole."""
ROWS = 65_536
_PARQUET = (".parquet", ".pq")


class Files:
    """Files with the same columns; the type of a column is the narrowest that holds all of its values in all files."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._paths = [path for pattern in patterns for path in _expanded(pattern)]
        self.name = ", ".join(patterns)
        schemas = [_schema(path) for path in self._paths]
        for path, schema in zip(self._paths, schemas, strict=True):
            if set(schema.names) != set(schemas[0].names):
                problem = f"has {', '.join(schema.names)}, not {', '.join(schemas[0].names)}"
                raise BaselineError(str(path), [Fault("columns", problem, "give files with the same columns")])
        self._schema = reduce(_widened, schemas)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._schema.names)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of all files in their order, with these columns."""
        schema = pa.schema([self._schema.field(name) for name in columns])
        sizes = [path.stat().st_size for path in self._paths]
        with Progress("reading") as progress:
            for index, path in enumerate(self._paths):
                with _readable(path):
                    for table, done in _parquet(path, schema) if _is_parquet(path) else _csv(path, schema):
                        yield table
                        progress.to((sum(sizes[:index]) + done * sizes[index]) / max(sum(sizes), 1))


def _expanded(pattern: str) -> list[Path]:
    found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 - a pattern may be absolute
    if not found:
        raise BaselineError(pattern, [Fault("files", "there are none", "check the pattern; ** is any number of directories")])
    for path in map(Path, found):
        if path.suffix.lower() not in (".csv", *_PARQUET):
            raise BaselineError(str(path), [Fault("file", f"ends in {path.suffix or 'nothing'}", "give a .csv or .parquet file")])
    return [Path(path) for path in found]


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in _PARQUET


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise BaselineError(str(path), [Fault("file", f"cannot be read ({error})", "give a CSV file with a header, or Parquet")]) from error


def _schema(path: Path) -> pa.Schema:
    with _readable(path):
        if _is_parquet(path):
            return parquet.read_schema(path)
        return reduce(_widened, (csv.read_csv(block, read_options=names).schema for block, names in _blocks(path)))


def _blocks(path: Path) -> Iterator[tuple[io.BytesIO, csv.ReadOptions]]:
    """A CSV file in pieces that end with a line, and how the columns of each are called."""
    with path.open("rb") as file:
        first = file.read(CSV_BLOCK) + file.readline()
        names = csv.read_csv(io.BytesIO(first)).column_names
        yield io.BytesIO(first), csv.ReadOptions(block_size=2 * CSV_BLOCK)
        while block := file.read(CSV_BLOCK):
            yield io.BytesIO(block + file.readline()), csv.ReadOptions(column_names=names, block_size=2 * CSV_BLOCK)


def _widened(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(name, _wider(one.field(name).type, other.field(name).type)) for name in one.names])


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds the values of both, as the CSV reader would choose it for all of them together."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)):
        return pa.float64()
    if all(pa.types.is_timestamp(kind) and kind.tz is None for kind in (one, other)):
        return pa.timestamp("ns")
    return pa.string()


def _parquet(path: Path, schema: pa.Schema) -> Iterator[tuple[pa.Table, float]]:
    with parquet.ParquetFile(path) as file:
        rows, total = 0, max(file.metadata.num_rows, 1)
        for batch in file.iter_batches(batch_size=ROWS, columns=schema.names):
            rows += batch.num_rows
            yield pa.Table.from_batches([batch]).select(schema.names).cast(schema), rows / total


def _csv(path: Path, schema: pa.Schema) -> Iterator[tuple[pa.Table, float]]:
    size = max(path.stat().st_size, 1)
    convert = csv.ConvertOptions(column_types=schema, include_columns=schema.names)
    with path.open("rb") as file, csv.open_csv(file, csv.ReadOptions(block_size=2 * CSV_BLOCK), convert_options=convert) as reader:
        for batch in reader:
            done = min(file.tell() / size, 1.0)
            for start in range(0, batch.num_rows, ROWS):
                yield pa.Table.from_batches([batch.slice(start, ROWS)]), done
