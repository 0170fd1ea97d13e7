"""What a site may change in the pack, each with the reason why it would."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from otel_ml.errors import ConfigurationError, Fault
from otel_ml_exporter.mixin.durations import milliseconds, scaled
from otel_ml_exporter.mixin.knob_faults import faults

_ALERT = re.compile(r"\bModel(?=[A-Z][a-z])")
"""Where the name of an alert of the pack begins."""


def _why(reason: str, flag: str = "") -> dict[str, str]:
    """`flag` names one value of a knob that has several."""
    return {"why": reason, "flag": flag}


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """The settings of one rendering; wrong ones raise `ConfigurationError`, which lists every fault."""

    short_window: str = field(default="1h", metadata=_why("the exporter's short window; keep it equal to the exporter's configuration"))
    middle_window: str = field(
        default="6h", metadata=_why("the longer window of the slow burn-rate alert; also a window of calibration in PromQL")
    )
    long_window: str = field(default="24h", metadata=_why("the exporter's long window; keep it equal to the exporter's configuration"))
    rate_window: str = field(
        default="5m", metadata=_why("at least four scrape intervals; longer if you scrape less often than once a minute")
    )
    absence_window: str = field(
        default="6h", metadata=_why("how long ModelMetricsAbsent fires for a model that vanished; shorter if models come and go daily")
    )
    memory_window: str = field(
        default="4d", metadata=_why("how long the alert about a dead exporter fires and its limits still apply; at least a long weekend")
    )
    season: str = field(default="1w", metadata=_why("how far back traffic is compared; 1d if weekends are like weekdays"))
    interval: str = field(default="1m", metadata=_why("how often rules are evaluated; shorter than the exporter's interval gains nothing"))
    score_interval: str = field(
        default="10m",
        metadata=_why("how often Prometheus computes scores itself; 5m reacts faster and costs nearly twice as much"),
    )
    scrape_interval: str = field(
        default="15s",
        metadata=_why("how often counters are scraped; consecutive increases overlap by one scrape, so that nothing is lost"),
    )
    pace: float = field(
        default=1.0, metadata=_why("multiplies the `for` and grouping times; below 1 for demonstrations, above 1 for fewer pages")
    )
    selector: str = field(default="", metadata=_why('more label matchers for the model servers\' series, such as namespace="prod"'))
    exporter_selector: str = field(default="", metadata=_why("more label matchers for the exporter's series"))
    group_labels: Sequence[str] = field(
        default=(),
        metadata=_why(
            "labels, such as namespace, that tell apart models of the same name; series of model servers, `up` and exporter need them",
            "group-label",
        ),
    )
    error_budget: float = field(default=0.01, metadata=_why("share of calls that may fail if the exporter publishes no threshold"))
    latency_objective: float = field(
        default=0.0,
        metadata=_why(
            "seconds a call may take if the exporter publishes no threshold: a bucket bound of the duration histogram; 0 for no objective"
        ),
    )
    latency_budget: float = field(default=0.01, metadata=_why("share of calls that may take longer if the exporter publishes no threshold"))
    replicas_ratio: float = field(default=0.67, metadata=_why("share of replicas that respond, below which losing one more would hurt"))
    traffic_ratio: float = field(default=0.1, metadata=_why("share of the calls one season ago, below which callers are missing"))
    input_violations: float = field(default=0.2, metadata=_why("share of invalid values that pages if the exporter publishes no threshold"))
    output_share: float = field(default=0.99, metadata=_why("share of a single answer that pages if the exporter publishes no threshold"))
    usual_share: float = field(
        default=0.9, metadata=_why("a model whose most common answer normally exceeds this share never counts as collapsed")
    )
    outlier_share: float = field(default=0.02, metadata=_why("share of rows beyond 99.9 % of the baseline's that is too much"))
    abstention_share: float = field(default=0.2, metadata=_why("share of withheld predictions that the fallback can take"))
    shadow_disagreement: float = field(default=0.05, metadata=_why("share of rows on which a shadow may disagree"))
    dropped_ratio: float = field(default=0.01, metadata=_why("share of uncounted rows above which the monitor itself needs fixing"))
    store_ratio: float = field(default=0.9, metadata=_why("how full the exporter's store may be and still leave you time to make room"))
    minimum_calls: int = field(
        default=100,
        metadata=_why("fewer calls in the short or middle window are no evidence about a budget; lower it if calls are few and important"),
    )
    minimum_samples: int = field(default=200, metadata=_why("fewer values in the window are no evidence about inputs and outputs"))
    minimum_outcomes: int = field(
        default=1000, metadata=_why("fewer outcomes are no evidence about calibration; with fewer, its error is mostly noise")
    )
    stale_after: str = field(
        default="10m", metadata=_why("age of the last evaluation that counts as stale; several of the exporter's intervals")
    )
    watchdog: bool = field(default=True, metadata=_why("off if another pack already sends a Watchdog to the dead man's switch"))
    labels: Mapping[str, str] = field(
        default_factory=dict, metadata=_why("labels for every alert, such as team=risk, when routes need them", "label")
    )
    severities: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_why("another severity for an alert (ModelFeatureDrift=info), or another word for one (critical=page)", "severity"),
    )
    prefix: str = field(default="Model", metadata=_why("first word of the alerts' names, if another pack has the same names"))
    runbook_url: str = field(
        default="https://github.com/otel-ml/otel-ml/blob/main/alert_rules/runbooks/",
        metadata=_why("where your runbooks are: your wiki or fork"),
    )
    namespace: str = field(default="", metadata=_why("of Kubernetes resources; by default, that of whoever applies them"))
    resource_labels: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_why("labels by which operators select resources, such as release=kube-prometheus-stack", "resource-label"),
    )
    prometheus_url: str = field(
        default="http://prometheus.monitoring:9090", metadata=_why("where Argo Rollouts and Flagger send queries; no rule needs it")
    )
    grafana_url: str = field(default="http://localhost:3000", metadata=_why("where Grafana is; every page links to a dashboard"))
    pagerduty_url: str = field(
        default="https://events.pagerduty.com/v2/enqueue", metadata=_why("the EU region (events.eu.pagerduty.com) or a recorder for tests")
    )
    pagerduty_key_file: str = field(
        default="/etc/alertmanager/secrets/pagerduty_routing_key", metadata=_why("where Alertmanager reads the integration key")
    )
    slack_url_file: str = field(
        default="/etc/alertmanager/secrets/slack_webhook_url", metadata=_why("where Alertmanager reads the webhook URL")
    )
    slack_channel: str = field(default="#ml-alerts", metadata=_why("the channel of the model's owners"))
    email_to: str = field(
        default="ml-labels@example.com", metadata=_why("who is notified when labels do not arrive; separate addresses with commas")
    )
    email_from: str = field(
        default="alertmanager@example.com", metadata=_why("an address that your mail server lets Alertmanager send from")
    )
    smtp_smarthost: str = field(default="localhost:25", metadata=_why("your mail server, as host:port"))
    smtp_tls: bool = field(default=True, metadata=_why("off only for a mail server on the same machine"))
    webhook_url: str = field(
        default="http://localhost:9098/rollout",
        metadata=_why("what holds or aborts a rollout when an alert about its canary or shadow fires"),
    )
    business_days: str = field(default="monday:friday", metadata=_why("when someone can fix labels; sunday:thursday in some countries"))
    business_hours: str = field(default="08:00-18:00", metadata=_why("the same, in the time zone below"))
    business_zone: str = field(default="UTC", metadata=_why("time zone of the business hours, such as Europe/Berlin"))
    watchdog_url: str = field(
        default="http://localhost:9099/watchdog", metadata=_why("the dead man's switch that pages when the Watchdog stops")
    )

    def __post_init__(self) -> None:
        found = list(faults(self))
        if found:
            raise ConfigurationError("knobs", found)

    def severity(self, level: str, alert: str = "") -> str:
        """This site's word for the severity of an alert of the pack, or for a level."""
        level = self.severities.get(alert, level)
        return self.severities.get(level, level)

    def runbook(self, alert: str) -> str:
        """The runbook of an alert of the pack, by the pack's name of it."""
        return f"{self.runbook_url.rstrip('/')}/{alert}.md"

    def named(self, text: str) -> str:
        """The text with this site's names of alerts.

        >>> Knobs(prefix="MlModel").named("ModelServiceDown mutes ModelFeatureDrift of a Model")
        'MlModelServiceDown mutes MlModelFeatureDrift of a Model'
        """
        return _ALERT.sub(self.prefix, text)

    @property
    def place(self) -> tuple[str, ...]:
        """The matchers of `selector` by which this rendering is for one of the environments that `group_labels` tell apart.

        >>> Knobs(selector='namespace="prod", job=~"a|b"', group_labels=["namespace"]).place
        ('namespace="prod"',)
        """
        from otel_ml_exporter.routing import parse_matchers  # noqa: PLC0415  its matchers are written with this package

        return tuple(str(matcher) for matcher in parse_matchers(self.selector) if matcher.name in self.group_labels)

    @property
    def rate_windows(self) -> tuple[str, ...]:
        """The windows over which counters are rated: what happens now, and the evidence for it."""
        return tuple(dict.fromkeys((self.rate_window, self.short_window)))

    @property
    def slow_burn_window(self) -> str:
        """What the middle window's burn must still show now: a twelfth of it, as the rate window is of the short one."""
        return max(scaled(self.middle_window, 1 / 12), self.rate_window, key=milliseconds)

    @property
    def traffic_window(self) -> str:
        """Over which calls are compared with those of a season ago."""
        return scaled(self.rate_window, 3)

    @property
    def step(self) -> str:
        """The rhythm of the scores in PromQL over the short window; never longer than that."""
        return min(self.score_interval, self.short_window, key=milliseconds)

    @property
    def part(self) -> str:
        """The rhythm of those over longer windows: the short window, where they are multiples of it."""
        longer = (self.middle_window, self.long_window)
        return self.step if any(milliseconds(window) % milliseconds(self.short_window) for window in longer) else self.short_window

    def rhythm(self, window: str) -> str:
        """How often scores over a window are computed in PromQL."""
        return self.step if window == self.short_window else self.part

    @property
    def fresh(self) -> str:
        """How often what is computed more rarely is recorded again."""
        return min(self.step, self.slower(4), key=milliseconds)

    def slower(self, times: int) -> str:
        """A rhythm for what costs much to read and is no hurry; under the five minutes after which Prometheus forgets a sample."""
        return min(scaled(self.interval, times), "4m", key=milliseconds)


def why(name: str) -> str:
    """The reason to change a knob."""
    return next(str(knob.metadata["why"]) for knob in fields(Knobs) if knob.name == name)


def load(path: Path | None, given: Mapping[str, Any]) -> Knobs:
    """The knobs of a YAML file, overruled by those `given`; `ConfigurationError` names each fault and its mend."""
    written = {} if path is None else _read(path)
    known = {knob.name for knob in fields(Knobs)}
    unknown = sorted(set(map(str, written)) - known)
    if unknown:
        raise ConfigurationError(str(path), [Fault(name, "is no knob", f"use one of {', '.join(sorted(known))}") for name in unknown])
    return Knobs(**{**written, **given})


def _read(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  knobs from flags need no parser

    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), [Fault("file", f"is no YAML: {error}", "mend it there")]) from error
    if not isinstance(written, dict):
        raise ConfigurationError(str(path), [Fault("file", "is no mapping", "write one `knob: value` a line")])
    return written
