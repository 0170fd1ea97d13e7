"""What the alert rules cost Prometheus: CPU seconds of one evaluation by group and by rule, and the share of a core at their rhythm.

One model is served by the plugin and judged by the exporter. Its series, copied for many models and replicas, are written into a real
Prometheus with as much of the past as the rules read, recorded series included, and some minutes of the future. Then it evaluates the
committed rules and takes in nothing, so that the CPU time of its process is that of the rules.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pack import Row, Served

from otel_ml import Baseline
from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.programs import free_ports

RULES = sorted((Path(__file__).parents[1] / "alert_rules").glob("*.yaml"))
MODEL, INSTANCE = names.prometheus(names.MODEL_NAME), "instance"
SCRAPE = seconds(Knobs().scrape_interval)
PAST, FUTURE = 900.0, 900.0
"""Seconds of every series before and after the measurement: the newest chunk is half full, as it is on average."""
SPAN = 3000.0
"""Prometheus takes samples that are at most an hour older than its newest, so the past is written piece by piece."""
READ = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?(?:\[(\w+)\])?(?:\s+offset\s+(\w+))?")
SAMPLE = re.compile(r"([\w:]+)(?:\{(.*)\})? (\S+) \S+\n")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
COUNTERS = ("_total", "_bucket", "_count", "_sum")
ROWS = 20_000
BATCH = 1000

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Line:
    """A series of one model: labels with its name, its last value, how often it has a sample and how long the rules look back."""

    labels: Labels
    value: float
    step: float
    reach: float

    @property
    def grows(self) -> bool:
        """Whether it is a counter."""
        return self.labels["__name__"].endswith(COUNTERS)


class Rows:
    """Rows like those of the baseline."""

    def __init__(self, data: pd.DataFrame, scores: np.ndarray, labels: np.ndarray) -> None:
        self._all = list(zip(data.to_dict("records"), scores.tolist(), labels.tolist(), strict=True))

    def draw(self, random: np.random.Generator, rows: int) -> Iterator[Row]:
        """Some at random."""
        return (self._all[index] for index in random.integers(0, len(self._all), rows).tolist())


def exposed(features: int) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and values of what one replica of a model and the exporter that judges it expose after some hours."""
    random = np.random.default_rng(1)
    data = pd.DataFrame({f"feature {number:02d}": random.normal(size=ROWS) for number in range(features)})
    scores = 1 / (1 + np.exp(-data["feature 01"].to_numpy() - random.normal(size=ROWS)))
    labels = (random.uniform(size=ROWS) < scores).astype(int)
    for name in data.columns[::5]:
        data[name] = pd.cut(data[name], 8).cat.codes.map("category {}".format)
    baseline = Baseline.from_data(data, model="m", version="1", predictions=scores, labels=labels)
    known = {f"{metric.prometheus}{suffix}" for metric in names.METRICS for suffix in ("", *COUNTERS)}
    with tempfile.TemporaryDirectory() as name:
        server = Served(baseline, Path(name), frozenset({*known, "up"}), 600.0, 600.0)
        for at in np.arange(600.0, 4 * 3600.0, 600.0).tolist():
            server.serve(Rows(data, scores, labels), at)
            lines = server.scraped(at)
        server.close()
    for found in filter(None, map(SAMPLE.fullmatch, lines)):
        values = {label: json.loads(f'"{text}"') for label, text in LABEL.findall(found[2] or "")}
        yield {"__name__": found[1], **values}, float(found[3])


