"""Alertmanager's routing tree: which receivers an alert reaches, and whether anybody is behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from otel_ml.errors import OtelMLError
from otel_ml_exporter.alertmanager import Matcher
from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.prometheus import Labels

_MATCHER = re.compile(r'\s*"?([^\s"=!~]+)"?\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,"]*)\s*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")
_INTEGRATIONS = "_configs"
GROUP_WAIT, GROUP_INTERVAL = "30s", "5m"
"""Alertmanager's own defaults."""
_INHERITED = ("receiver", "group_wait", "group_interval", "group_by")
_QUIET = (("outside", "active_time_intervals"), ("in", "mute_time_intervals"))
_EACH = "..."


class RoutingError(OtelMLError):
    """A configuration that has no routing tree, or one that this reader does not understand."""


@dataclass(frozen=True)
class Reached:
    """A receiver that an alert is routed to, its integrations (`pagerduty`, `slack`), and how the route groups alerts.

    A new group waits `group_wait` seconds; what joins one that was told of before waits for its next turn, every `group_interval`.
    `group` is the labels by which the alert is grouped, `quiet` the times at which the route notifies nobody.
    """

    receiver: str
    integrations: tuple[str, ...]
    group_wait: float
    group_interval: float
    group: Labels
    quiet: tuple[str, ...]


def reached(config: str, labels: Labels) -> list[Reached]:
    r"""Where an alert with these labels goes, by Alertmanager's configuration in YAML; as `amtool config routes test` says.

    >>> [each.receiver for each in reached("route: {receiver: chat}\nreceivers: [{name: chat}]", {"severity": "warning"})]
    ['chat']
    """
    try:
        document = yaml.safe_load(config)
        behind = {receiver["name"]: tuple(_integrations(receiver)) for receiver in document["receivers"]}
        return [
            Reached(
                route["receiver"],
                behind[route["receiver"]],
                seconds(route["group_wait"]),
                seconds(route["group_interval"]),
                {name: value for name, value in labels.items() if {name, _EACH} & set(route["group_by"])},
                tuple(f"{word} {name}" for word, kind in _QUIET for name in route.get(kind) or ()),
            )
            for route in _routes(document["route"], labels, {"group_wait": GROUP_WAIT, "group_interval": GROUP_INTERVAL, "group_by": []})
        ]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, re.error) as error:
        raise RoutingError(f"the routing tree of Alertmanager cannot be read ({type(error).__name__}: {error})") from error


def _routes(route: Mapping[str, Any], labels: Labels, inherited: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The deepest routes that match; the first of siblings only, unless it says `continue`."""
    own = {**inherited, **{name: route[name] for name in _INHERITED if name in route}}
    own |= {kind: route.get(kind) for _, kind in _QUIET}
    found = False
    for child in route.get("routes") or ():
        if mutes(matchers_of(child), labels):
            found = True
            yield from _routes(child, labels, own)
            if not child.get("continue"):
                return
    if not found:
        yield own


def _integrations(receiver: Mapping[str, Any]) -> Iterator[str]:
    for name, configs in receiver.items():
        if name.endswith(_INTEGRATIONS) and configs:
            yield name.removesuffix(_INTEGRATIONS)


def matchers_of(entry: Mapping[str, Any], prefix: str = "") -> list[Matcher]:
    """The conditions of a route, or with a prefix those of a side of an inhibition, in the old forms and in the new one.

    >>> [str(matcher) for matcher in matchers_of({"source_match": {"severity": "critical"}}, "source_")]
    ['severity="critical"']
    """
    plain, patterns, texts = (entry.get(prefix + name) or () for name in ("match", "match_re", "matchers"))
    return [
        *(Matcher(name, str(plain[name])) for name in plain),
        *(Matcher(name, str(patterns[name]), regex=True) for name in patterns),
        *(matcher for text in texts for matcher in parse_matchers(text)),
    ]


def parse_matchers(text: str) -> list[Matcher]:
    """Conditions as Alertmanager and amtool write them, one or several with commas between, in braces or not.

    >>> [str(matcher) for matcher in parse_matchers('{severity="critical", team=~a|b}')]
    ['severity="critical"', 'team=~"a|b"']
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    matchers = []
    while rest.strip():
        found = _MATCHER.match(rest)
        if not found:
            raise RoutingError(f'{text!r} is no matcher; write name="value", or one of != =~ !~ between them')
        name, sign, value = found.groups()
        plain = _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], value[1:-1]) if value.startswith('"') else value.strip()
        matchers.append(Matcher(name, plain, regex="~" in sign, equal=not sign.startswith("!")))
        rest = rest[found.end() :]
    return matchers


def _holds(matcher: Matcher, labels: Labels) -> bool:
    value = labels.get(matcher.name, "")
    return (bool(re.fullmatch(matcher.value, value)) if matcher.regex else value == matcher.value) == matcher.equal


def mutes(matchers: list[Matcher], labels: Labels) -> bool:
    """Whether an alert with these labels is one that these matchers mean: a silence mutes it, a route takes it."""
    return all(_holds(matcher, labels) for matcher in matchers)
