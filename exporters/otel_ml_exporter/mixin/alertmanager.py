"""An example configuration for Alertmanager: who is told what, once, and what stays quiet behind a larger fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.durations import scaled
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import WATCHDOG
from otel_ml_exporter.mixin.promql import FEATURE, MODEL

CATEGORY: Final = "category"
MOST_ALERTS: Final = 10
"""A PagerDuty event over 512 KB loses its details, so a page lists no more alerts than this."""

_SERVING = "ModelServiceDown|ModelMetricsAbsent"
_DRIFT = "ModelDatasetDrift|ModelFeatureDrift|ModelDomainShift"
_ANSWERS = "ModelPredictionShift|ModelOutputShift"
_GUESSES = "ModelConfidenceDropped|ModelOutliersRising|ModelEstimatedAccuracyLow|ModelDomainShift"
_SCORES = f"{_DRIFT}|{_ANSWERS}|ModelConfidenceDropped|ModelOutliersRising|ModelEstimatedAccuracyLow|ModelMiscalibrated"
_BUSINESS_HOURS = "business-hours"

_NAME = "{{ $alert.Labels.alertname }}"
_SAID = "{{ $alert.Annotations.description }} {{ $alert.Annotations.action }}"
_RUNBOOK = "$alert.Annotations.runbook_url"
_OVER = '{{ if eq $alert.Status "resolved" }}resolved: {{ end }}'
_HOW_MANY = (
    "{{ with .Alerts.Firing }}{{ len . }}{{ with $.Alerts.Resolved }}, {{ len . }} resolved{{ end }}{{ else }}{{ len .Alerts }}{{ end }}"
)


def alertmanager(knobs: Knobs) -> dict[str, Any]:
    """The content of an Alertmanager configuration; secrets stay in files beside it."""
    return {
        "route": _route(knobs),
        "time_intervals": [_business_hours(knobs)],
        "inhibit_rules": _inhibitions(knobs),
        "receivers": _receivers(knobs),
    }


def _route(knobs: Knobs) -> dict[str, Any]:
    """A page is one model's one symptom, a chat thread one model's one category; never a feature, which would ring for each.

    Rollouts tell what runs them too. Labels wait for business hours: nobody can bring them at night.
    """
    watchdog = {
        "receiver": "watchdog",
        "matchers": [f'alertname="{WATCHDOG}"'],
        **_rhythm(knobs, wait="0s", group="1m", repeat="2m"),
    }
    pages = {
        "receiver": "pagerduty",
        "matchers": [f'{names.SEVERITY}="{knobs.severity(names.CRITICAL)}"', f'{MODEL}!=""'],
        "group_by": ["alertname", *_model(knobs)],
        **_rhythm(knobs, wait="30s", group="5m", repeat="4h"),
    }
    rollouts = {
        "receiver": "webhook",
        "matchers": [f'{CATEGORY}="rollout"'],
        "continue": True,
        **_rhythm(knobs, wait="10s", group="1m", repeat="1h"),
    }
    labels = {
        "receiver": "email",
        "matchers": [f'{CATEGORY}="labels"'],
        "active_time_intervals": [_BUSINESS_HOURS],
        **_rhythm(knobs, wait="5m", group="30m", repeat="1d"),
    }
    return {
        "receiver": "slack",
        "group_by": [*_model(knobs), CATEGORY],
        **_rhythm(knobs, wait="1m", group="5m", repeat="12h"),
        "routes": [watchdog, rollouts, pages, labels, {"receiver": "slack"}],
    }


def _business_hours(knobs: Knobs) -> dict[str, Any]:
    start, _, end = knobs.business_hours.partition("-")
    hours = {
        "weekdays": [knobs.business_days],
        "times": [{"start_time": start, "end_time": end}],
        "location": knobs.business_zone,
    }
    return {"name": _BUSINESS_HOURS, "time_intervals": [hours]}


def _rhythm(knobs: Knobs, *, wait: str, group: str, repeat: str) -> dict[str, str]:
    return {
        "group_wait": scaled(wait, knobs.pace),
        "group_interval": scaled(group, knobs.pace),
        "repeat_interval": scaled(repeat, knobs.pace),
    }


def _model(knobs: Knobs) -> list[str]:
    """The labels that tell one model in one environment."""
    return [*knobs.group_labels, MODEL]


def _inhibitions(knobs: Knobs) -> list[dict[str, Any]]:
    """Each mutes within one model only; an alert never mutes itself or its source.

    A stuck feature may hardly matter, so that it mutes what is guessed from inputs alone, and no shift of the answers.
    """
    critical = f'{names.SEVERITY}="{knobs.severity(names.CRITICAL)}"'
    return [
        _mutes(knobs, 'alertname="ModelServiceDown"', 'alertname!="ModelServiceDown"'),
        _mutes(knobs, 'alertname="ModelMetricsAbsent"', f'alertname!~"{_SERVING}"'),
        _mutes(knobs, critical, critical.replace("=", "!=", 1), CATEGORY),
        _mutes(knobs, 'alertname="ModelInputDataBroken"', f'alertname=~"{_SCORES}"'),
        _mutes(knobs, 'alertname="ModelDatasetDrift"', 'alertname="ModelFeatureDrift"'),
        _mutes(knobs, 'alertname="ModelStuckInput"', 'alertname="ModelFeatureDrift"', FEATURE),
        _mutes(knobs, 'alertname="ModelStuckInput"', f'alertname=~"{_GUESSES}"'),
        _mutes(knobs, 'alertname=~"ModelDatasetDrift|ModelFeatureDrift"', 'alertname=~"ModelDomainShift|ModelOutliersRising"'),
        _mutes(knobs, 'alertname="ModelBaselineMissing"', f'alertname=~"{_DRIFT}"'),
    ]


def _mutes(knobs: Knobs, source: str, target: str, *equal: str) -> dict[str, Any]:
    """Names the model in both matchers, for labels that neither alert has count as equal; the Watchdog is heard whatever fires."""
    known = f'{MODEL}!=""'
    return {
        "source_matchers": [knobs.named(source), known],
        "target_matchers": [knobs.named(target), known, f'alertname!="{WATCHDOG}"'],
        "equal": [*_model(knobs), *equal],
    }


def _receivers(knobs: Knobs) -> list[dict[str, Any]]:
    return [
        {"name": "pagerduty", "pagerduty_configs": [_pagerduty(knobs)]},
        {"name": "slack", "slack_configs": [_slack(knobs)]},
        {"name": "email", "email_configs": [_email(knobs)]},
        {"name": "webhook", "webhook_configs": [{"url": knobs.webhook_url, "send_resolved": True, "max_alerts": MOST_ALERTS}]},
        {"name": "watchdog", "webhook_configs": [{"url": knobs.watchdog_url, "send_resolved": False}]},
    ]


def _pagerduty(knobs: Knobs) -> dict[str, Any]:
    """Events v2; Alertmanager makes the dedup key of the group's key, so firing and resolved find each other."""
    return {
        "url": knobs.pagerduty_url,
        "routing_key_file": knobs.pagerduty_key_file,
        "send_resolved": True,
        "severity": names.CRITICAL,
        "class": "{{ .GroupLabels.alertname }}",
        "component": _first(f"Labels.{MODEL}"),
        "group": f"{{{{ .CommonLabels.{CATEGORY} }}}}",
        "description": f"[{_first(f'Labels.{MODEL}')}] {_first('Annotations.summary')}"
        f"{{{{ with .CommonLabels.{FEATURE} }}}}: {{{{ . }}}}{{{{ end }}}}",
        "client": "otel-ml",
        "client_url": _first("Annotations.dashboard_url"),
        "links": [{"href": _first("Annotations.runbook_url"), "text": "Runbook"}],
        "details": _details(knobs),
    }


