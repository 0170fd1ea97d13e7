"""Memory stays where it is, however many calls and monitors there are."""

import gc
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_ml import Baseline, Monitor, _emit
from otel_ml._counts import Counts


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(0)
    return Baseline.from_data(
        {"a": rng.normal(size=300), "b": rng.choice(list("xyz"), 300)}, model="memory", version="1", predictions=rng.random(300)
    )


def alive(kind):
    gc.collect()
    return sum(issubclass(type(thing), kind) for thing in gc.get_objects())  # an object may lie about its class


def grown(work, *, rounds):
    """Bytes that `rounds` of work leave behind once the first have warmed up."""
    work()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(rounds):
        work()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def test_many_calls_leave_nothing_behind(baseline):
    predict = Monitor(baseline).wrap(lambda _: 0.5)

    def work():
        for number in range(6_000):
            predict({"a": 1.0, "b": f"never seen {number}"})
        predict({"a": np.zeros(10_000), "b": ["x"] * 10_000})

    assert grown(work, rounds=3) < 2_000_000


def test_many_faults_leave_nothing_behind(baseline):
    predict = Monitor(baseline).wrap(lambda _: 0.5)

    def work():
        for _ in range(500):
            predict("unreadable")
            predict([[1, 2, 3]])

    assert grown(work, rounds=3) < 200_000


def test_many_monitors_leave_one_count_behind_even_where_nobody_reads(baseline):
    before = alive(Counts)
    for _ in range(50):
        Monitor(baseline).wrap(lambda _: 0.5)({"a": 1.0, "b": "x"})
    assert alive(Counts) <= before + 2


def test_a_provider_that_is_shut_down_takes_its_counts_with_it(baseline):
    before = alive(_emit.Emitter)
    for _ in range(5):
        provider = MeterProvider([InMemoryMetricReader()])
        Monitor(baseline, meter_provider=provider).wrap(lambda _: 0.5)({"a": 1.0, "b": "x"})
        provider.shutdown()
        del provider
    assert alive(_emit.Emitter) <= before + 1


MILLION = """
from pathlib import Path
import numpy as np
from otel_ml import Baseline, Monitor, testing

baseline = Baseline.from_data(np.arange(90.0).reshape(-1, 3), model="million", version="1", predictions=np.linspace(0, 1, 30))
monitor = Monitor(baseline)
predict = monitor.wrap(lambda _: 0.5)
row = np.zeros((1, 3))
for calls in (50_000, 950_000):
    for _ in range(calls):
        predict(row)
    testing.collect(monitor)
    print(next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the largest size of a process alone, not of its parent too, is in /proc")
def test_a_million_calls_take_no_more_memory_than_the_first_ones():
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True, timeout=200, check=False)
    warm, million = map(int, done.stdout.split())
    assert million - warm < 5_000, done.stderr
