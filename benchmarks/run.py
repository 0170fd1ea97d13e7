"""What watching costs, as ratios against one `histogram.record` in the same run: `make bench`."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_ml import Baseline, Monitor

FEATURES = 30
CALLS = 5_000
ROUNDS = 7


def seconds(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """CPU seconds for each item, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for item in items:
            work(item)
        best = min(best, (time.process_time() - start) / len(items))
    return best


def baseline(features: int, version: str, rows: int = 5_000) -> Baseline:
    random = np.random.default_rng(0)
    data, predictions, labels = random.normal(size=(rows, features)), random.random(rows), random.integers(0, 2, rows)
    return Baseline.from_data(data, model="bench", version=version, predictions=predictions, labels=labels)


def calls() -> None:
    """One row of 30 features; prediction, confidence, latency, outliers and folding included."""
    provider = MeterProvider([InMemoryMetricReader()])
    rows = np.random.default_rng(1).normal(size=(CALLS, FEATURES))
    names = [f"f{index}" for index in range(FEATURES)]
    forms = {
        "numpy row": [rows[i : i + 1] for i in range(CALLS)],
        "dict": [dict(zip(names, row, strict=True)) for row in rows.tolist()],
        "list": rows.tolist(),
    }

    def predict(_: Any) -> float:
        return 0.4

    histogram = provider.get_meter("bench").create_histogram("bench")
    attributes = {"a": "1", "b": "2", "c": "3"}
    bare = seconds(predict, rows)
    record = seconds(lambda _: histogram.record(0.1, attributes), rows) - bare
    report("histogram.record, 3 attributes", f"{record * 1e6:.1f} us", "1.0")
    monitored = Monitor(baseline(FEATURES, "1"), meter_provider=provider).wrap(predict)
    for form, items in forms.items():
        cost = seconds(monitored, items) - bare
        report(f"a monitored call, {form}", f"{cost * 1e6:.1f} us", f"{cost / record:.1f} (limit 3)")
    unconfigured = Monitor(baseline(FEATURES, "2")).wrap(predict)
    cost = seconds(unconfigured, forms["numpy row"]) - bare
    report("the same without an SDK", f"{cost * 1e6:.1f} us", f"{cost / record:.1f}")


def batches() -> None:
    provider = MeterProvider([InMemoryMetricReader()])
    answer = np.random.default_rng(2).random(100_000)
    batch = np.random.default_rng(3).normal(size=(100_000, FEATURES))
    monitored = Monitor(baseline(FEATURES, "3"), meter_provider=provider).wrap(lambda _: answer)
    for kind in (np.float64, np.float32):
        cost = seconds(monitored, [batch.astype(kind)] * 3) / batch.size
        report(f"a value of a batch, {kind.__name__}", f"{cost * 1e9:.1f} ns", "(limit 30 ns)")


def memory() -> None:
    reference = baseline(100, "4")
    row = {f"f{index}": 0.5 for index in range(100)}
    tracemalloc.start()
    monitored = Monitor(reference, meter_provider=MeterProvider([InMemoryMetricReader()])).wrap(lambda _: 0.4)
    for _ in range(2_000):
        monitored(dict(row))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    report("memory of a monitor, 100 features", f"{peak / 1e6:.1f} MB", "(limit 5 MB)")


def evaluation() -> None:
    """In a process of its own, so that its memory is that of an exporter."""
    from otel_ml_exporter.counts import ModelCounts  # noqa: PLC0415 - the plugin is measured without the exporter's imports
    from otel_ml_exporter.evaluate import evaluate  # noqa: PLC0415
    from otel_ml_exporter.service import Exporter  # noqa: F401, PLC0415 - an exporter's memory holds all of it
    from otel_ml_exporter.thresholds import Limits  # noqa: PLC0415

    reference = baseline(200, "5")
    observed = {feature.name: dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True)) for feature in reference.features}
    counts = ModelCounts("bench", "5", reference.fingerprint, observed, violations={}, predictions={}, confidences={}, outliers={})
    cost = seconds(lambda _: evaluate(reference, [counts], "1h", Limits()), [None])
    report("evaluating 200 features x 12 bins", f"{cost * 1e3:.0f} ms", "(limit 200 ms)")
    report("memory of that process", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB", "(limit 200 MB)")


def report(what: str, figure: str, ratio: str) -> None:
    """One line of the table."""
    print(f"{what:38}{figure:>12}  {ratio}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run everything; `evaluation` alone is what the child process is asked for."""
    if arguments == ["evaluation"]:
        evaluation()
        return 0
    report("", "CPU", "against histogram.record")
    for benchmark in (calls, batches, memory):
        benchmark()
    return subprocess.run([sys.executable, __file__, "evaluation"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
