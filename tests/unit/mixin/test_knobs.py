"""Knobs: each has a reason, wrong ones are named all at once, and files and flags mean the same."""

import doctest
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ml import catalogue
from otel_ml.errors import ConfigurationError
from otel_ml_exporter.mixin import durations, promql
from otel_ml_exporter.mixin.durations import is_duration, milliseconds, scaled, written
from otel_ml_exporter.mixin.knobs import Knobs, load, why
from otel_ml_exporter.mixin.rules import groups
from otel_ml_exporter.thresholds import DEFAULTS


@pytest.mark.parametrize("module", [durations, promql])
def test_the_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


def test_every_knob_has_a_reason_to_change_it():
    assert all(len(why(knob.name)) > 20 for knob in fields(Knobs))


def test_defaults_are_those_of_the_exporter():
    published = {threshold.signal: threshold.value for threshold in DEFAULTS}
    knobs = Knobs()
    assert knobs.error_budget == published[catalogue.SIGNAL_ERROR_BUDGET]
    assert (knobs.latency_objective, published[catalogue.SIGNAL_LATENCY]) == (0, None)
    assert knobs.latency_budget == published[catalogue.SIGNAL_LATENCY_BUDGET]
    assert knobs.outlier_share == published[catalogue.SIGNAL_OUTLIER_SHARE]
    assert knobs.abstention_share == published[catalogue.SIGNAL_ABSTENTION_SHARE]
    assert knobs.shadow_disagreement == published[catalogue.SIGNAL_SHADOW_DISAGREEMENT]
    assert knobs.input_violations == published[catalogue.SIGNAL_INPUT_VIOLATIONS]
    assert knobs.output_share == published[catalogue.SIGNAL_OUTPUT_SHARE]


def test_every_fault_is_named_at_once():
    with pytest.raises(ConfigurationError) as caught:
        Knobs(
            short_window="1 hour",
            pace=0,
            error_budget=5,
            latency_objective=-1,
            minimum_calls="many",
            watchdog="no",
            labels={"a-b": 1},
            grafana_url=None,
        )
    places = [fault.place for fault in caught.value.faults]
    assert sorted(places) == [
        "error_budget",
        "grafana_url",
        "labels.a-b",
        "labels.a-b",
        "latency_objective",
        "minimum_calls",
        "pace",
        "short_window",
        "watchdog",
    ]


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"selector": "namespace=prod"}, "selector"),
        ({"selector": '{namespace="prod"}'}, "selector"),
        ({"exporter_selector": 'a="b" c="d"'}, "exporter_selector"),
        ({"short_window": "0s"}, "short_window"),
        ({"season": "1h1w"}, "season"),
        ({"short_window": "5m", "middle_window": "5m", "long_window": "1m"}, "long_window"),
        ({"short_window": "12h"}, "middle_window"),
        ({"scrape_interval": "3m"}, "rate_window"),
        ({"interval": "5m"}, "interval"),
        ({"pace": float("nan")}, "pace"),
        ({"minimum_calls": float("inf")}, "minimum_calls"),
        ({"business_zone": "Mars/Phobos"}, "business_zone"),
        ({"business_days": "foo"}, "business_days"),
        ({"business_days": "friday:monday"}, "business_days"),
        ({"business_hours": "18:00-08:00"}, "business_hours"),
        ({"business_hours": "08:00-24:30"}, "business_hours"),
        ({"grafana_url": "https://g/{{x}}"}, "grafana_url"),
        ({"runbook_url": "wiki"}, "runbook_url"),
        ({"webhook_url": "https://[::1"}, "webhook_url"),
        ({"smtp_smarthost": "localhost"}, "smtp_smarthost"),
        ({"email_to": ""}, "email_to"),
        ({"email_from": " "}, "email_from"),
        ({"slack_url_file": ""}, "slack_url_file"),
        ({"pagerduty_key_file": ""}, "pagerduty_key_file"),
        ({"labels": {"severity": "page"}}, "labels.severity"),
        ({"labels": {"ml_model_name": "x"}}, "labels.ml_model_name"),
        ({"labels": {"alertname": "x"}}, "labels.alertname"),
        ({"labels": {"category": "x"}}, "labels.category"),
        ({"labels": {"__x": "y"}}, "labels.__x"),
        ({"group_labels": "namespace"}, "group_labels"),
        ({"group_labels": ["name space"]}, "group_labels"),
        ({"group_labels": ["ml_segment"]}, "group_labels"),
        ({"group_labels": ["instance"]}, "group_labels"),
        ({"group_labels": ["version"]}, "group_labels"),
        ({"group_labels": ["cluster", "cluster"]}, "group_labels"),
        ({"group_labels": ["namespace"], "labels": {"namespace": "prod"}}, "labels.namespace"),
        ({"severities": {"ModelFeatureDrft": "info"}}, "severities.ModelFeatureDrft"),
        ({"severities": {"ModelFeatureDrift": ""}}, "severities.ModelFeatureDrift"),
        ({"severities": {"critical": 1}}, "severities.critical"),
        ({"severities": {"critical": ["page"]}}, "severities.critical"),
        ({"severities": {"critical": "warning"}}, "severities.critical"),
        ({"severities": {"warning": "critical"}}, "severities.warning"),
        ({"severities": {"critical": "page", "warning": "page"}}, "severities.critical"),
        ({"severities": {"critical": "none"}}, "severities.critical"),
        ({"severities": {"Watchdog": "critical"}}, "severities.Watchdog"),
        ({"absence_window": "29m"}, "absence_window"),
        ({"absence_window": "6h", "pace": 13}, "absence_window"),
        ({"memory_window": "39m"}, "memory_window"),
        ({"stale_after": "2m"}, "stale_after"),
        ({"stale_after": "10s", "interval": "4s"}, "stale_after"),
        ({"prefix": "ML-"}, "prefix"),
        ({"namespace": "My Space"}, "namespace"),
        ({"resource_labels": {"release": "a b"}}, "resource_labels.release"),
        ({"resource_labels": {"a/b/c": "d"}}, "resource_labels.a/b/c"),
    ],
)
def test_a_knob_that_would_write_a_broken_file_is_refused(wrong, place):
    with pytest.raises(ConfigurationError) as caught:
        Knobs(**wrong)
    assert [fault.place for fault in caught.value.faults] == [place]


