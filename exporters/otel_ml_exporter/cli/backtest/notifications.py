"""What Alertmanager would have told, and whom: its routing, grouping and inhibition over the intervals in which alerts fired.

Silences, and times at which routes are active, are not looked at. A test compares this with the real Alertmanager.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.routing import matchers_of, mutes

Labels = tuple[tuple[str, str], ...]
_EACH = "..."
_INHERITED = ("receiver", "group_by", "group_wait", "group_interval", "repeat_interval")
_TIMES = ("group_wait", "group_interval", "repeat_interval")
_DEFAULTS = {"group_by": [], "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}


class Fired(NamedTuple):
    """An alert, and from when to when it fired, in Unix seconds."""

    labels: Labels
    start: float
    end: float


class Notification(NamedTuple):
    """What one receiver is told at once: the alerts that fire, and those that were resolved since."""

    at: float
    receiver: str
    firing: frozenset[Labels]
    resolved: frozenset[Labels]


def notifications(config: Mapping[str, Any], fired: Sequence[Fired], end: float) -> list[Notification]:
    """All notifications until `end`, in the order of time, by Alertmanager's configuration as YAML has it."""
    groups: dict[tuple[Any, ...], list[Fired]] = defaultdict(list)
    routes: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for alert in fired:
        for place, route in _routes(config["route"], dict(alert.labels), _DEFAULTS):
            each = _EACH in route["group_by"]
            key = (place, tuple((name, value) for name, value in sorted(alert.labels) if each or name in route["group_by"]))
            groups[key].append(alert)
            routes[key] = route
    inhibitions = [_inhibition(rule) for rule in config.get("inhibit_rules") or ()]
    told = [each for key, alerts in groups.items() for each in _told(routes[key], alerts, fired, inhibitions, end)]
    return sorted(told, key=lambda each: each.at)


def check(config: Mapping[str, Any]) -> None:
    """Read every route and inhibition once; raises what is wrong, `RoutingError` for matchers."""
    for rule in config.get("inhibit_rules") or ():
        _inhibition(rule)
    waiting = [{**_DEFAULTS, **config["route"]}]
    while waiting:
        route = waiting.pop()
        matchers_of(route)
        _ = route["receiver"], [seconds(route[name]) for name in _TIMES if name in route]
        waiting += [{"receiver": route["receiver"], **child} for child in route.get("routes") or ()]


def _routes(
    route: Mapping[str, Any], labels: Mapping[str, str], inherited: Mapping[str, Any], place: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Mapping[str, Any]]]:
    """The deepest routes that match, and their place in the tree."""
    own = {**inherited, **{name: route[name] for name in _INHERITED if name in route}}
    found = False
    for number, child in enumerate(route.get("routes") or ()):
        if mutes(matchers_of(child), labels):
            found = True
            yield from _routes(child, labels, own, (*place, number))
            if not child.get("continue"):
                return
    if not found:
        yield place, own


def _told(
    route: Mapping[str, Any], alerts: Sequence[Fired], fired: Sequence[Fired], inhibitions: Any, end: float
) -> Iterator[Notification]:
    """The notifications of one group: `group_wait` after its first alert, then each `group_interval` in which something changed."""
    wait, interval, repeat = (seconds(route[name]) for name in _TIMES)
    waiting = sorted(alerts, key=lambda alert: alert.start)
    known: list[Fired] = []
    last: Notification | None = None
    at = 0.0
    while waiting or known:
        if not known:
            at = max(at, waiting[0].start + wait)
        if at > end:
            return
        known += [alert for alert in waiting if alert.start <= at]
        waiting = [alert for alert in waiting if alert.start > at]
        heard = [alert for alert in known if not _muted(alert, at, fired, inhibitions)]
        now = _notification(at, route["receiver"], heard)
        if _is_news(now, last, repeat):
            yield now
            last = now
        known = [alert for alert in known if alert.end > at]
        at += interval


def _notification(at: float, receiver: str, alerts: Sequence[Fired]) -> Notification:
    firing = frozenset(alert.labels for alert in alerts if alert.end > at)
    return Notification(at, receiver, firing, frozenset(alert.labels for alert in alerts) - firing)


def _is_news(now: Notification, last: Notification | None, repeat: float) -> bool:
    """Alertmanager's `DedupStage.needsUpdate`, for a receiver that is told of what is resolved."""
    if last is None:
        return bool(now.firing)
    if not now.firing <= last.firing:
        return True
    if not now.firing:
        return bool(last.firing) and bool(now.resolved)
    return not now.resolved <= last.resolved or now.at - last.at > repeat


def _inhibition(rule: Mapping[str, Any]) -> tuple[list[Any], list[Any], Sequence[str]]:
    return matchers_of(rule, "source_"), matchers_of(rule, "target_"), rule.get("equal") or ()


def _muted(alert: Fired, at: float, fired: Sequence[Fired], inhibitions: Any) -> bool:
    own = dict(alert.labels)
    for source, target, equal in inhibitions:
        if not mutes(target, own):
            continue
        for other in fired:
            labels = dict(other.labels)
            same = all(labels.get(name, "") == own.get(name, "") for name in equal)
            if other.start <= at < other.end and same and mutes(source, labels) and not (mutes(target, labels) and mutes(source, own)):
                return True
    return False