def _details(knobs: Knobs) -> Mapping[str, str]:
    """`firing`, `resolved` and their numbers replace Alertmanager's own details, which grow without bound."""
    return {
        "model": _first(f"Labels.{MODEL}"),
        **{label: _first(f"Labels.{label}") for label in knobs.group_labels},
        "what_to_do": _first("Annotations.action"),
        "firing": _listed(".Alerts.Firing", f"{_NAME}: {_SAID}"),
        "resolved": _listed(".Alerts.Resolved", f"{_NAME}: {_SAID}"),
    }


def _slack(knobs: Knobs) -> dict[str, Any]:
    """Slack reads `<`, `>` and `&` as marks of its own, and classes are called `<=50K`."""
    runbook = f"{{{{ with {_RUNBOOK} }}}}<{{{{ . }}}}|{{{{ $alert.Labels.alertname }}}}>{{{{ else }}}}{_NAME}{{{{ end }}}}"
    return {
        "api_url_file": knobs.slack_url_file,
        "channel": knobs.slack_channel,
        "send_resolved": True,
        "color": '{{ if eq .Status "firing" }}#D55E00{{ else }}#009E73{{ end }}',
        "title": _title(knobs),
        "title_link": _first("Annotations.dashboard_url"),
        "text": _listed(".Alerts", f"{_OVER}{runbook}: {_plain(_SAID)}"),
        "actions": [
            {"type": "button", "text": "Runbook", "url": _first("Annotations.runbook_url")},
            {"type": "button", "text": "Dashboard", "url": _first("Annotations.dashboard_url")},
        ],
    }


def _email(knobs: Knobs) -> dict[str, Any]:
    """Plain text; a site with a password adds `auth_username` and `auth_password_file`."""
    return {
        "to": knobs.email_to,
        "from": knobs.email_from,
        "smarthost": knobs.smtp_smarthost,
        "require_tls": knobs.smtp_tls,
        "send_resolved": True,
        "headers": {"Subject": _title(knobs)},
        "html": "",
        "text": f"{_listed('.Alerts', f'{_OVER}{_NAME}: {_SAID} {{{{ {_RUNBOOK} }}}}')}\nDashboard: {_first('Annotations.dashboard_url')}",
    }


def _title(knobs: Knobs) -> str:
    places = ", ".join(f"{{{{ .GroupLabels.{label} }}}}" for label in knobs.group_labels)
    about = f"{{{{ .GroupLabels.{MODEL} }}}}" + (f" ({places})" if places else "")
    return f"{{{{ .Status | toUpper }}}} {about}: {{{{ .GroupLabels.{CATEGORY} }}}} ({_HOW_MANY})"


def _first(what: str) -> str:
    return "{{ (index .Alerts 0)." + what + " }}"


def _plain(template: str) -> str:
    """The template with what it prints escaped for Slack."""
    return template.replace(" }}", ' | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;" }}')


def _listed(alerts: str, line: str) -> str:
    """One line an alert, at most `MOST_ALERTS`, then how many there are."""
    few = "{{ range $index, $alert := ALERTS }}{{ if lt $index MOST }}" + line + "\n{{ end }}{{ end }}"
    more = "{{ if gt (len ALERTS) MOST }}All {{ len ALERTS }} are in Alertmanager.{{ end }}"
    return (few + more).replace("ALERTS", alerts).replace("MOST", str(MOST_ALERTS))
