"""What watching costs, as ratios against one `histogram.record` in the same run: `make bench`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_ml import Abstain, Baseline, Monitor

FEATURES = 30
CALLS = 5_000
ROUNDS = 7
INNER = 20
"""Calls of models inside one that is counted, as those of a pipeline or an ensemble."""
MODELS, MANY = 10, 1_000
"""Models and features of each that one exporter judges; each feature has ten intervals and the two reserved bins."""


def bare(_: Any) -> float:
    """The quickest model there is."""
    return 0.4


def seconds(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """CPU seconds for each item, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for item in items:
            work(item)
        best = min(best, (time.process_time() - start) / len(items))
    return best


def baseline(features: int, version: str, rows: int = 5_000, outputs: int = 1) -> Baseline:
    random = np.random.default_rng(0)
    data, predictions, labels = random.normal(size=(rows, features)), random.random(rows), random.integers(0, 2, rows)
    if outputs == 1:
        return Baseline.from_data(data, model="bench", version=version, predictions=predictions, labels=labels)
    answers = {"sold": predictions} | {f"y{number}": random.normal(size=rows) for number in range(1, outputs)}
    return Baseline.from_data(data, model="bench", version=version, predictions=answers, labels={"sold": labels})


def in_turns(works: Mapping[str, tuple[Callable[[Any], Any], Sequence[Any]]]) -> dict[str, float]:
    """CPU seconds for each item, the best of some rounds, in each of which all take turns: what else the machine does hits all alike."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, (work, items) in works.items():
            start = time.process_time()
            for item in items:
                work(item)
            best[name] = min(best[name], (time.process_time() - start) / len(items))
    return best


def calls() -> None:
    """One row of 30 features; prediction, confidence, latency, outliers and folding included."""
    provider = MeterProvider([InMemoryMetricReader()])
    histogram, attributes = provider.get_meter("bench").create_histogram("bench"), {"a": "1", "b": "2", "c": "3"}
    table = np.random.default_rng(1).normal(size=(CALLS, FEATURES))
    rows, lists = [row[None] for row in table], table.tolist()
    dicts = [dict(zip([f"f{index}" for index in range(FEATURES)], row, strict=True)) for row in lists]

    def monitored(version: str, answer: Any = 0.4, outputs: int = 1, **options: Any) -> Callable[[Any], Any]:
        return Monitor(baseline(FEATURES, version, outputs=outputs), **{"meter_provider": provider} | options).wrap(lambda _: answer)

    one, ours = monitored("1"), Monitor(baseline(FEATURES, "2"), meter_provider=provider)
    ours._record_duration = lambda *_: None  # noqa: SLF001 - what remains is our own
    costs = in_turns(
        {
            "bare": (bare, rows),
            "histogram.record, 3 attributes": (lambda _: histogram.record(0.1, attributes), rows),
            "a monitored call, numpy row": (one, rows),
            "a monitored call, dict": (one, dicts),
            "a monitored call, list": (one, lists),
            "a numpy row, latency not recorded": (ours.wrap(bare), rows),
            "a numpy row without an SDK": (monitored("3", meter_provider=None), rows),
            "a numpy row, 2 outputs": (monitored("4", (0.4, 0.4), 2), rows),
            "a numpy row, 3 outputs": (monitored("5", (0.4, 0.4, 0.4), 3), rows),
            "a numpy row, withheld for its confidence": (monitored("6", abstain=Abstain(confidence_below=0.7)), rows),
            "a numpy row, withheld for its distance": (monitored("7", abstain=Abstain(outlier_above=0.0)), rows),
        }
    )
    unwatched = costs.pop("bare")
    record = costs["histogram.record, 3 attributes"] - unwatched
    for what, cost in costs.items():
        goal = " (goal 2)" if what.startswith("a monitored") else ""
        report(what, f"{(cost - unwatched) * 1e6:.1f} us", f"{(cost - unwatched) / record:.2f}{goal}")


def instrumented() -> None:
    """What an instrumentor adds: to the outermost call, beside a monitored method, and to each call inside a monitored one."""
    from sklearn.base import BaseEstimator  # noqa: PLC0415 - nothing else needs it

    from otel_ml.instrumentation.sklearn import SklearnInstrumentor  # noqa: PLC0415

    class Plain:
        def predict(self, _: Any) -> float:
            return 0.4

    class Model(BaseEstimator):  # type: ignore[misc]
        predict = Plain.predict

    def around(model: Any) -> Callable[[Any], Any]:
        outer = Monitor(model="bench", version="of others", meter_provider=provider)
        return outer.wrap(lambda row: [model.predict(row) for _ in range(INNER)])

    provider, watched = MeterProvider([InMemoryMetricReader()]), baseline(FEATURES, "8")
    with tempfile.TemporaryDirectory() as directory:
        watched.save(f"{directory}/bench.json")
        os.environ["OTEL_ML_BASELINE"] = f"{directory}/bench.json"
        SklearnInstrumentor().instrument(meter_provider=provider)
    rows = [row[None] for row in np.random.default_rng(1).normal(size=(CALLS, FEATURES))]
    works = {
        "monitored": Monitor(watched, meter_provider=provider).wrap(Plain().predict),
        "instrumented": Model().predict,
        "plain inside": around(Plain()),
        "instrumented inside": around(Model()),
    }
    costs = in_turns({what: (work, rows) for what, work in works.items()})
    SklearnInstrumentor().uninstrument()
    outermost, inside = costs["instrumented"] - costs["monitored"], (costs["instrumented inside"] - costs["plain inside"]) / INNER
    report("an instrumentor, more for a call", f"{outermost * 1e6:.1f} us", "than a monitored method")
    report("an instrumentor, for a call inside one", f"{inside * 1e6:.1f} us", "")


def latency() -> None:
    """What a call takes longer, call by call, folding included; the first calls warm up."""
    rows = np.random.default_rng(4).normal(size=(4 * CALLS, 1, FEATURES))
    monitored = Monitor(baseline(FEATURES, "6"), meter_provider=MeterProvider([InMemoryMetricReader()])).wrap(bare)
    taken = np.empty(len(rows))
    for index, row in enumerate(rows):
        start = time.perf_counter()
        monitored(row)
        taken[index] = time.perf_counter() - start
    median, p99 = np.quantile(taken[CALLS:], (0.5, 0.99))
    report("p99 of a monitored call", f"{p99 * 1e6:.0f} us", f"{p99 / median:.1f} times its median (limit 60)")


class Stopwatch:
    """A lock that remembers for how long it was held at most."""

    def __init__(self, lock: Any) -> None:
        self._lock, self.longest, self._depth = lock, 0.0, 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._start = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.longest = max(self.longest, time.thread_time() - self._start)
        self._lock.release()


def collection() -> None:
    """Collections while another thread predicts, and for how long anybody held the lock that both take."""
    reader = InMemoryMetricReader()
    monitor = Monitor(baseline(100, "7"), meter_provider=MeterProvider([reader]))
    monitored, row, done = monitor.wrap(bare), np.zeros((1, 100)), threading.Event()
    cost = seconds(lambda _: reader.get_metrics_data(), [None] * 10)
    counts: Any = monitor._counts  # noqa: SLF001
    lock = counts._lock = Stopwatch(counts._lock)  # noqa: SLF001

    def predict() -> None:
        while not done.is_set():
            monitored(row)

    thread = threading.Thread(target=predict)
    thread.start()
    for _ in range(50):
        reader.get_metrics_data()
    done.set()
    thread.join()
    report("collecting 100 features x 12 bins", f"{cost * 1e3:.1f} ms", "(limit 30 ms)")
    report("longest hold of the predictions' lock", f"{lock.longest * 1e3:.2f} ms", "(limit 1 ms)")


def batches() -> None:
    provider = MeterProvider([InMemoryMetricReader()])
    answer = np.random.default_rng(2).random(100_000)
    batch = np.random.default_rng(3).normal(size=(100_000, FEATURES))
    monitored = Monitor(baseline(FEATURES, "3"), meter_provider=provider).wrap(lambda _: answer)
    for kind in (np.float64, np.float32):
        cost = seconds(monitored, [batch.astype(kind)] * 3) / batch.size
        report(f"a value of a batch, {kind.__name__}", f"{cost * 1e9:.1f} ns", "(goal 12 ns)")


def memory() -> None:
    reference = baseline(100, "4")
    row = {f"f{index}": 0.5 for index in range(100)}
    tracemalloc.start()
    monitored = Monitor(reference, meter_provider=MeterProvider([InMemoryMetricReader()])).wrap(bare)
    for _ in range(2_000):
        monitored(dict(row))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    report("memory of a monitor, 100 features", f"{peak / 1e6:.1f} MB", "(limit 5 MB)")


def evaluation(files: Sequence[str]) -> None:
    """In a process of its own, so that its memory is that of an exporter with these baselines."""
    from otel_ml_exporter.collector import ReadingsCollector  # noqa: PLC0415 - the plugin is measured without the exporter's imports
    from otel_ml_exporter.counts import ModelCounts  # noqa: PLC0415
    from otel_ml_exporter.evaluate import describe, evaluate  # noqa: PLC0415
    from otel_ml_exporter.service import Exporter  # noqa: F401, PLC0415 - an exporter's memory holds all of it
    from otel_ml_exporter.thresholds import Limits  # noqa: PLC0415

    limits = Limits()
    served = []
    for file in files:
        known = Baseline.load(file)
        bins = {feature.name: dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True)) for feature in known.features}
        counts = ModelCounts(
            known.model, known.version, known.fingerprint, bins, violations={}, predictions={}, confidences={}, outliers={}
        )
        served.append((known, counts))
    collector = ReadingsCollector()

    def judge(_: object) -> None:
        collector.publish(reading for known, counts in served for reading in evaluate(known, [counts], "1h", limits).readings)

    report(f"evaluating {MODELS} models x {MANY:,} features", f"{seconds(judge, [None]):.2f} s", "(limit 1 s)")
    described = [reading for known, _ in served for reading in describe(known, limits)]
    judged = [reading for known, counts in served for reading in evaluate(known, [counts], "1h", limits).readings]
    collector.publish([*described, *judged])
    cost = seconds(lambda _: sum(map(len, collector.text())), [None])
    report(f"a scrape of {len(described) + len(judged):,} series", f"{cost:.2f} s", "")
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # `ru_maxrss` is that of the parent, if it is larger
    report("memory of that process", f"{int(most) / 1024:.0f} MB", "(limit 250 MB)")


def report(what: str, figure: str, ratio: str) -> None:
    """One line of the table."""
    print(f"{what:42}{figure:>12}  {ratio}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run everything; given baseline files, only what the child process is asked for."""
    if arguments:
        evaluation(arguments)
        return 0
    report("", "CPU", "against histogram.record")
    for benchmark in (calls, instrumented, latency, collection, batches, memory):
        benchmark()
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/{model}.json" for model in range(MODELS)]
        for file in files:
            baseline(MANY, file, rows=2_000).save(file)
        return subprocess.run([sys.executable, __file__, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
