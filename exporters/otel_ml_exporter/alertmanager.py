"""Alertmanager's v2 API: alerts, silences, status and, from its own metrics, what was notified."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from prometheus_client.parser import text_string_to_metric_families

from otel_ml_exporter.mixin.promql import quoted
from otel_ml_exporter.prometheus import Labels, unix
from otel_ml_exporter.remote import Remote
from otel_ml_exporter.shape import T


@dataclass(frozen=True)
class Matcher:
    """A condition on one label; regular expressions match the whole value."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True

    def __str__(self) -> str:
        sign = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}[self.equal, self.regex]
        return f"{self.name}{sign}{quoted(self.value)}"


@dataclass(frozen=True)
class Alert:
    """An alert that Alertmanager holds; `state` is `active`, `suppressed` or `unprocessed`."""

    labels: Labels
    annotations: Labels
    since: float
    state: str
    silenced_by: Sequence[str]
    inhibited_by: Sequence[str]
    receivers: Sequence[str]
    fingerprint: str


@dataclass(frozen=True)
class Silence:
    """A silence; `state` is `pending`, `active` or `expired`, times are Unix seconds."""

    id: str
    matchers: Sequence[Matcher]
    starts: float
    ends: float
    author: str
    comment: str
    state: str


@dataclass(frozen=True)
class Status:
    """The running Alertmanager; `config` is its configuration in YAML, with secrets blanked by the server, `started` a Unix time."""

    version: str
    config: str
    started: float


@dataclass(frozen=True)
class Notified:
    """How many requests of one kind of integration were accepted by its service, and how many were not."""

    accepted: float = 0.0
    failed: float = 0.0


class Alertmanager(Remote):
    """Every method raises `RemoteError`."""

    def __enter__(self) -> Alertmanager:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def status(self) -> Status:
        """Version and configuration."""
        return self._ask("GET", "status", _status)

    def alerts(self, matchers: Iterable[Matcher] = ()) -> list[Alert]:
        """The alerts that match all of `matchers`, the muted ones among them."""
        return self._ask("GET", "alerts", lambda entries: [_alert(entry) for entry in entries], params=_filter(matchers))

    def groups(self) -> list[tuple[str, Labels]]:
        """The receiver and the labels of each group that has alerts now."""
        return self._ask(
            "GET", "alerts/groups", lambda entries: [(each["receiver"]["name"], each["labels"]) for each in entries if each["alerts"]]
        )

    def post(self, labels: Labels, annotations: Labels, *, starts: float, ends: float) -> None:
        """Raise an alert, or with `ends` in the past resolve it."""
        alert = {"labels": dict(labels), "annotations": dict(annotations), "startsAt": _written(starts), "endsAt": _written(ends)}
        self._ask("POST", "alerts", lambda _: None, json=[alert])

    def silences(self, matchers: Iterable[Matcher] = ()) -> list[Silence]:
        """The silences whose own matchers contain all of `matchers`, expired ones among them."""
        return self._ask("GET", "silences", lambda entries: [_silence(entry) for entry in entries], params=_filter(matchers))

    def silence(self, matchers: Sequence[Matcher], *, starts: float, ends: float, author: str, comment: str) -> str:
        """Make a silence; its id."""
        body = {
            "matchers": [_posted(matcher) for matcher in matchers],
            "startsAt": _written(starts),
            "endsAt": _written(ends),
            "createdBy": author,
            "comment": comment,
        }
        return self._ask("POST", "silences", lambda answer: str(answer["silenceID"]), json=body)

    def expire(self, silence_id: str) -> None:
        """End a silence now."""
        self._ask("DELETE", f"silence/{quote(silence_id, safe='')}", lambda _: None)

    def notified(self) -> dict[str, Notified]:
        """What was sent since the server started, by kind of integration (`pagerduty`, `slack`), over all receivers."""
        counts: dict[str, list[float]] = {}
        for family in text_string_to_metric_families(self.text("metrics")):
            if family.name in _REQUESTS:
                for sample in family.samples:
                    counts.setdefault(sample.labels["integration"], [0.0, 0.0])[_REQUESTS.index(family.name)] += sample.value
        return {integration: Notified(tried - failed, failed) for integration, (tried, failed) in counts.items()}

    def group_count(self) -> int:
        """The groups that live, those among them whose alerts have all been resolved."""
        families = text_string_to_metric_families(self.text("metrics"))
        return round(sum(sample.value for family in families if family.name == _GROUPS for sample in family.samples))

    def _ask(self, method: str, path: str, read: Callable[[Any], T], **options: Any) -> T:
        return self.json(method, f"api/v2/{path}", read, **options)


def _filter(matchers: Iterable[Matcher]) -> dict[str, list[str]]:
    return {"filter": [str(matcher) for matcher in matchers]}


def _status(answer: Mapping[str, Any]) -> Status:
    return Status(answer["versionInfo"]["version"], answer["config"]["original"], unix(answer.get("uptime", "")))


_GROUPS = "alertmanager_dispatcher_aggregation_groups"
_REQUESTS = ("alertmanager_notification_requests", "alertmanager_notification_requests_failed")


def _alert(entry: Mapping[str, Any]) -> Alert:
    status = entry["status"]
    return Alert(
        labels=entry["labels"],
        annotations=entry["annotations"],
        since=unix(entry["startsAt"]),
        state=status["state"],
        silenced_by=status["silencedBy"],
        inhibited_by=status["inhibitedBy"],
        receivers=[receiver["name"] for receiver in entry["receivers"]],
        fingerprint=entry["fingerprint"],
    )


def _silence(entry: Mapping[str, Any]) -> Silence:
    matchers = [Matcher(each["name"], each["value"], each["isRegex"], each.get("isEqual", True)) for each in entry["matchers"]]
    starts, ends = unix(entry["startsAt"]), unix(entry["endsAt"])
    return Silence(entry["id"], matchers, starts, ends, entry["createdBy"], entry["comment"], entry["status"]["state"])


def _posted(matcher: Matcher) -> dict[str, Any]:
    return {"name": matcher.name, "value": matcher.value, "isRegex": matcher.regex, "isEqual": matcher.equal}


def _written(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.timezone.utc).isoformat(timespec="milliseconds")
