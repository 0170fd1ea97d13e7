"""What the pack would have told a person on call, as Markdown tables: a stationary month, and the nine bugs.

Flights are served by the plugin call for call, judged by the exporter at each step, and written as OpenMetrics; the committed alert rules
are replayed over that by a real Prometheus, and what fires becomes notifications by the committed Alertmanager example.
"""

from __future__ import annotations

import argparse
import logging
import math
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import yaml
from bugs import BUGS, Bug, scaled
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY
from prometheus_client.samples import Sample

from otel_ml import Baseline, Monitor
from otel_ml import catalogue as names
from otel_ml_exporter import config
from otel_ml_exporter.cli.backtest.history import Firing, History, Span, told
from otel_ml_exporter.cli.backtest.notifications import Labels, Notification
from otel_ml_exporter.cli.backtest.replay import firing
from otel_ml_exporter.cli.backtest.ruleset import Rules, of_files
from otel_ml_exporter.cli.backtest.scratch import filled
from otel_ml_exporter.config import Window
from otel_ml_exporter.counts import COUNTED, ModelCounts, Roles, Series, gather, series
from otel_ml_exporter.demo import flights
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.service import Exporter

ROOT = Path(__file__).parents[1]
RULES = sorted((ROOT / "alert_rules").glob("*.yaml"))
ROUTING = ROOT / "alert_rules" / "alertmanager" / "alertmanager.example.yaml"
ROWS, SWING = 60, 0.5
"""Calls a minute over the day, one row each, and how much fewer at night and more by day."""
FAILED = 0.001
LABELLED, DELAY = 0.02, 4 * 3600.0
"""The share of predictions that are stored and get a label, and how many seconds later."""
BEGIN = 1_700_006_400.0
HOUR, DAY = 3600.0, 86_400.0
BROKEN_AT, BROKEN_FOR, AFTER = BEGIN + DAY + 10 * HOUR, 3 * HOUR, 2.5 * HOUR
LEAD = 2 * HOUR
"""How far back rules look, but for the season of traffic."""
SEED = 2013

Row = tuple[dict[str, Any], float, int]
Totals = Mapping[Series, float]
Moments = dict[tuple[str, Labels], list[float]]
"""When the expression of each alert and label set held."""


class Drawable(Protocol):
    """Rows to draw from, with what the model says about each and what turned out to be true."""

    def draw(self, random: np.random.Generator, rows: int) -> Iterator[Row]:
        """So many at random."""


class Pool:
    """Flights."""

    def __init__(self, rows: pd.DataFrame, model: flights.Model) -> None:
        self.rows = rows[list(flights.FEATURES)].to_dict("records")
        self.scores = model.predict_proba(rows)
        self.labels = rows[flights.LATE].tolist()

    def draw(self, random: np.random.Generator, rows: int) -> Iterator[Row]:
        for index in random.integers(0, len(self.rows), rows).tolist():
            yield self.rows[index], self.scores[index], self.labels[index]