@pytest.mark.parametrize(
    "right",
    [
        {"selector": r""" job=~"a|b\"" , cluster!='x', """},
        {"business_days": "sunday", "business_hours": "00:00-24:00", "business_zone": "America/Argentina/Buenos_Aires"},
        {"grafana_url": "https://[::1]:3000/grafana/"},
        {"labels": {"team": "{{ $labels.ml_model_name }}", "job": "models"}},
        {"group_labels": ("namespace", "k8s_cluster"), "prefix": "", "severities": {"Watchdog": "info", "critical": "sev-1"}},
        {"severities": {"critical": "warning", "warning": "ticket", "ModelServiceDown": "warning"}},
        {"absence_window": "30m", "stale_after": "3m", "memory_window": "33m", "slack_channel": ""},
        {"absence_window": "9s", "stale_after": "6s", "interval": "2s", "pace": 0.005},
        {"interval": "4m"},
        {"namespace": "ml-prod", "resource_labels": {"prometheus.example.com/scrape": "yes", "release": ""}},
    ],
)
def test_an_unusual_knob_that_servers_accept_is_taken(right):
    Knobs(**right)


@pytest.mark.parametrize("pace", [0.1, 1, 2])
def test_alerts_on_what_is_gone_can_fire_for_a_while_before_it_is_forgotten(pace):
    least = {
        "absence_window": scaled("30m", pace),
        "stale_after": "10m",
        "memory_window": written(600_000 + milliseconds(scaled("30m", pace))),
    }
    knobs = Knobs(pace=pace, **least)
    holds = {alert.name + alert.labels.get("ml_problem", ""): scaled(alert.hold, pace) for group in groups(knobs) for alert in group.alerts}
    assert milliseconds(knobs.absence_window) >= 6 * milliseconds(holds["ModelMetricsAbsent"])
    stale = milliseconds(knobs.memory_window) - milliseconds(knobs.stale_after)
    assert stale >= 3 * milliseconds(holds["ModelMonitorUnhealthyexporter_stale"])


def test_a_runbook_url_needs_no_slash_at_its_end():
    (rule,) = (alert for group in groups(Knobs()) for alert in group.alerts if alert.name == "ModelServiceDown")
    for url in ("https://wiki/ml", "https://wiki/ml/"):
        assert rule.render(Knobs(runbook_url=url))["annotations"]["runbook_url"] == "https://wiki/ml/ModelServiceDown.md"


def test_flags_overrule_the_file(tmp_path):
    path = tmp_path / "knobs.yaml"
    path.write_text("short_window: 30m\nlong_window: 12h\nlabels: {team: risk}\n")
    assert load(path, {"long_window": "6h"}) == Knobs(short_window="30m", long_window="6h", labels={"team": "risk"})
    assert load(None, {}) == Knobs()


@pytest.mark.parametrize(
    ("text", "said"), [("shrt_window: 1h", "shrt_window: is no knob"), ("- 1", "is no mapping"), ("a: [", "is no YAML")]
)
def test_a_wrong_file_is_named_with_its_mend(text, said, tmp_path):
    path = tmp_path / "knobs.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(path, {})
    assert str(path) in str(caught.value)


def test_windows_are_listed_once_when_they_are_the_same():
    assert replace(Knobs(), rate_window="1h").rate_windows == ("1h",)


@given(st.integers(1, 10**9), st.sampled_from(["ms", "s", "m", "h", "d"]), st.floats(1e-6, 100))
def test_a_scaled_duration_is_the_duration_times_the_factor(number, unit, factor):
    text = f"{number}{unit}"
    result = scaled(text, factor)
    assert is_duration(result)
    assert milliseconds(result) == max(1, round(milliseconds(text) * factor))


@pytest.mark.parametrize("text", ["", "1", "h", "1m1h", "1m2m", "1 h", "-1h", "1.5h", "1hour"])
def test_what_prometheus_does_not_read_is_no_duration(text):
    assert not is_duration(text)
