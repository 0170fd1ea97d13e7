"""What one evaluation of the scores in PromQL costs: `python tests/rules/cost.py --models 10`; needs `prometheus` and `promtool`.

A day of recorded increases and some minutes of raw counters are backfilled; then Prometheus evaluates the rules with full windows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render

PORT = 19_590
EVERY = 20
"""Seconds between evaluations here, so that one begins while the raw counters are fresh."""


def exposition(models: int, features: int, bins: int, replicas: int, end: int) -> Iterator[str]:
    """OpenMetrics lines; the scores read nothing else."""
    knobs = Knobs()
    quantities = [f'ml_model_name="m{m}",ml_model_version="1",ml_baseline_id="b",' for m in range(models)]
    of = [f'{model}ml_feature_name="f{f:02d}"' for model in quantities for f in range(features)]
    labels = [f'{quantity},ml_bin="{b:02d} (0.123456, 0.234567]"' for quantity in of for b in range(bins)]
    step = int(seconds(knobs.step))
    fresh = range(end - 330, end + 1, int(seconds(knobs.scrape_interval)))
    yield "# TYPE ml_feature_observations counter\n"
    for index, label in enumerate(labels):
        for replica in range(replicas):
            yield from (
                f'ml_feature_observations_total{{{label},instance="i{replica}"}} {(index % 7 + 1) * t % 10**9} {t}\n' for t in fresh
            )
    yield "# TYPE ml_baseline_bin_ratio gauge\n"
    yield from (f'ml_baseline_bin_ratio{{{label},ml_signal="feature"}} {1 / bins} {t}\n' for label in labels for t in fresh)
    for metric, value in (("samples", 50_000), ("smoothing", 0.5), ("noise_scale", 33.5)):
        yield f"# TYPE ml_baseline_{metric} gauge\n"
        yield from (f'ml_baseline_{metric}{{{quantity},ml_signal="feature"}} {value} {t}\n' for quantity in of for t in fresh)
    record = "model_version_quantity_bin:ml_observations:increase_step"
    yield f"# TYPE {record} gauge\n"
    for index, label in enumerate(labels):
        yield from (f'{record}{{{label},ml_signal="feature"}} {100 + index % 13} {t}\n' for t in range(end - 86_400, end, step))
    yield "# EOF\n"


def measure(directory: Path) -> dict[str, float]:
    """Seconds of the first evaluation, by group and by the dearest rules; CPU seconds of the process meanwhile."""
    rules = render("rules", Knobs())["alert_rules/scores.yaml"].replace(f"interval: {Knobs().step}", f"interval: {EVERY}s")
    (directory / "scores.yaml").write_text(rules)
    (directory / "prometheus.yml").write_text("rule_files: [scores.yaml]\n")
    options = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
    process = subprocess.Popen(["prometheus", *options, f"--web.listen-address=127.0.0.1:{PORT}"], stderr=subprocess.DEVNULL)
    try:
        while not (groups := _groups()):
            time.sleep(0.1)
        idle = _cpu(process.pid)
        while not (groups := _groups())[0]["evaluationTime"]:
            time.sleep(0.1)
        spent = {f"{i:02d} {rule['name']}": rule["evaluationTime"] for i, rule in enumerate(groups[0]["rules"])}
        dearest = dict(sorted(spent.items(), key=lambda pair: -pair[1])[:8])
        return {"evaluation": groups[0]["evaluationTime"], "cpu at most": _cpu(process.pid) - idle, **dearest}
    finally:
        process.terminate()
        process.wait(30)


def _groups() -> list[dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/rules") as answer:
            return json.load(answer)["data"]["groups"]
    except OSError:
        return []


def _cpu(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().split()[13:15]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Backfill, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("models", 10), ("features", 50), ("bins", 12), ("replicas", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        end = int(time.time()) + 5 + 5 * options.models
        with (directory / "series.om").open("w") as file:
            file.writelines(exposition(options.models, options.features, options.bins, options.replicas, end))
        backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", "series.om", "data"]
        subprocess.run(backfill, cwd=directory, check=True, stdout=subprocess.DEVNULL)
        (directory / "series.om").unlink()
        time.sleep(max(0.0, end - time.time()))
        for what, spent in measure(directory).items():
            sys.stdout.write(f"{spent:8.3f} s  {what}\n")


if __name__ == "__main__":
    main()
