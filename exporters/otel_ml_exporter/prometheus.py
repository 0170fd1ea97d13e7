"""Prometheus' HTTP API, as far as the command line asks it; works with Thanos, Mimir and VictoriaMetrics too."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from otel_ml_exporter.remote import Remote
from otel_ml_exporter.shape import T

MOST_POINTS = 10_000
"""Prometheus returns at most 11,000 points of a series."""

Labels = Mapping[str, str]

_TIME = re.compile(r"([^.]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


class Sample(NamedTuple):
    """One series at one time."""

    labels: Labels
    value: float


class Line(NamedTuple):
    """One series over time: Unix seconds and values."""

    labels: Labels
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Rule:
    """A loaded rule, the labels that it adds, and how its last evaluation went; `health` is `ok`, `err` or `unknown`."""

    group: str
    name: str
    alerting: bool
    labels: Labels
    health: str = "unknown"
    error: str = ""
    evaluated: float = 0.0


@dataclass(frozen=True)
class Alert:
    """An alert that Prometheus holds pending or firing, since the Unix time `since`."""

    labels: Labels
    annotations: Labels
    state: str
    since: float
    value: float


@dataclass(frozen=True)
class Target:
    """A scraped endpoint."""

    job: str
    instance: str
    health: str
    error: str
    scraped: float


class Prometheus(Remote):
    """Every method raises `RemoteError`."""

    def __enter__(self) -> Prometheus:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def vector(self, expression: str, at: float | None = None) -> list[Sample]:
        """The result of an instant query, finite or not; a scalar is one sample without labels."""
        return self._ask("POST", "query", _samples, {"query": expression, **({} if at is None else {"time": f"{at:.3f}"})})

    def number(self, expression: str, at: float | None = None) -> float | None:
        """The first finite number of a result; None without one."""
        return next((sample.value for sample in self.vector(expression, at) if math.isfinite(sample.value)), None)

    def lines(self, expression: str, start: float, end: float, step: float) -> list[Line]:
        """The result of a range query of at most `MOST_POINTS` steps."""
        asked = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return self._ask("POST", "query_range", lambda data: [_line(entry) for entry in data["result"]], asked)

    def label_values(self, label: str, start: float, end: float) -> list[str]:
        """The values of a label between two Unix times, or a little around them."""
        return self._ask("GET", f"label/{label}/values?start={start:.0f}&end={end:.0f}", lambda data: [str(value) for value in data])

    def rules(self) -> list[Rule]:
        """Every loaded rule."""
        return self._ask("GET", "rules", lambda data: [_rule(group["name"], rule) for group in data["groups"] for rule in group["rules"]])

    def external_labels(self) -> Labels:
        """What the server adds to the labels of every alert that it sends."""
        return self._ask("GET", "status/config", _external_labels)

    def alerts(self) -> list[Alert]:
        """What is pending and firing."""
        return self._ask("GET", "alerts", lambda data: [_alert(entry) for entry in data["alerts"]])

    def targets(self) -> list[Target]:
        """What is scraped."""
        return self._ask("GET", "targets?state=active", lambda data: [_target(entry) for entry in data["activeTargets"]])

    def alertmanagers(self) -> list[str]:
        """The addresses that alerts are sent to."""
        return self._ask("GET", "alertmanagers", lambda data: [str(entry["url"]) for entry in data["activeAlertmanagers"]])

    def _ask(self, method: str, path: str, read: Callable[[Any], T], parameters: Mapping[str, str] | None = None) -> T:
        return self.json(method, f"api/v1/{path}", lambda answer: read(answer["data"]), **({"data": parameters} if parameters else {}))


def _samples(data: Mapping[str, Any]) -> list[Sample]:
    if data["resultType"] == "scalar":
        return [Sample({}, float(data["result"][1]))]
    return [Sample(entry["metric"], float(entry["value"][1])) for entry in data["result"]]


def _line(entry: Mapping[str, Any]) -> Line:
    return Line(entry["metric"], [(float(at), float(value)) for at, value in entry["values"]])


def _external_labels(data: Mapping[str, Any]) -> dict[str, str]:
    settings = yaml.safe_load(data["yaml"]) or {}
    return {name: str(value) for name, value in ((settings.get("global") or {}).get("external_labels") or {}).items()}


def _rule(group: str, entry: Mapping[str, Any]) -> Rule:
    return Rule(
        group=group,
        name=entry["name"],
        alerting=entry["type"] == "alerting",
        labels=entry.get("labels") or {},
        health=entry.get("health", "unknown"),
        error=entry.get("lastError", ""),
        evaluated=unix(entry.get("lastEvaluation", "")),
    )


def _alert(entry: Mapping[str, Any]) -> Alert:
    since, value = unix(entry.get("activeAt", "")), float(entry["value"])
    return Alert(entry["labels"], entry.get("annotations", {}), entry["state"], since, value)


def _target(entry: Mapping[str, Any]) -> Target:
    labels = entry["labels"]
    return Target(
        labels.get("job", ""), labels.get("instance", ""), entry["health"], entry.get("lastError", ""), unix(entry.get("lastScrape", ""))
    )


def unix(text: str) -> float:
    """The Unix time of an RFC 3339 text, whatever its precision; 0 for none, and for Go's zero time.

    >>> unix("2023-11-14T22:13:20.123456789Z"), unix("2023-11-14T23:13:20+01:00"), unix("0001-01-01T00:00:00Z")
    (1700000000.123456, 1700000000.0, 0.0)
    """
    found = _TIME.fullmatch(text)
    if not found or text.startswith("0001-"):
        return 0.0
    whole, digits, zone = found[1], (found[2] or "")[:6], found[3].replace("Z", "+00:00")
    return dt.datetime.fromisoformat(f"{whole}.{digits:0<6}{zone}").timestamp()


def in_steps(start: float, end: float, step: float, most: int = MOST_POINTS) -> Iterator[tuple[float, float]]:
    """The parts of a range that one query may ask for, each with both its ends on a step.

    >>> list(in_steps(0, 50, 10, most=3))
    [(0, 20), (30, 50)]
    """
    while start <= end:
        last = min(end, start + step * (most - 1))
        yield start, last
        start = last + step
