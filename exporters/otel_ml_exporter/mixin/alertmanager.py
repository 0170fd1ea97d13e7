"""An example configuration for Alertmanager: who is told what, once, and what stays quiet behind a larger fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import scaled
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import FEATURE, MODEL

CATEGORY: Final = "category"
MOST_ALERTS: Final = 10
"""A PagerDuty event over 512 KB loses its details, so a page lists no more alerts than this."""

_SERVING = "ModelServiceDown|ModelMetricsAbsent"
_SCORES = "ModelDatasetDrift|ModelFeatureDrift|ModelPredictionShift|ModelMiscalibrated"


def alertmanager(knobs: Knobs) -> dict[str, Any]:
    """The content of an Alertmanager configuration; secrets stay in files beside it."""
    return {"route": _route(knobs), "inhibit_rules": _inhibitions(), "receivers": _receivers(knobs)}


def _route(knobs: Knobs) -> dict[str, Any]:
    """A page is one model's one symptom, a chat thread one model's one category; never a feature, which would ring for each."""
    watchdog = {
        "receiver": "watchdog",
        "matchers": ['alertname="Watchdog"'],
        **_rhythm(knobs, wait="0s", group="1m", repeat="2m"),
    }
    pages = {
        "receiver": "pagerduty",
        "matchers": [f'{names.SEVERITY}="{names.CRITICAL}"', f'{MODEL}!=""'],
        "group_by": ["alertname", MODEL],
        **_rhythm(knobs, wait="30s", group="5m", repeat="4h"),
    }
    return {
        "receiver": "slack",
        "group_by": [MODEL, CATEGORY],
        **_rhythm(knobs, wait="1m", group="5m", repeat="12h"),
        "routes": [watchdog, pages],
    }


def _rhythm(knobs: Knobs, *, wait: str, group: str, repeat: str) -> dict[str, str]:
    return {
        "group_wait": scaled(wait, knobs.pace),
        "group_interval": scaled(group, knobs.pace),
        "repeat_interval": scaled(repeat, knobs.pace),
    }


def _inhibitions() -> list[dict[str, Any]]:
    """Each mutes within one model only; an alert never mutes itself or its source."""
    return [
        _mutes('alertname="ModelServiceDown"', 'alertname!="ModelServiceDown"'),
        _mutes('alertname="ModelMetricsAbsent"', f'alertname!~"{_SERVING}"'),
        _mutes(f'{names.SEVERITY}="{names.CRITICAL}"', f'{names.SEVERITY}="{names.WARNING}"', CATEGORY),
        _mutes('alertname="ModelInputDataBroken"', f'alertname=~"{_SCORES}"'),
        _mutes('alertname="ModelDatasetDrift"', 'alertname="ModelFeatureDrift"'),
        _mutes('alertname="ModelBaselineMissing"', 'alertname=~"ModelDatasetDrift|ModelFeatureDrift"'),
    ]


def _mutes(source: str, target: str, *equal: str) -> dict[str, Any]:
    """Names the model in both matchers, for labels that neither alert has count as equal."""
    known = f'{MODEL}!=""'
    return {"source_matchers": [source, known], "target_matchers": [target, known], "equal": [MODEL, *equal]}


def _receivers(knobs: Knobs) -> list[dict[str, Any]]:
    return [
        {"name": "pagerduty", "pagerduty_configs": [_pagerduty(knobs)]},
        {"name": "slack", "slack_configs": [_slack(knobs)]},
        {"name": "watchdog", "webhook_configs": [{"url": knobs.watchdog_url, "send_resolved": False}]},
    ]


def _pagerduty(knobs: Knobs) -> dict[str, Any]:
    """Events v2; Alertmanager makes the dedup key of the group's key, so firing and resolved find each other."""
    return {
        "url": knobs.pagerduty_url,
        "routing_key_file": knobs.pagerduty_key_file,
        "send_resolved": True,
        "severity": f"{{{{ .CommonLabels.{names.SEVERITY} }}}}",
        "class": "{{ .GroupLabels.alertname }}",
        "component": _first(f"Labels.{MODEL}"),
        "group": f"{{{{ .CommonLabels.{CATEGORY} }}}}",
        "description": f"{_first('Annotations.summary')}{{{{ with .CommonLabels.{FEATURE} }}}}: {{{{ . }}}}{{{{ end }}}}",
        "client": "otel-ml",
        "client_url": _first("Annotations.dashboard_url"),
        "links": [{"href": _first("Annotations.runbook_url"), "text": "Runbook"}],
        "details": _details(),
    }


def _details() -> Mapping[str, str]:
    """`firing`, `resolved` and their numbers replace Alertmanager's own details, which grow without bound."""
    return {
        "model": _first(f"Labels.{MODEL}"),
        "what_to_do": _first("Annotations.action"),
        "firing": _listed(".Alerts.Firing"),
        "resolved": _listed(".Alerts.Resolved"),
    }


def _slack(knobs: Knobs) -> dict[str, Any]:
    return {
        "api_url_file": knobs.slack_url_file,
        "channel": knobs.slack_channel,
        "send_resolved": True,
        "color": '{{ if eq .Status "firing" }}#D55E00{{ else }}#009E73{{ end }}',
        "title": f"{{{{ .Status | toUpper }}}} {{{{ .GroupLabels.{MODEL} }}}}: {{{{ .GroupLabels.{CATEGORY} }}}} ({{{{ len .Alerts }}}})",
        "title_link": _first("Annotations.dashboard_url"),
        "text": _listed(".Alerts"),
        "actions": [
            {"type": "button", "text": "Runbook", "url": _first("Annotations.runbook_url")},
            {"type": "button", "text": "Dashboard", "url": _first("Annotations.dashboard_url")},
        ],
    }


def _first(what: str) -> str:
    return "{{ (index .Alerts 0)." + what + " }}"


def _listed(alerts: str) -> str:
    """One line an alert, at most `MOST_ALERTS`, then how many there are."""
    line = "{{ $alert.Labels.alertname }}: {{ $alert.Annotations.description }} {{ $alert.Annotations.action }}\n"
    few = "{{ range $index, $alert := ALERTS }}{{ if lt $index MOST }}" + line + "{{ end }}{{ end }}"
    more = "{{ if gt (len ALERTS) MOST }}All {{ len ALERTS }} are in Alertmanager.{{ end }}"
    return (few + more).replace("ALERTS", alerts).replace("MOST", str(MOST_ALERTS))
