"""What is wrong with knobs: everything at once, so that no file is written that a server would refuse."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from otel_ml import catalogue as names
from otel_ml.errors import Fault
from otel_ml_exporter.mixin.durations import is_duration, milliseconds
from otel_ml_exporter.mixin.knob_conflicts import conflicts

if TYPE_CHECKING:
    from otel_ml_exporter.mixin.knobs import Knobs

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MATCHER: Final = r"""[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_MATCHERS: Final = re.compile(rf"\s*(?:{_MATCHER}(?:\s*,\s*{_MATCHER})*\s*,?\s*)?")
_HOURS: Final = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d|24:00)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)")
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_ADDRESS: Final = re.compile(r"\S+:\d+")
_OF_RULES: Final = frozenset({"alertname", "alertstate", "category", names.SEVERITY, names.WINDOW, names.REFERENCE, "le"})
_NO_PLACES: Final = frozenset({"job", "instance", "datasource", "model", "version", "feature"})
"""Labels of one target, and variables of the dashboards."""
_WORD: Final = re.compile(r"[a-zA-Z][\w-]*", re.ASCII)
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_RESOURCE_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_RESOURCE_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_OFTEN: Final = "4m"
"""Results of rules are forgotten after five minutes."""


def faults(knobs: Knobs) -> Iterator[Fault]:
    """Each fault with its mend; a knob of the wrong type is told so and nothing else."""
    mistyped = list(_mistyped(knobs))
    wrong = {fault.place for fault in mistyped}
    found = [fault for name, check in _CHECKS.items() if name not in wrong for fault in check(name, getattr(knobs, name))]
    yield from mistyped
    yield from found
    yield from conflicts(knobs, {fault.place.partition(".")[0] for fault in (*mistyped, *found)})


def _mistyped(knobs: Knobs) -> Iterator[Fault]:
    for knob in fields(knobs):
        value, kind = getattr(knobs, knob.name), str(knob.type)
        if kind.startswith("Mapping"):
            yield from _no_texts(knob.name, value)
        elif kind.startswith("Sequence"):
            if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
                yield Fault(knob.name, f"{value!r} is no list of texts", "write one `- name` a line")
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


def _interval(name: str, text: str) -> Iterator[Fault]:
    yield from _duration(name, text)
    if is_duration(text) and milliseconds(text) > milliseconds(_OFTEN):
        yield Fault(name, f"{text} is longer than Prometheus remembers a sample", f"write at most {_OFTEN}")


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


def _text(name: str, text: str) -> Iterator[Fault]:
    if not text.strip():
        yield Fault(name, "is empty, so that Alertmanager refuses the file", f"write one such as {_default(name)}")


def _default(name: str) -> str:
    from otel_ml_exporter.mixin.knobs import Knobs  # noqa: PLC0415  which asks here what is wrong with it

    return str(getattr(Knobs(), name))


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


def _group_labels(name: str, labels: Sequence[str]) -> Iterator[Fault]:
    for index, label in enumerate(labels):
        yield from _label(name, label)
        if label in _NO_PLACES or label in labels[:index]:
            yield Fault(name, f"{label!r} tells no environments apart", "name labels such as namespace or cluster, once each")


def _severities(name: str, severities: Mapping[str, str]) -> Iterator[Fault]:
    """Alerts are known by the names that the pack's documentation has, whatever the prefix."""
    from otel_ml_exporter.mixin.knobs import Knobs  # noqa: PLC0415  rules are made of knobs
    from otel_ml_exporter.mixin.rules import groups  # noqa: PLC0415

    known = {alert.name for group in groups(Knobs()) for alert in group.alerts} | {names.CRITICAL, names.WARNING} if severities else set()
    for key, severity in severities.items():
        if key not in known:
            yield Fault(f"{name}.{key}", "is no alert of the pack and no severity", f"use one of {', '.join(sorted(known))}")
        if isinstance(severity, str) and not _WORD.fullmatch(severity):
            yield Fault(f"{name}.{key}", f"{severity!r} is no word for a severity", "write one such as page, ticket or info")


def _prefix(name: str, text: str) -> Iterator[Fault]:
    if text and not _LABEL.fullmatch(text):
        yield Fault(name, f"{text!r} begins no name", "use letters, digits and underscores")


def _namespace(name: str, text: str) -> Iterator[Fault]:
    if text and not _NAMESPACE.fullmatch(text):
        yield Fault(name, f"{text!r} is no namespace", "use lower-case letters, digits and hyphens")


def _resource_labels(name: str, labels: Mapping[str, str]) -> Iterator[Fault]:
    for key, value in labels.items():
        if not isinstance(key, str) or not _RESOURCE_KEY.fullmatch(key) or not _RESOURCE_VALUE.fullmatch(str(value)):
            yield Fault(f"{name}.{key}", "is no label of a Kubernetes resource", "write one such as release=kube-prometheus-stack")


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
    **dict.fromkeys(("pagerduty_key_file", "slack_url_file", "email_to", "email_from"), _text),
    "interval": _interval,
    "pace": _pace,
    "latency_objective": _objective,
    "smtp_smarthost": _address,
    "business_days": _days,
    "business_hours": _hours,
    "business_zone": _zone,
    "labels": _labels,
    "group_labels": _group_labels,
    "severities": _severities,
    "prefix": _prefix,
    "namespace": _namespace,
    "resource_labels": _resource_labels,
}
"""What must be true of a knob beyond its type."""
