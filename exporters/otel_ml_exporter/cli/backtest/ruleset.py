"""The rules that are replayed: the pack's own or those of files, and variants of them with other limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from otel_ml import catalogue as names
from otel_ml.errors import ConfigurationError, Fault
from otel_ml_exporter.cli.backtest.promql_text import Recorded, inline, with_limit
from otel_ml_exporter.cli.pack import levels
from otel_ml_exporter.mixin.durations import is_duration, seconds
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.rules import groups, rule_file
from otel_ml_exporter.prometheus import Rule
from otel_ml_exporter.thresholds import DEFAULTS

SIGNALS = frozenset(threshold.signal for threshold in DEFAULTS)
_INTERVAL = "1m"


@dataclass(frozen=True)
class AlertRule:
    """An alert rule; times in seconds, `interval` is the rhythm of its evaluation, `labels` are those that the rule itself adds."""

    name: str
    expr: str
    hold: float
    keep: float
    interval: float
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> str:
        """How severe it is; empty where the rule does not say."""
        return self.labels.get(names.SEVERITY, "")


@dataclass(frozen=True)
class Rules:
    """Alert rules, and what the recording rules beside them compute.

    `levels` are the pack's severities by the words that the rules have for them, `places` the labels that tell environments apart.
    """

    alerts: tuple[AlertRule, ...]
    recordings: Mapping[str, Sequence[Recorded]] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    places: Sequence[str] = ()

    def inlined(self) -> Rules:
        """The same alerts, read from series that were not recorded."""
        alerts = (replace(alert, expr=inline(alert.expr, self.recordings, step=f"{alert.interval:.0f}s")) for alert in self.alerts)
        return replace(self, alerts=tuple(alerts), recordings={})

    def limited(self, limits: Mapping[str, float]) -> Rules:
        """The same rules with other thresholds. Raises `ConfigurationError` for one that no rule compares with."""
        alerts, recordings = self.alerts, self.recordings
        for signal, limit in limits.items():
            before = (alerts, recordings)
            alerts = tuple(replace(alert, expr=with_limit(alert.expr, signal, limit)) for alert in alerts)
            recordings = {
                name: [replace(each, expr=with_limit(each.expr, signal, limit)) for each in several] for name, several in recordings.items()
            }
            if (alerts, recordings) == before:
                problem = f'is compared with {names.THRESHOLD.prometheus}{{ml_signal="{signal}"}} in none of these rules'
                mend = "the exporter's verdict has it; change it there" if signal == names.SIGNAL_FEATURE_PSI else "name another threshold"
                raise ConfigurationError("--set", [Fault(signal, problem, mend)])
        return replace(self, alerts=alerts, recordings=recordings)


def of_pack(knobs: Knobs) -> Rules:
    """The rules of the pack."""
    return _rules((group for each in groups(knobs) for group in rule_file(each, knobs)["groups"]), "the pack", knobs)


def of_files(files: Sequence[Path], knobs: Knobs | None = None) -> Rules:
    """The rules of files: Prometheus' own, or PrometheusRule resources. Raises `ConfigurationError`."""
    return _rules((group for file in files for group in _groups(file)), ", ".join(map(str, files)), knobs or Knobs())


def with_knobs(knobs: Knobs, given: Mapping[str, str]) -> Knobs:
    """Knobs with some replaced by texts. Raises `ConfigurationError`."""
    kinds = {knob.name: type(getattr(knobs, knob.name)) for knob in fields(knobs)}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if kinds.get(name) not in (int, float, str):
            known = sorted(SIGNALS | {knob for knob, kind in kinds.items() if kind in (int, float)})
            raise ConfigurationError("--set", [Fault(name, "is no threshold and no knob of these rules", f"use one of {', '.join(known)}")])
        try:
            values[name] = kinds[name](text)
        except ValueError:
            raise ConfigurationError("--set", [Fault(name, f"{text!r} is no number", "write a number")]) from None
    return replace(knobs, **values)


def _groups(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), [Fault("file", f"is no YAML ({error})", "check it with `promtool check rules`")]) from error
    for document in documents:
        content = document.get("spec", document) if isinstance(document, dict) else None
        if not isinstance(content, dict) or not isinstance(content.get("groups"), list):
            raise ConfigurationError(str(file), [Fault("groups", "is no list", "give a rule file of Prometheus")])
        yield from content["groups"]


def _rules(rule_groups: Iterator[Mapping[str, Any]], subject: str, knobs: Knobs) -> Rules:
    alerts: list[AlertRule] = []
    loaded: list[Rule] = []
    recordings: dict[str, list[Recorded]] = {}
    try:
        for group in rule_groups:
            interval = _seconds(group.get("interval", _INTERVAL))
            for rule in group["rules"]:
                if "record" in rule:
                    recordings.setdefault(rule["record"], []).append(Recorded(rule["expr"], rule.get("labels", {})))
                else:
                    alerts.append(_alert(rule, interval))
                    loaded.append(Rule(str(group.get("name", "")), rule["alert"], alerting=True, labels=alerts[-1].labels))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        fault = Fault("rules", f"cannot be read ({type(error).__name__}: {error})", "check them with `promtool check rules`")
        raise ConfigurationError(subject, [fault]) from error
    return Rules(tuple(alerts), recordings, levels(loaded, knobs), knobs.group_labels)


def _alert(rule: Mapping[str, Any], interval: float) -> AlertRule:
    hold, keep = (_seconds(rule.get(name, "0s")) for name in ("for", "keep_firing_for"))
    return AlertRule(rule["alert"], rule["expr"], hold, keep, interval, rule.get("labels") or {})


def _seconds(text: str) -> float:
    if not is_duration(str(text)):
        raise ValueError(f"{text!r} is no duration")
    return seconds(text)
