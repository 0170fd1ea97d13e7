"""`otel-ml outcomes import`: labels from a file to a running exporter; what was sent before changes nothing, so begin again at will."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_ml.errors import OtelMLError
from otel_ml_exporter.cli.arguments import said
from otel_ml_exporter.cli.servers import access, add_access, server_url

if TYPE_CHECKING:
    import httpx

BATCH = 5_000
_TIMEOUT = 60.0
PATIENCE = 10
"""Times that a batch is sent again before the import gives up."""
SHOWN = 20
TOKEN = "OTEL_ML_TOKEN"  # noqa: S105 - the name of a variable
COLUMNS = ("prediction_id", "label", "source", "value")


class ImportFailedError(OtelMLError):
    """The file or the exporter does not allow the import."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `outcomes`."""
    parser = subparsers.add_parser("outcomes", help="ground truth: labels from files")
    commands = parser.add_subparsers(dest="outcomes_command", required=True)
    run = commands.add_parser(
        "import",
        help="send the labels of a CSV or Parquet file to the exporter",
        description="Send the labels of a CSV or Parquet file to a running exporter. If interrupted, it can be run again.",
        epilog=f"A token is read from the environment variable {TOKEN}. Exit codes: 0 every row was accepted; 1 some were rejected, or the "
        "exporter does not answer; 2 wrong usage.",
    )
    run.add_argument("file", type=Path, metavar="FILE", help="a .csv or .parquet file with a row for each label")
    run.add_argument("--url", type=server_url, default="http://127.0.0.1:9469", help="the exporter (default: %(default)s)")
    add_access(run, "at the exporter", variable=None)
    run.add_argument("--model", type=said, help="the model; without it a column `model` names it")
    for column in COLUMNS:
        run.add_argument(
            f"--{column.replace('_', '-')}", default=column, metavar="COLUMN", help=f"the column of the {column} (default: %(default)s)"
        )
    run.set_defaults(run=run_import)


def run_import(args: argparse.Namespace) -> int:
    """0 when every row was accepted, 1 when some were rejected. Raises `OtelMLError` when the file or the exporter does not work."""
    import httpx

    results: Counter[str] = Counter()
    rejected = done = 0
    way_in = access(args)
    token = os.environ.get(TOKEN)
    if token and not way_in.authorization:
        way_in = replace(way_in, authorization=f"Bearer {token}")
    with httpx.Client(base_url=args.url, headers=way_in.sent, verify=way_in.tls, timeout=_TIMEOUT) as client:
        rows = _entries(args)
        while batch := list(islice(rows, BATCH)):
            answer = _send(client, batch)
            results.update(answer.get("results", {}))
            for entry in answer["rejected"]:
                rejected += 1
                if rejected <= SHOWN:
                    print(f"row {done + entry['row'] + 1}, {entry['field']}: {entry['problem']}; {entry['mend']}", file=sys.stderr)
            done += len(batch)
            if sys.stderr.isatty():
                print(f"\r{done} rows", end="", file=sys.stderr, flush=True)
    told = ", ".join(f"{rows} {result}" for result, rows in sorted(results.items())) or "none accepted"
    print(f"{done} rows: {told}" + (f"; {rejected} faults in rejected rows" if rejected else ""))
    return int(rejected > 0)


def _entries(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    wanted = {column: getattr(args, column) for column in COLUMNS}
    for row in _rows(args.file):
        for column in ("prediction_id", "label"):
            if wanted[column] not in row:
                raise ImportFailedError(f"{args.file}: there is no column {wanted[column]!r}; name it with --{column.replace('_', '-')}")
        if args.model is None and "model" not in row:
            raise ImportFailedError(f"{args.file}: there is no column 'model'; name the model with --model")
        entry = {"model": args.model or row["model"]}
        yield entry | {column: row[name] for column, name in wanted.items() if row.get(name) not in (None, "")}


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file, some at a time. Ids and labels of a CSV file stay as they are written."""
    if file.suffix.lower() == ".csv":
        import csv

        with file.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                number = row.get("value") or ""
                yield row | ({"value": _number(number)} if number else {})
        return
    import pyarrow as pa
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(file).iter_batches(BATCH):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise ImportFailedError(f"{file}: is neither .csv nor Parquet ({error}); convert it") from error


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _send(client: httpx.Client, batch: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to a batch; sent again while the exporter asks for it."""
    import httpx

    from otel_ml_exporter import bounded

    problem = ""
    for attempt in range(PATIENCE):
        try:
            answer = bounded.request(client, "POST", "/v1/outcomes", _TIMEOUT, json=batch)
        except httpx.TransportError as error:
            problem, wait = f"does not answer ({error})", 2.0**attempt / 10
        else:
            document: dict[str, Any] = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            if answer.status_code == 200 or (answer.status_code == 400 and "rejected" in document):
                return document
            problem, wait = (
                f"answers {answer.status_code}: {document.get('title', answer.text[:200])}",
                float(answer.headers.get("retry-after", 0)),
            )
            if answer.status_code not in (429, 502, 503, 504):
                break
        time.sleep(wait)
    raise ImportFailedError(f"the exporter at {client.base_url} {problem}; what was accepted stays, import the file again to go on")
