"""How much ground truth one exporter takes: a minute of predictions over OTLP and outcomes over HTTP, and evaluations over ten million.

python benchmarks/outcomes.py                          # SQLite, 10,000 predictions and 5,000 outcomes a second
python benchmarks/outcomes.py --store postgresql+psycopg://user@host/db --predictions 5000 --outcomes 2500
python benchmarks/outcomes.py --stored 10000000        # evaluations of 24 h over that many predictions
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import sqlalchemy as sa
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from otel_ml import Baseline
from otel_ml import catalogue as names
from otel_ml_exporter.database import Database
from otel_ml_exporter.demo.stack import wait_until
from otel_ml_exporter.outcomes.store import OutcomeStore
from otel_ml_exporter.outcomes.tables import OUTCOMES, PREDICTIONS, Outcome, Prediction
from otel_ml_exporter.programs import free_ports

PROTOBUF = {"Content-Type": "application/x-protobuf"}
BATCH = 500
SENDERS = 8
APART = 10**9
"""What sets the ids of senders apart."""
DAY = 86_400


@contextmanager
def exporter(directory: Path, store: str) -> Iterator[tuple[str, int]]:
    """The URL and the process id of an exporter that watches one binary model."""
    score = np.random.default_rng(0).random(5_000)
    labels = (np.random.default_rng(1).random(5_000) < score).astype(int)
    Baseline.from_data(score[:, None], model="churn", version="3", predictions=score, labels=labels, task="binary").save(
        directory / "churn.json"
    )
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    settings = {"listen": url[7:], "interval": "5s", "store": store, "models": [{"baseline": "churn.json"}], "retention": "30d"}
    (directory / "exporter.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "otel_ml_exporter.cli", "exporter", "run", "--config", str(directory / "exporter.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: httpx.get(f"{url}/readyz", timeout=30).status_code == 200, "the exporter", seconds=120)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def predictions(first: int, rows: int) -> bytes:
    """An OTLP request as an SDK would send it, a record for each prediction."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    now = time.time_ns()
    for row in range(first, first + rows):
        confidence = random.random()
        record = records.add(event_name=names.EVENT_PREDICTION, time_unix_nano=now)
        texts = ((names.MODEL_NAME, "churn"), (names.MODEL_VERSION, "3"), (names.PREDICTION_ID, identity(row)))
        for key, text in (*texts, (names.PREDICTION_CLASS, str(int(confidence > 0.5)))):
            record.attributes.add(key=key).value.string_value = text
        record.attributes.add(key=names.PREDICTION_CONFIDENCE).value.double_value = confidence
    return request.SerializeToString()


def outcomes(first: int, rows: int) -> bytes:
    entries = [{"model": "churn", "prediction_id": identity(2 * row), "label": random.randint(0, 1)} for row in range(first, first + rows)]
    return json.dumps(entries).encode()


def identity(row: int) -> str:
    """Ids in no order, as those of a trace or a UUID are."""
    return f"{row * 0x9E3779B97F4A7C15 % 2**64:016x}"


class Sender(threading.Thread):
    """Sends batches at a rate, one of several; a batch that is refused comes again, as OpenTelemetry's exporters do."""

    def __init__(self, url: str, path: str, rate: float, seconds: float, first: int) -> None:
        super().__init__()
        self.url, self.path, self.rate, self.seconds, self.first = url, path, rate, seconds, first
        make = predictions if path == "/v1/logs" else outcomes
        self.bodies = [make(first + batch * BATCH, BATCH) for batch in range(int(rate * seconds / BATCH))]
        self.acknowledged = self.refused = 0
        self.slowest = 0.0

    def run(self) -> None:
        headers = PROTOBUF if self.path == "/v1/logs" else {}
        start = time.monotonic()
        with httpx.Client(base_url=self.url, timeout=60) as client:
            for body in self.bodies:
                time.sleep(max(0.0, start + (self.acknowledged + BATCH) / self.rate - time.monotonic()))
                sent = time.monotonic()
                if sent > start + self.seconds:
                    break
                while client.post(self.path, content=body, headers=headers).status_code != 200:
                    self.refused += 1
                    time.sleep(1)
                self.slowest = max(self.slowest, time.monotonic() - sent)
                self.acknowledged += BATCH


