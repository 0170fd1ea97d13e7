"""What is wrong with knobs: everything at once, so that no file is written that a server would refuse."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from otel_ml import catalogue as names
from otel_ml.errors import Fault
from otel_ml_exporter.mixin.durations import is_duration, milliseconds

if TYPE_CHECKING:
    from otel_ml_exporter.mixin.knobs import Knobs

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MATCHER: Final = r"""[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_MATCHERS: Final = re.compile(rf"\s*(?:{_MATCHER}(?:\s*,\s*{_MATCHER})*\s*,?\s*)?")
_HOURS: Final = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d|24:00)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)")
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_ADDRESS: Final = re.compile(r"\S+:\d+")
_OF_RULES: Final = frozenset({"alertname", "alertstate", "category", names.SEVERITY, names.WINDOW, names.REFERENCE, "le"})
_LONGER: Final = ("middle_window", "long_window")
"""What is never shorter than the short window."""


def faults(knobs: Knobs) -> Iterator[Fault]:
    """Each fault with its mend; a knob of the wrong type is told so and nothing else."""
    mistyped = list(_mistyped(knobs))
    wrong = {fault.place for fault in mistyped}
    found = [fault for name, check in _CHECKS.items() if name not in wrong for fault in check(name, getattr(knobs, name))]
    yield from mistyped
    yield from found
    wrong |= {fault.place for fault in found}
    for longer in _LONGER:
        short, length = knobs.short_window, getattr(knobs, longer)
        if wrong.isdisjoint((longer, "short_window")) and milliseconds(length) < milliseconds(short):
            yield Fault(longer, f"{length} is shorter than the short window, {short}", "write at least that")


def _mistyped(knobs: Knobs) -> Iterator[Fault]:
    for knob in fields(knobs):
        value, kind = getattr(knobs, knob.name), str(knob.type)
        if kind.startswith("Mapping"):
            yield from _no_texts(knob.name, value)
        elif kind in ("float", "int"):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield Fault(knob.name, f"{value!r} is no number", "write a number")
        elif not isinstance(value, {"str": str, "bool": bool}[kind]):
            yield Fault(knob.name, f"{value!r} is no {kind}", "write true or false" if kind == "bool" else "put it in quotes")


def _no_texts(name: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(name, f"{value!r} is no mapping", "write one `name: value` a line")
        return
    for key, text in value.items():
        if not isinstance(text, str):
            yield Fault(f"{name}.{key}", f"{text!r} is no text", "put it in quotes")


def _duration(name: str, text: str) -> Iterator[Fault]:
    if not is_duration(text):
        yield Fault(name, f"{text!r} is no duration", "write one such as 30s, 5m or 1h30m")
    elif not milliseconds(text):
        yield Fault(name, f"{text!r} is no time at all", "write a duration above 0")


def _share(name: str, value: float) -> Iterator[Fault]:
    if not 0 < value < 1:
        yield Fault(name, f"{value} is no share", "write a number between 0 and 1")


def _count(name: str, value: int) -> Iterator[Fault]:
    if not 0 <= value < math.inf:
        yield Fault(name, f"{value} is no count", "write 0 or more")


def _pace(name: str, value: float) -> Iterator[Fault]:
    if not 0 < value < math.inf:
        yield Fault(name, f"{value} stops the clock", "write a number above 0; 1 leaves times as they are")


def _objective(name: str, value: float) -> Iterator[Fault]:
    if not 0 <= value < math.inf:
        yield Fault(name, f"{value} s is no time to answer in", "write a number of seconds, or 0 for no objective")


def _matchers(name: str, text: str) -> Iterator[Fault]:
    if not _MATCHERS.fullmatch(text):
        yield Fault(
            name, f"{text!r} are no label matchers", 'write them without braces, the values in quotes: namespace="prod", job=~"a|b"'
        )


def _url(name: str, text: str) -> Iterator[Fault]:
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        complete = None
    if not complete or re.search(r"[\s`\"\\{}]", text):
        yield Fault(name, f"{text!r} is no URL", "write one such as https://host.example.com/path, without a template")


def _address(name: str, text: str) -> Iterator[Fault]:
    if not _ADDRESS.fullmatch(text):
        yield Fault(name, f"{text!r} is no address", "write host:port")


def _days(name: str, text: str) -> Iterator[Fault]:
    numbers = [_DAYS.index(day) if day in _DAYS else -1 for day in text.split(":")]
    if min(numbers) < 0 or len(numbers) > 2:
        yield Fault(name, f"{text!r} are no days", "write a day or two with a colon, such as monday:friday")
    elif numbers != sorted(numbers):
        yield Fault(name, f"{text!r} ends before it begins", "Alertmanager's week begins on sunday; write sunday:thursday or the like")


def _hours(name: str, text: str) -> Iterator[Fault]:
    found = _HOURS.fullmatch(text)
    if not found:
        yield Fault(name, f"{text!r} are no hours", "write them as 08:00-18:00")
    elif found[1] >= found[2]:
        yield Fault(name, f"{text!r} end before they begin", "write an end after the start, at the latest 24:00")


def _zone(name: str, text: str) -> Iterator[Fault]:
    """A machine without a database of zones knows none and accepts all."""
    known = {"UTC"} if text == "UTC" else available_timezones()
    if known and text not in known:
        yield Fault(name, f"{text!r} is no time zone", "write one such as UTC or Europe/Berlin")


def _labels(name: str, labels: Mapping[str, str]) -> Iterator[Fault]:
    for label in labels:
        yield from _label(f"{name}.{label}", label)


def _label(place: str, label: Any) -> Iterator[Fault]:
    if not isinstance(label, str) or not _LABEL.fullmatch(label) or label.startswith("__"):
        yield Fault(place, "is no label name", "use letters, digits and underscores, and not two of them to begin with")
    elif label in _OF_RULES or label.startswith("ml_"):
        yield Fault(place, "is a label of the pack itself, which routes and rules read", "take another name")


_CHECKS: Final[Mapping[str, Callable[[str, Any], Iterator[Fault]]]] = {
    **dict.fromkeys(
        (
            "short_window",
            "middle_window",
            "long_window",
            "rate_window",
            "absence_window",
            "memory_window",
            "season",
            "interval",
            "score_interval",
            "scrape_interval",
            "stale_after",
        ),
        _duration,
    ),
    **dict.fromkeys(
        (
            "error_budget",
            "latency_budget",
            "replicas_ratio",
            "traffic_ratio",
            "input_violations",
            "output_share",
            "usual_share",
            "outlier_share",
            "abstention_share",
            "shadow_disagreement",
            "dropped_ratio",
            "store_ratio",
        ),
        _share,
    ),
    **dict.fromkeys(("minimum_calls", "minimum_samples", "minimum_outcomes"), _count),
    **dict.fromkeys(("selector", "exporter_selector"), _matchers),
    **dict.fromkeys(("runbook_url", "prometheus_url", "grafana_url", "pagerduty_url", "webhook_url", "watchdog_url"), _url),
    "pace": _pace,
    "latency_objective": _objective,
    "smtp_smarthost": _address,
    "business_days": _days,
    "business_hours": _hours,
    "business_zone": _zone,
    "labels": _labels,
}
"""What must be true of a knob beyond its type."""
