"""Threads, tasks and processes: each call is counted once, by one process, and nobody waits for a lock that nobody holds."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View

from otel_ml import Baseline, Monitor, testing

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def baseline(request):
    rng = np.random.default_rng(0)
    score = rng.random(300)
    model = request.node.name
    return Baseline.from_data(rng.normal(size=(300, 3)), model=model, version="1", predictions=score, labels=score > 0.5)


def test_eight_threads_are_counted_exactly(baseline):
    reader = InMemoryMetricReader()
    monitor = Monitor(baseline, meter_provider=MeterProvider([reader]))
    predict = monitor.wrap(lambda _: 0.9)
    row = np.zeros((1, 3))
    done = threading.Event()

    def serve():
        for _ in range(5_000):
            predict(row)

    def scrape():
        while not done.is_set():
            reader.get_metrics_data()

    threads = [threading.Thread(target=serve) for _ in range(8)]
    scraper = threading.Thread(target=scrape)
    scraper.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    scraper.join()
    found = testing.collect(monitor)
    assert found.rows == 40_000
    assert found.predictions["True"] == 40_000
    assert {sum(bins.values()) for bins in found.features.values()} == {40_000}
    points = [m.data.data_points for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    durations = next(point for group in points for point in group if hasattr(point, "bucket_counts"))
    assert durations.count == 40_000


def rows_reported(reader):
    metrics = [m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    return next(m for m in metrics if m.name == "ml.inference.rows").data.data_points[0].value


def test_what_is_reported_never_falls_while_monitors_come_and_go(baseline):
    """A counter that falls looks like a restart, and what it fell to is counted again."""
    readers = [InMemoryMetricReader() for _ in range(2)]
    provider = MeterProvider(readers)
    kept, done = Monitor(baseline, meter_provider=provider), threading.Event()
    seen = [[], []]

    def scrape(reader, found):
        while not done.is_set():
            found.append(rows_reported(reader))

    scrapers = [threading.Thread(target=scrape, args=pair) for pair in zip(readers, seen, strict=True)]
    for scraper in scrapers:
        scraper.start()
    for _ in range(300):
        Monitor(baseline, meter_provider=provider).wrap(lambda _: 0.9)(np.zeros((1, 3)))
    done.set()
    for scraper in scrapers:
        scraper.join()
    assert all(found == sorted(found) for found in seen)
    assert [rows_reported(reader) for reader in readers] == [300, 300]
    assert testing.collect(kept).rows == 0


def test_a_thousand_tasks_are_counted_exactly(baseline):
    monitor = Monitor(baseline)

    @monitor.wrap
    async def predict(_):
        await asyncio.sleep(0)
        return 0.1

    async def serve():
        await asyncio.gather(*(predict(np.zeros((2, 3))) for _ in range(1_000)))

    asyncio.run(serve())
    assert testing.collect(monitor).rows == 2_000


def in_child(work, seconds=20.0):
    """The exit code of a forked child that does `work`; a child that hangs is killed and fails."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        except BaseException:  # noqa: BLE001 - the child must not run on into the parent's tests
            os._exit(2)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


@NEEDS_FORK
def test_a_forked_child_counts_from_zero_and_leaves_its_parent_alone(baseline):
    reader = InMemoryMetricReader()
    monitor = Monitor(baseline, meter_provider=MeterProvider([reader]))
    predict = monitor.wrap(lambda _: [0.9])
    predict(np.zeros((5, 3)))
    testing.collect(monitor)
    predict(np.zeros((2, 3)))
    predict("unreadable")

    def work():
        before = testing.collect(monitor)
        predict(np.zeros((3, 3)))
        after = testing.collect(monitor)
        return (before.rows, before.errors, sum(before.dropped.values()), after.rows, after.predictions["True"]) == (0, {}, 0, 3, 1)

    assert in_child(work) == 0
    found = testing.collect(monitor)
    assert (found.rows, found.dropped["unsupported"]) == (7, 1)


@NEEDS_FORK
def test_what_a_vanished_monitor_counted_is_not_reported_by_a_child(baseline):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])

    Monitor(baseline, meter_provider=provider).wrap(lambda _: 0.9)(np.zeros((5, 3)))
    assert rows_reported(reader) == 5
    assert in_child(lambda: rows_reported(reader) == 0) == 0
    assert rows_reported(reader) == 5


@NEEDS_FORK
def test_a_fork_in_the_middle_of_counting_and_reporting_deadlocks_nobody(baseline):
    """The duration is left to the SDK, whose own locks do not survive a fork; the view leaves the plugin's."""
    reader = InMemoryMetricReader()
    no_duration = View(instrument_name="ml.inference.duration", aggregation=DropAggregation())
    provider = MeterProvider([reader], views=[no_duration])
    monitor = Monitor(baseline, meter_provider=provider)
    predict = monitor.wrap(lambda _: 0.9)
    batch, done = np.zeros((200, 3)), threading.Event()

    def busy(work):
        while not done.is_set():
            work()

    def short_lived():
        Monitor(baseline, meter_provider=provider).wrap(lambda _: 0.9)(batch)

    parallel = (lambda: predict(batch), lambda: predict("unreadable"), reader.get_metrics_data, short_lived)
    for warm_up in parallel:  # what the SDK does once, under locks of its own
        warm_up()
    threads = [threading.Thread(target=busy, args=(work,)) for work in parallel]
    for thread in threads:
        thread.start()

    def work():
        for _ in range(20):
            predict(batch)
            short_lived()
        predict("unreadable")
        return testing.collect(monitor).rows == 4_000

    try:
        assert {in_child(work) for _ in range(50)} == {0}
    finally:
        done.set()
        for thread in threads:
            thread.join()


PROGRAM = """
import multiprocessing, sys
import numpy as np
from otel_ml import Baseline, Monitor, testing

baseline = Baseline.from_data(np.arange(30.0).reshape(-1, 3), model="processes", version="1")
monitor = Monitor(baseline)
predict = monitor.wrap(lambda X: None)

def work(rows):
    predict(np.zeros((rows, 3)))
    return testing.collect(monitor).rows

if __name__ == "__main__":
    predict(np.zeros((9, 3)))
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.map(work, [1, 2, 3]), testing.collect(monitor).rows)
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_of_every_start_method_count_for_themselves(method, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(tmp_path / "program.py"), method], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[1, 3, 6] 9", done.stderr
