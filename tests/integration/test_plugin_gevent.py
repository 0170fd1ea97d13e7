"""Greenlets of a gevent server are counted like threads, and none waits for another."""

import subprocess
import sys

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import gevent, time
import numpy as np
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_ml import Baseline, Monitor, shadow, testing

rng = np.random.default_rng(0)
score = rng.random(300)
baseline = Baseline.from_data(rng.normal(size=(300, 3)), model="gevent", version="1", predictions=score, labels=score > 0.5)
reader = InMemoryMetricReader()
provider = MeterProvider([reader])
monitor = Monitor(baseline, meter_provider=provider)
candidate = Monitor(model="gevent", version="2", role="shadow", meter_provider=provider)

def predict(X):
    time.sleep(0)
    return 0.9

serve = shadow(monitor.wrap(predict), candidate.wrap(predict), queue=100_000, timeout=60)

def worker():
    for _ in range(100):
        serve(np.zeros((1, 3)))

jobs = [gevent.spawn(worker) for _ in range(20)] + [gevent.spawn(reader.get_metrics_data) for _ in range(5)]
gevent.joinall(jobs, raise_error=True)
while testing.collect(candidate).rows < 2_000:
    gevent.sleep(0.01)
found = testing.collect(monitor)
print(found.rows, found.predictions["True"], found.errors)
"""

BEFORE = """
from otel_ml import Monitor, shadow, testing
candidate = Monitor(model="gevent", version="2", role="shadow")
serve = shadow(lambda rows: 0.9, candidate.wrap(lambda rows: 0.9))
from gevent import monkey; monkey.patch_all()
import gevent
serve([[1.0]])
while testing.collect(candidate).rows < 1:
    gevent.sleep(0.01)
print("answered and compared")
"""


def test_a_shadow_made_before_gevent_patches_does_not_stop_the_server():
    """As `gunicorn --preload -k gevent` has it."""
    command = [sys.executable, "-W", "ignore", "-c", BEFORE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "answered and compared", done.stderr


def test_greenlets_are_counted_exactly():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "2000 2000 {}", done.stderr
