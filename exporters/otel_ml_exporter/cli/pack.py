"""The rules of the pack among all that a Prometheus has loaded, and what its alerts carry when they leave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import ALL_MODELS, WATCHDOG, Alert
from otel_ml_exporter.mixin.promql import MODEL
from otel_ml_exporter.mixin.rules import groups
from otel_ml_exporter.prometheus import Labels, Prometheus, Rule
from otel_ml_exporter.remote import RemoteError

_GROUP = "otel-ml-"
_KNOWN = "ServiceDown"
"""An alert by whose name the others are known."""
_OWN = frozenset(("alertname", MODEL, names.SEVERITY, "category", "ml_problem"))
"""The labels that every site's alerts of the pack have."""


@cache
def _alerts() -> tuple[Alert, ...]:
    return tuple(alert for group in groups(Knobs()) for alert in group.alerts)


@cache
def alert_names() -> frozenset[str]:
    """The names of the pack's alerts."""
    return frozenset(alert.name for alert in _alerts())


def is_alert(name: str) -> bool:
    """Whether an alert of the pack has this name, or has it with the prefix of some site."""
    return name in alert_names() or any(name.endswith(each.removeprefix(Knobs.prefix)) for each in alert_names())


def own(rules: Iterable[Rule]) -> list[Rule]:
    """The rules that are the pack's, in its groups or taken over into others."""
    return [rule for rule in rules if rule.group.startswith(_GROUP) or (rule.alerting and rule.name in alert_names())]


def usual_names(rules: Sequence[Rule]) -> frozenset[str]:
    """The pack's names of the alerts among the rules, whatever prefix the site gave them."""
    start = _prefix(rules)
    return frozenset(_usual(rule.name, start) for rule in own(rules) if rule.alerting) & alert_names()


def levels(rules: Sequence[Rule], knobs: Knobs | None = None) -> dict[str, str]:
    """The pack's severities by this site's words for them: those that most alerts of a severity have, else those of the knobs."""
    usual = {alert.name: alert.severity for alert in _alerts()}
    start = _prefix(rules)
    found = [(usual.get(_usual(rule.name, start), ""), rule.labels.get(names.SEVERITY, "")) for rule in own(rules) if rule.alerting]
    words = {level: Counter(word for each, word in found if each == level) for level in (names.WARNING, names.CRITICAL)}
    loaded = {count.most_common(1)[0][0]: level for level, count in words.items() if count}
    return {**loaded, **{(knobs or Knobs()).severity(level): level for level, count in words.items() if not count}}


def _prefix(rules: Sequence[Rule]) -> str:
    """What this site's names of alerts begin with."""
    found = [rule.name.removesuffix(_KNOWN) for rule in rules if rule.group.startswith(_GROUP) and rule.name.endswith(_KNOWN)]
    return found[0] if found else Knobs.prefix


def _usual(name: str, start: str) -> str:
    return Knobs.prefix + name.removeprefix(start) if name.startswith(start) and name != WATCHDOG else name


def carried(server: Prometheus, rules: Sequence[Rule], model: str, severity: str) -> list[dict[str, str]]:
    """The labels with which alerts of a severity about a model leave Prometheus, as far as they are known before one fires.

    They are those of the loaded rules, and the `external_labels` of the server; where it has none of the rules, those of the pack.
    """
    loaded = [(rule.name, rule.labels) for rule in own(rules) if rule.alerting] or [
        (alert.name, {**alert.labels, names.SEVERITY: alert.severity, "category": alert.category}) for alert in _alerts()
    ]
    external, level = external_labels(server), levels(rules)
    return [
        {**external, MODEL: model, **{label: value for label, value in labels.items() if "{{" not in value}, "alertname": name}
        for name, labels in loaded
        if level.get(word := labels.get(names.SEVERITY, ""), word) == severity and labels.get(MODEL, model) in (model, ALL_MODELS)
    ]


def external_labels(server: Prometheus) -> Labels:
    """What the server adds to alerts; nothing where a host does not show its configuration."""
    try:
        return server.external_labels()
    except RemoteError:
        return {}


def of_site(alerts: Sequence[Labels]) -> dict[str, str]:
    """The labels that all these alerts carry, and that the pack itself does not add.

    >>> of_site([{"alertname": "A", "team": "risk", "tier": "1"}, {"alertname": "B", "team": "risk"}])
    {'team': 'risk'}
    """
    counts = Counter((name, value) for labels in alerts for name, value in labels.items() if name not in _OWN)
    return dict(sorted(pair for pair, count in counts.items() if count == len(alerts)))