class Rules:
    """The groups of rule files, and what they read."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.text = {file.name: file.read_text(encoding="utf-8") for file in files}
        groups = [group for text in self.text.values() for group in yaml.safe_load(text)["groups"]]
        self.intervals = {group["name"]: seconds(group["interval"]) for group in groups}
        self.recorded = {rule["record"]: seconds(group["interval"]) for group in groups for rule in group["rules"] if "record" in rule}
        self._reach: dict[str, float] = defaultdict(float)
        for name, window, offset in READ.findall("\n".join(rule["expr"] for group in groups for rule in group["rules"])):
            self._reach[name] = max(self._reach[name], seconds(window or "0s") + seconds(offset or "0s"))

    def line(self, labels: Labels, value: float) -> Line | None:
        """A series, if a rule reads it or records it."""
        name = labels["__name__"]
        known = name in self._reach or name in self.recorded
        return Line(labels, value, self.recorded.get(name, SCRAPE), self._reach[name]) if known else None

    def hurried(self, every: int) -> dict[str, str]:
        """The files with one rhythm for all groups."""
        return {name: re.sub(r"(?m)^    interval: .*$", f"    interval: {every}s", text) for name, text in self.text.items()}


def copies(line: Line, models: int, replicas: int) -> Iterator[Labels]:
    """The labels of a series in a fleet: the plugin's once a replica, the exporter's once a model."""
    for model in range(models) if MODEL in line.labels or INSTANCE in line.labels else range(1):
        labels = {**line.labels, **({MODEL: f"model {model:03d}"} if MODEL in line.labels else {})}
        for replica in range(replicas) if INSTANCE in labels else range(1):
            yield {**labels, **({INSTANCE: f"{model:03d}-{replica}"} if INSTANCE in labels else {})}


class Prometheus:
    """Its process, and what its API says."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, directory: Path) -> None:
        self._process, self._url, self._directory = process, url, directory

    def ask(self, path: str, **query: str) -> Any:
        """The data of an answer."""
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)["data"]

    def ready(self) -> bool:
        """Whether it has started."""
        try:
            return bool(self.ask("status/runtimeinfo"))
        except OSError:
            return False

    def cpu(self) -> float:
        """CPU seconds so far."""
        user, system = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def write(self, series: Sequence[bytes]) -> None:
        """Take in series as the remote write protocol writes them, in Snappy's format without compression."""
        body = b"".join(series)
        length = len(body) - 1
        body = varint(len(body)) + b"\xfc" + struct.pack("<I", length) + body
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        urllib.request.urlopen(urllib.request.Request(f"{self._url}/api/v1/write", body, headers)).close()

    def load(self, rules: Mapping[str, str]) -> None:
        """Evaluate rule files from now on."""
        for name, text in rules.items():
            (self._directory / name).write_text(text)
        (self._directory / "prometheus.yml").write_text(json.dumps({"rule_files": list(rules)}))
        self._process.send_signal(signal.SIGHUP)