class Replayed:
    """A source that has what the plugin had counted at some times; windows are differences, as those of the other sources."""

    name = "prometheus"

    def __init__(self) -> None:
        self._past: deque[tuple[float, Totals]] = deque([(-math.inf, {})])

    def add(self, at: float, total: Totals) -> None:
        self._past.append((at, total))
        while len(self._past) > 2 and self._past[1][0] <= at - DAY:
            self._past.popleft()

    def read(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        _, now = self._past[-1]
        found = {}
        for window in windows:
            _, before = next(entry for entry in reversed(self._past) if entry[0] <= at - window.seconds)
            found[window] = gather((key, value - before.get(key, 0.0)) for key, value in now.items())
        return found

    def earlier(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:  # noqa: ARG002
        return {}

    def roles(self, at: float) -> Roles:  # noqa: ARG002
        return {}

    def close(self) -> None:
        pass


class Served:
    """A model server with the plugin, and the exporter beside it, in a time of their own."""

    def __init__(self, baseline: Baseline, directory: Path, wanted: frozenset[str], step: float, rhythm: float) -> None:
        self.step = step
        self._rhythm = rhythm
        self._wanted = wanted
        self._random = np.random.default_rng(SEED)
        self._answer = math.nan
        self._meters = MeterProvider([PrometheusMetricReader()])
        self._predict = Monitor(baseline, meter_provider=self._meters).wrap(self._answered)
        self.source = Replayed()
        baseline.save(directory / "baseline.json")
        settings = {"models": [{"baseline": "baseline.json"}], "store": ":memory:", "interval": f"{rhythm:.0f}s"}
        self.exporter = Exporter(config.parse(settings, directory))
        self.exporter._source = self.source  # noqa: SLF001 - a source of our own, in the place of a server's
        self._threshold, self._model, self._version = baseline.threshold, baseline.model, baseline.version
        self._known: deque[Outcome] = deque()
        self._calls = 0

    def _answered(self, _: Mapping[str, Any]) -> float:
        if self._random.random() < FAILED:
            raise RuntimeError("the model server has no memory")
        return self._answer

    def serve(self, pool: Drawable, at: float, steps: int = 1) -> None:
        """The calls of some steps that end at a time, and the labels that arrive meanwhile."""
        rate = ROWS * (1 + SWING * math.sin(2 * math.pi * (at % DAY - 9 * HOUR) / DAY))
        predictions = []
        for row, score, label in pool.draw(self._random, int(self._random.poisson(rate * self.step * steps / 60))):
            self._answer = score
            self._calls += 1
            try:
                self._predict(row)
            except RuntimeError:
                continue
            if self._random.random() < LABELLED:
                key, class_ = f"f{self._calls}", str(int(score >= self._threshold))
                predictions.append(Prediction(self._model, self._version, key, at, class_, None, score, 1 / LABELLED))
                self._known.append(Outcome(self._model, key, str(label), at + DELAY))
        arrived = []
        while self._known and self._known[0].time <= at:
            arrived.append(self._known.popleft())
        self.exporter.outcomes.keep(predictions, arrived)

    def close(self) -> None:
        self._meters.shutdown()
        self.exporter.close()

    def counted(self, at: float) -> list[Sample]:
        """A scrape of the server, which the exporter's source remembers."""
        samples = [sample for family in REGISTRY.collect() for sample in family.samples]
        total: dict[Series, float] = {}
        for sample in samples:
            metric = COUNTERS.get(sample.name)
            key = series(metric, {ATTRIBUTES.get(name, name): value for name, value in sample.labels.items()}) if metric else None
            if key is not None:
                total[key] = total.get(key, 0.0) + sample.value
        self.source.add(at, total)
        return samples

    def scraped(self, at: float) -> list[str]:
        """What Prometheus sees of server and exporter at a time, as lines of OpenMetrics."""
        lines = [f'up{{job="model",instance="a"}} 1 {at:.0f}\n']
        for sample in self.counted(at):
            if sample.name in self._wanted:
                labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
                lines.append(f'{sample.name}{{job="model",instance="a",{labels}}} {sample.value!r} {at:.0f}\n')
        if at % self._rhythm == 0:
            self.exporter.tick(at)
        for chunk in self.exporter.collector.text():
            for line in chunk.decode().splitlines():
                if re.split(r"[{ ]", line, maxsplit=1)[0] in self._wanted:
                    lines.append(f"{line} {at:.0f}\n")  # noqa: PERF401 - of a loop
        return lines


COUNTERS = {metric.prometheus: metric for metric in COUNTED}
ATTRIBUTES = {names.prometheus(attribute): attribute for metric in COUNTED for attribute in metric.attributes}


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def held(rules: Rules, lines: Iterable[Iterable[str]], span: Span) -> Moments:
    """When the expression of each alert held, asked from a Prometheus that is given these lines."""
    found: Moments = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "history.om"
        with file.open("w", encoding="utf-8") as out:
            for step in lines:
                out.writelines(step)
            out.write("# EOF\n")
        with filled(file) as server:
            history = History(server, span, lambda: None)
            for number, alert in enumerate(rules.alerts):
                for labels, times in history.ask(alert.expr, span.step or alert.interval).items():
                    found[str(number), labels] += times
    return found


def fired(rules: Rules, moments: Moments, step: float, end: float) -> list[Firing]:
    """The alerts that fired, and when."""
    alerts = []
    for (number, own), times in moments.items():
        rule = rules.alerts[int(number)]
        intervals = firing(sorted(times), step=step, hold=rule.hold, keep=rule.keep, end=end)
        if intervals:
            alerts.append(Firing({**dict(own), **rule.labels, "alertname": rule.name}, intervals))
    return alerts


def committed() -> Rules:
    """The rules as they are in the repository, without the Watchdog."""
    return Rules(tuple(alert for alert in of_files(RULES).inlined().alerts if alert.severity != "none"), {})


def read_by(rules: Rules) -> frozenset[str]:
    """The names of all metrics that rules read."""
    return frozenset(re.findall(r"\b(?:ml_\w+|up)\b", " ".join(alert.expr for alert in rules.alerts)))


def month(served: Served, pool: Pool, rules: Rules, days: int) -> Iterator[Moments]:
    """A month in which nothing changes: what held until the end of each day."""
    recent: deque[tuple[float, list[str]]] = deque()
    seasonal = Rules(tuple(alert for alert in rules.alerts if "offset" in alert.expr), {})
    kept = read_by(seasonal)
    season: list[list[str]] = []
    moments: Moments = defaultdict(list)
    for day in range(days):
        begin = BEGIN + day * DAY
        for at in np.arange(begin, begin + DAY, served.step).tolist():
            served.serve(pool, at)
            lines = served.scraped(at)
            recent.append((at, lines))
            season.append([line for line in lines if line.split("{", 1)[0] in kept])
        while recent and recent[0][0] < begin - LEAD:
            recent.popleft()
        for key, times in held(rules, (lines for _, lines in recent), Span(begin, begin + DAY - served.step, served.step)).items():
            moments[key] += times
        yield moments
    numbers = {alert.expr: number for number, alert in enumerate(rules.alerts)}
    for (number, labels), times in held(seasonal, season, Span(BEGIN, BEGIN + days * DAY - served.step, served.step)).items():
        moments[str(numbers[seasonal.alerts[int(number)].expr]), labels] = times
    yield moments


def incident(served: Served, quiet: Pool, broken: Pool, rules: Rules) -> Moments:
    """A day of nothing, some hours of a bug, and some after it was mended."""
    until = BROKEN_AT + BROKEN_FOR + AFTER
    lines = []
    for at in np.arange(BEGIN, BROKEN_AT - LEAD, 10 * served.step).tolist():
        served.serve(quiet, at, steps=10)
        served.counted(at)
    for at in np.arange(BROKEN_AT - LEAD, until, served.step).tolist():
        served.serve(broken if BROKEN_AT < at <= BROKEN_AT + BROKEN_FOR else quiet, at)
        lines.append(served.scraped(at))
    return held(rules, lines, Span(BROKEN_AT - HOUR, until - served.step, served.step))


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"


def named(notification: Notification) -> str:
    """The names of the alerts that fire, and of which features."""
    features: dict[str, list[str]] = defaultdict(list)
    for labels in notification.firing:
        alert = dict(labels)
        features[alert["alertname"]].append(alert.get("ml_feature_name", ""))
    return ", ".join(f"{name} ({', '.join(sorted(of))})" if any(of) else name for name, of in sorted(features.items()))


def bug_row(bug: Bug, alerts: Sequence[Firing], sent: Sequence[Notification]) -> list[object]:
    """What one bug raised: its own alert is one that names its feature, or the page on many features where it breaks many."""
    own = [(each.start, alert.labels["alertname"]) for alert in alerts if _is_own(alert.labels, bug) for each in alert.intervals]
    heard = [each for each in sent if any(_is_own(dict(labels), bug) for labels in each.firing)]
    first = min((each for each in own if each[0] >= BROKEN_AT), default=None)
    news = [each for each in sent if each.firing]
    receivers = Counter(each.receiver for each in news)
    return [
        bug.title,
        first[1] if first else "none",
        minutes(first[0] - BROKEN_AT) if first else "",
        minutes(heard[0].at - BROKEN_AT) if heard else "never",
        receivers["pagerduty"],
        receivers.total() - receivers["pagerduty"],
        len(sent) - len(news),
        "; ".join(f"{minutes(each.at - BROKEN_AT)}: {named(each)}" for each in news),
    ]


def _is_own(alert: Mapping[str, str], bug: Bug) -> bool:
    many = len(bug.features) > 1 and alert["alertname"] == "ModelDatasetDrift"
    return many or alert.get("ml_feature_name") in bug.features


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A heading and a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return f"## {title}\n\n" + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


BUG_HEADER = ("bug", "its own alert", "fires after", "told after", "pages", "tickets", "resolved messages", "what was told")


def main(arguments: Sequence[str]) -> int:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="how long the stationary month is; 0 leaves it out")
    parser.add_argument("--bugs", type=int, nargs="*", default=range(len(BUGS)), help="which bugs, by number from 0; none leaves them out")
    parser.add_argument(
        "--month-step",
        type=float,
        default=120.0,
        help="seconds between scrapes and rules in the month; the exporter evaluates half as often",
    )
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    parts = flights.split(scaled(flights.load()))
    model = flights.Model(parts.train)
    baseline = flights.baseline(model, parts.validation)
    quiet = Pool(parts.quiet, model)
    rules = committed()
    routing = yaml.safe_load(ROUTING.read_text(encoding="utf-8"))

    def outcome(moments: Moments, step: float, end: float) -> tuple[list[Firing], list[Notification]]:
        alerts = fired(rules, moments, step, end)
        return alerts, told(routing, alerts, Span(BEGIN, end))

    if options.days:
        with serving(baseline, rules, options.month_step, 2 * options.month_step) as served:
            for day, moments in enumerate(month(served, quiet, rules, options.days), start=1):
                alerts, sent = outcome(moments, options.month_step, BEGIN + min(day, options.days) * DAY)
                print(f"day {day}: {len(alerts)} alerts, {sent[-1:]}, CPU {time.process_time():.0f} s", file=sys.stderr, flush=True)
        lines = [[f"{(each.at - BEGIN) / DAY:.1f} days", each.receiver, named(each) or "resolved"] for each in sent]
        title = f"A stationary month of {options.days} days: {len(alerts)} alerts fired, {len(sent)} notifications"
        print(table(title, ("after", "to", "what"), lines))
    rows = []
    for number in options.bugs:
        bug = BUGS[number]
        broken = Pool(bug.change(parts.quiet, np.random.default_rng(SEED)), model)
        with serving(baseline, rules, 60.0, 60.0) as served:
            alerts, sent = outcome(incident(served, quiet, broken, rules), 60.0, BROKEN_AT + BROKEN_FOR + AFTER)
        rows.append(bug_row(bug, alerts, sent))
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    if rows:
        print(table("Nine bugs, each for three hours", BUG_HEADER, rows))
    return 0


@contextmanager
def serving(baseline: Baseline, rules: Rules, step: float, rhythm: float) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as name:
        served = Served(baseline, Path(name), read_by(rules), step, rhythm)
        try:
            yield served
        finally:
            served.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