def sustained(store: str, directory: Path, rates: tuple[int, int], seconds: float) -> None:
    with exporter(directory, store) as (url, pid):
        senders = [
            [Sender(url, path, rate / SENDERS, seconds, index * APART) for index in range(SENDERS)]
            for path, rate in zip(("/v1/logs", "/v1/outcomes"), rates, strict=True)
        ]
        before = cpu_seconds(pid)
        for sender in (each for kind in senders for each in kind):
            sender.start()
        for sender in (each for kind in senders for each in kind):
            sender.join()
        used = cpu_seconds(pid) - before
        peak = next(line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    database = Database(store)
    with database.read() as connection:
        stored = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in (PREDICTIONS, OUTCOMES)]
    database.close()
    print("| what | a second | acknowledged | lost | refused | slowest answer |\n| --- | --- | --- | --- | --- | --- |")
    for what, kind, rows in zip(("predictions", "outcomes"), senders, stored, strict=True):
        acknowledged, refused = sum(sender.acknowledged for sender in kind), sum(sender.refused for sender in kind)
        slowest = max(sender.slowest for sender in kind)
        print(f"| {what} | {acknowledged / seconds:,.0f} | {acknowledged:,} | {acknowledged - rows} | {refused} | {slowest:.2f} s |")
    rows = sum(sender.acknowledged for kind in senders for sender in kind)
    print(f"\nThe exporter over {seconds:.0f} s: peak memory {int(peak) / 1024:.0f} MiB, {used / seconds:.0%} of a core, ", end="")
    print(f"{rows / used:,.0f} rows for each second of its CPU.")


def cpu_seconds(pid: int) -> float:
    """What a process has used of CPUs so far."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def fill(store: str, rows: int) -> None:
    """So many predictions of the last day: one of fifty through the store, so that its cells are there, the others as rows only."""
    database, now, random_ = Database(store), time.time(), random.Random(0)
    kept = OutcomeStore(database)
    for first in range(0, rows // 50, 10_000):
        entries = [
            Prediction("churn", "3", f"kept{row}", now - random_.random() * DAY, str(int(p > 0.5)), None, p, 1.0)
            for row in range(first, min(first + 10_000, rows // 50))
            for p in [random_.random()]
        ]
        labels = [str(int(random_.random() < (entry.confidence or 0.0))) for entry in entries]
        kept.keep(entries, [Outcome("churn", e.prediction_id, label, e.time) for e, label in list(zip(entries, labels, strict=True))[::2]])
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
    columns = "INSERT INTO predictions (model, version, prediction_id, time, class, confidence, weight, segment) "
    others = "SELECT 'churn', '3', 'row' || i, :since + i * :step, '1', 0.9, 1, '' FROM n"
    left = rows - rows // 50
    with database.write() as connection:
        connection.execute(sa.text(columns + numbers + others), {"rows": left, "since": now - DAY, "step": DAY / left})
    database.close()


def evaluations(store: str, directory: Path, rows: int) -> None:
    fill(store, rows)
    with exporter(directory, store) as (url, _), httpx.Client(timeout=30) as client:
        took: list[float] = []
        evaluated: list[float] = []
        for _ in range(200):
            start = time.monotonic()
            text = client.get(f"{url}/metrics").text
            took.append(time.monotonic() - start)
            values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
            evaluated.append(values[names.EXPORTER_EVALUATION_DURATION.prometheus])
            time.sleep(0.1)
    print(
        f"{values[names.EXPORTER_STORE_ROWS.prometheus]:,.0f} rows stored. Slowest evaluation of 1 h and 24 h: {max(evaluated):.2f} s. ",
        end="",
    )
    print(f"/metrics meanwhile: median {np.median(took) * 1000:.0f} ms, 99 % {np.quantile(took, 0.99) * 1000:.0f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(description="How much ground truth one exporter takes.")
    parser.add_argument("--store", help="a SQLAlchemy URL; an SQLite file of its own where there is none")
    parser.add_argument("--predictions", type=int, default=10_000, help="a second")
    parser.add_argument("--outcomes", type=int, default=5_000, help="a second; they label every other prediction")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stored", type=int, help="evaluate over so many stored predictions instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = options.store or f"sqlite:///{name}/store.db"
        if options.stored:
            evaluations(store, Path(name), options.stored)
        else:
            sustained(store, Path(name), (options.predictions, options.outcomes), options.seconds)


if __name__ == "__main__":
    main()