@contextmanager
def running() -> Iterator[Prometheus]:
    """A Prometheus with nothing in it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "prometheus.yml").write_text("{}\n")
        address = f"127.0.0.1:{free_ports(1)[0]}"
        files = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
        options = [*files, f"--web.listen-address={address}", "--web.enable-remote-write-receiver"]
        process = subprocess.Popen(["prometheus", *options], stderr=subprocess.DEVNULL)
        try:
            server = Prometheus(process, f"http://{address}", directory)
            while not server.ready():
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(60)


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(tag: int, content: bytes) -> bytes:
    """A field with a length."""
    return bytes([tag << 3 | 2]) + varint(len(content)) + content


def sample(value: float, at: float) -> bytes:
    """A sample, as a field of a series."""
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(int(at * 1000)))


def fill(server: Prometheus, lines: Sequence[Line], fleet: tuple[int, int], now: float) -> None:
    """Write the past of a fleet, up to a quarter of an hour after `now`; what was recorded ends now."""
    oldest = max(line.reach for line in lines) + PAST
    for span in range(math.ceil((oldest + FUTURE) / SPAN), 0, -1):
        begin, end = now + FUTURE - span * SPAN, now + FUTURE - (span - 1) * SPAN
        batch: list[bytes] = []
        for line in lines:
            first = max(now - max(line.reach, 0 if ":" in line.labels["__name__"] else PAST) - 300, begin)
            last = min(now, end) if ":" in line.labels["__name__"] else end
            times = np.arange(math.ceil(first / line.step) * line.step, last, line.step).tolist()
            values = (line.value * (1 + (at - now) / 1e6) // 1 if line.grows else line.value for at in times)
            samples = b"".join(sample(value, at) for value, at in zip(values, times, strict=True))
            for labels in copies(line, *fleet) if samples else ():
                named = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items())
                batch.append(field(1, named + samples))
                if len(batch) == BATCH:
                    server.write(batch)
                    batch.clear()
        if batch:
            server.write(batch)


def evaluated(server: Prometheus, times: int) -> list[dict[str, Any]]:
    """The groups after each was evaluated so often, with the least seconds of their rules."""
    seen: dict[str, dict[str, list[float]]] = defaultdict(dict)
    groups: list[dict[str, Any]] = []
    while not groups or any(len(seen[group["name"]]) < times for group in groups):
        groups = server.ask("rules")["groups"]
        for group in groups:
            if not group["lastEvaluation"].startswith("0001"):
                seen[group["name"]][group["lastEvaluation"]] = [rule["evaluationTime"] for rule in group["rules"]]
        time.sleep(1)
    for group in groups:
        for rule, spent in zip(group["rules"], zip(*seen[group["name"]].values(), strict=True), strict=True):
            rule["seconds"], rule["evaluations"] = min(spent), len(spent)
    return groups


def recorded(rules: Rules, lines: Sequence[Line]) -> list[Line]:
    """The series that the rules record of one model."""
    with running() as server:
        fill(server, lines, (1, 3), time.time())
        server.load(rules.hurried(2))
        evaluated(server, 3)
        result = server.ask("query", query='{__name__=~".+:.+"}')["result"]
    return [line for series in result if (line := rules.line(series["metric"], float(series["value"][1])))]


def measured(rules: Rules, lines: Sequence[Line], fleet: tuple[int, int], rounds: int, every: int) -> tuple[list[dict[str, Any]], float]:
    """The groups with the least seconds of their rules, and the CPU seconds of all their evaluations but the first."""
    with running() as server:
        now = time.time()
        fill(server, lines, fleet, now)
        print(f"written in {time.time() - now:.0f} s", file=sys.stderr)
        server.load(rules.hurried(every))
        evaluated(server, 2)
        before = server.cpu()
        groups = evaluated(server, rounds + 1)
        return groups, server.cpu() - before


def report(groups: Sequence[Mapping[str, Any]], spent: float, intervals: Mapping[str, float]) -> Iterator[str]:
    """Tables; CPU seconds are those of the process, shared out by the time that each rule took."""
    of_a_second = spent / sum((rule["evaluations"] - 1) * rule["seconds"] for group in groups for rule in group["rules"])
    rules, together = [], 0.0
    yield "| group | evaluated every | CPU seconds | share of a core |\n| --- | --- | --- | --- |"
    for group in groups:
        interval = intervals[group["name"]]
        costs = [(rule["seconds"] * of_a_second, rule["name"]) for rule in group["rules"]]
        cpu = sum(cost for cost, _ in costs)
        together += cpu / interval
        rules += [(cost / interval, cost, group["name"], name) for cost, name in costs]
        yield f"| {group['name']} | {interval:.0f} s | {cpu:.2f} | {cpu / interval:.2%} |"
    yield f"| together | | | {together:.2%} |\n\n| dearest rules | group | CPU seconds | share of a core |\n| --- | --- | --- | --- |"
    for share, cpu, group, name in sorted(rules, reverse=True)[:10]:
        yield f"| {name} | {group} | {cpu:.2f} | {share:.2%} |"


def main() -> None:
    """Serve, copy, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default, meaning in (
        ("models", 100, "how many models"),
        ("features", 50, "of how many features each"),
        ("replicas", 3, "in how many replicas"),
        ("rounds", 3, "evaluations of each group that are measured"),
        ("every", 30, "seconds between evaluations; more than one of all groups takes"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=meaning)
    parser.add_argument("--only", nargs="*", help="names of rule files, such as serving")
    options = parser.parse_args()
    rules = Rules([file for file in RULES if not options.only or file.stem in options.only])
    fleet = (options.models, options.replicas)
    raw = [line for labels, value in exposed(options.features) if (line := rules.line(labels, value))]
    lines = [*raw, *recorded(rules, raw)]
    counts = [sum(1 for line in some for _ in copies(line, *fleet)) for some in (raw, lines)]
    print(f"{counts[0]} series that rules read, and {counts[1] - counts[0]} that they record", file=sys.stderr)
    print(*report(*measured(rules, lines, fleet, options.rounds, options.every), rules.intervals), sep="\n")


if __name__ == "__main__":
    main()
