"""The sample of a baseline's rows: a Parquet file beside the baseline, bound to it by its fingerprint."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_ml.baseline import Baseline
from otel_ml.catalogue import BASELINE_ID, OTHER
from otel_ml.errors import OtelMLError
from otel_ml.files import write_bytes
from otel_ml_exporter.rows import MAX_ROWS
from otel_ml_exporter.rows.codes import Coder, Codes, category

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet


class SampleError(OtelMLError):
    """A sample that cannot be used: what is wrong with it, and how to mend it."""


def write(path: Path, baseline: Baseline, rows: pa.Table) -> None:
    """Write the features of `rows` as the sample of a baseline, at once or not at all; what is made from a column is left out.

    Categories that have no bin of their own are written as `__other__`: a rare one may name a person.
    """
    import pyarrow as pa  # noqa: PLC0415  an extra
    from pyarrow import parquet  # noqa: PLC0415

    columns = {}
    for feature in baseline.features:
        if feature.source is not None:
            continue
        if feature.type == "numeric":
            columns[feature.name] = rows[feature.name].cast(pa.float64())
        else:
            known = set(feature.histogram.categories)
            labels = (None if value is None or value != value else category(value) for value in rows[feature.name].to_pylist())  # noqa: PLR0124
            kept = [label if label is None or label in known else OTHER for label in labels]
            columns[feature.name] = pa.array(kept, pa.string())
    file = io.BytesIO()
    parquet.write_table(pa.table(columns).replace_schema_metadata({BASELINE_ID: baseline.fingerprint}), file, compression="zstd")
    write_bytes(path, file.getvalue())


def fingerprint_of(path: Path) -> str:
    """The fingerprint of the baseline whose rows a file holds. Raises `SampleError` for a file that holds none, or `OSError`."""
    with _opened(path) as file:
        found: str = (file.schema_arrow.metadata or {}).get(BASELINE_ID.encode(), b"").decode("utf-8", "replace")
        if not found:
            raise SampleError("names no baseline in its metadata; write it with `otel-ml baseline build --sample`")
        if file.metadata.num_rows > MAX_ROWS:
            raise SampleError(f"has {file.metadata.num_rows:,} rows; {MAX_ROWS:,} are enough, build it with fewer --sample-rows")
        return found


def read(path: Path, baseline: Baseline) -> Codes:
    """The rows of a file as codes, shape (rows, features). Raises `SampleError` for a file that does not fit, or `OSError`."""
    with _opened(path) as file:
        wanted = [feature.name for feature in baseline.features if feature.source is None]
        absent = [name for name in wanted if name not in file.schema_arrow.names]
        if absent:
            raise SampleError(f"has no column {', '.join(absent)}; build it again with the baseline")
        table = file.read(wanted)
    return Coder(baseline).rows({name: table[name].to_pylist() for name in wanted}, table.num_rows)


@contextmanager
def _opened(path: Path) -> Iterator[parquet.ParquetFile]:
    try:
        import pyarrow as pa  # noqa: PLC0415  an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SampleError("needs pyarrow to be read; pip install 'otel-ml[data]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise SampleError(f"is no Parquet file ({error}); write it with `otel-ml baseline build --sample`") from error
