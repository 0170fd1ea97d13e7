"""What watching one row of 30 features costs here and with the peers, and how heavy the plugin is: `make peers`.

Each peer is installed in an environment of its own and measured there, in turns with a monitored call; the table is Markdown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = 30
CALLS = 1_000
ROUNDS = 10
ROOT = Path(__file__).parents[1]
NAMES = [f"f{index}" for index in range(FEATURES)]
ROWS = [dict(zip(NAMES, row, strict=True)) for row in np.random.default_rng(1).normal(size=(CALLS, FEATURES)).tolist()]

Work = Callable[[Any], object]


def otel_ml(*, latency: bool = True) -> Work:
    """Everything that a baseline with predictions and labels turns on: bins, violations, outliers, prediction, confidence, latency."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from otel_ml import Baseline, Monitor

    random = np.random.default_rng(0)
    data, scores, labels = random.normal(size=(5_000, FEATURES)), random.random(5_000), random.integers(0, 2, 5_000)
    baseline = Baseline.from_data(data, model="bench", version="1", predictions=scores, labels=labels, feature_names=NAMES)
    monitor = Monitor(baseline, meter_provider=MeterProvider([InMemoryMetricReader()]))
    time.sleep(0.5)  # threads of numpy's BLAS spin a while after making the baseline, and their time is this process's
    if not latency:
        monitor._record_duration = lambda *_: None  # noqa: SLF001 - what remains is our own
    return monitor.wrap(lambda _: 0.4)


def opentelemetry_sdk() -> Work:
    """A record for each feature, on one histogram."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    histogram = MeterProvider([InMemoryMetricReader()]).get_meter("bench").create_histogram("bench")
    attributes = {name: {"ml.model.name": "bench", "ml.feature.name": name} for name in NAMES}

    def log(row: dict[str, float]) -> None:
        for name, value in row.items():
            histogram.record(value, attributes[name])

    return log


def prometheus_client() -> Work:
    """An observation for each feature, the series looked up once."""
    from prometheus_client import Histogram

    histogram = Histogram("bench", "bench", ["model", "feature"])
    series = {name: histogram.labels("bench", name) for name in NAMES}

    def log(row: dict[str, float]) -> None:
        for name, value in row.items():
            series[name].observe(value)

    return log


def whylogs() -> Work:
    """A row into a profile that is there already."""
    from whylogs.core import DatasetProfile

    track: Work = DatasetProfile().track
    return track


def bentoml() -> Work:
    """A record with each feature, to the default monitor, which writes files."""
    import bentoml

    def log(row: dict[str, float]) -> None:
        with bentoml.monitor("bench") as monitor:
            for name, value in row.items():
                monitor.log(value, name=name, role="feature", data_type="numerical")

    return log


PEERS = {
    "prometheus-client": (prometheus_client, "30 `observe`", 10),
    "opentelemetry-sdk": (opentelemetry_sdk, "30 `record`", 15),
    "whylogs": (whylogs, "`DatasetProfile.track(row)`", 50),
    "bentoml": (bentoml, "30 `monitor.log`", 10),
}


def cost(work: Work, rows: Sequence[Any] = ROWS) -> float:
    """CPU seconds for each row, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for row in rows:
            work(row)
        best = min(best, (time.process_time() - start) / len(rows))
    return best


def environment(name: str, *packages: str) -> Path:
    """The interpreter of a peer's own environment."""
    python = ROOT / f".venv-peer-{name}" / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, capture_output=True, text=True)
    return python


def measured(python: Path | str, name: str) -> list[Any]:
    """Version and seconds, of otel-ml those of a dict, an array, and an array without its latency; from a process of that environment."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([python, __file__, name], cwd=folder, capture_output=True, text=True, check=True, env=_quiet())
    return list(json.loads(done.stdout.splitlines()[-1]))


def _quiet() -> dict[str, str]:
    return {**os.environ, "BENTOML_DO_NOT_TRACK": "True", "WHYLOGS_NO_ANALYTICS": "True"}


def import_seconds(module: str) -> float:
    """CPU time of an interpreter that imports one module, the best of some."""
    code = f"import {module}, time; print(time.process_time())"
    runs = (subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout for _ in range(3 * ROUNDS))
    return min(map(float, runs))


def installed_megabytes() -> float:
    """The plugin and what it depends on, freshly installed, numpy aside."""
    python = environment("none", str(ROOT))
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    foreign = ("numpy", "pip", "setuptools", "_distutils", "distutils", "pkg_resources", "wheel")
    return (
        sum(
            file.stat().st_size
            for file in packages.rglob("*")
            if file.is_file() and not file.relative_to(packages).parts[0].startswith(foreign)
        )
        / 1e6
    )


def main() -> None:
    print("| one row of 30 features | CPU | against a call with a dict | an array | an array, latency not recorded | goal |")
    print("| --- | --- | --- | --- | --- | --- |")
    environments: dict[str, Path | str] = {}
    for name in PEERS:
        try:
            environments[name] = environment(name, name, "numpy")
        except subprocess.CalledProcessError as error:  # noqa: PERF203 - four times, not a million
            print(f"| {name} | cannot be installed: `{error.stderr.strip().splitlines()[-1]}` | | | | |")
    for name, python in environments.items():
        before = measured(sys.executable, "otel-ml")
        number, seconds = measured(python, name)
        after = measured(sys.executable, "otel-ml")
        ours = [min(pair) for pair in zip(before[1:], after[1:], strict=True)]
        _, what, goal = PEERS[name]
        ratios = " | ".join(f"{seconds / own:.1f}x of {own * 1e6:.1f} us" for own in ours)
        print(f"| {name} {number}: {what} | {seconds * 1e6:.0f} us | {ratios} | {goal}x |", flush=True)
    more = import_seconds("otel_ml") - import_seconds("numpy")
    print(f"\n`import otel_ml` takes {more:.2f} s more than `import numpy` (goal: 0.25 s);", end=" ")
    print(f"plugin and dependencies without numpy are {installed_megabytes():.0f} MB (goal: 60 MB).")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] == "otel-ml":
            monitored = otel_ml()
            arrays = [np.array([list(row.values())]) for row in ROWS]
            print(json.dumps([version("otel-ml"), cost(monitored), cost(monitored, arrays), cost(otel_ml(latency=False), arrays)]))
        else:
            print(json.dumps([version(sys.argv[1]), cost(PEERS[sys.argv[1]][0]())]))
    else:
        main()
