"""Replaying alerts: the text of expressions, and the states of an alert."""

import random
import re

import promql_parser
import pytest

from otel_ml_exporter.cli.backtest.history import Span, fired, outcomes, told
from otel_ml_exporter.cli.backtest.notifications import check
from otel_ml_exporter.cli.backtest.promql_text import Recorded, SubstitutionError, inline, with_limit
from otel_ml_exporter.cli.backtest.replay import firing, incidents
from otel_ml_exporter.cli.backtest.ruleset import AlertRule, Rules, of_pack
from otel_ml_exporter.mixin.knobs import Knobs

RECORDED = {"a:b:c": [Recorded("sum by (x) (y)", {})], "d:e:f": [Recorded("a:b:c / 2", {"team": "a$b"})]}


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        ("a:b:c", "(sum by (x) (y))"),
        ("rate(a:b:c[5m])", "rate((sum by (x) (y))[5m:1m])"),
        ("a:b:c offset 1d", "last_over_time((sum by (x) (y))[1m:1m] offset 1d)"),
        ("max_over_time(a:b:c[5m:30s] offset 1h)", "max_over_time((sum by (x) (y))[5m:30s] offset 1h)"),
        ('a:b:c{x="1"}', '((sum by (x) (y)) and on (x) label_replace(vector(1), "x", "1", "", ""))'),
        ('a:b:c{x!="}"}', '((sum by (x) (y)) unless on (x) label_replace(vector(1), "x", "}", "", ""))'),
        ("d:e:f > 1", '(label_replace((sum by (x) (y)) / 2, "team", "a$$b", "", "")) > 1'),
        ('y{x="a:b:c"} # a:b:c', 'y{x="a:b:c"} # a:b:c'),
        ("sum by (a) (y) / on (a) group_left (b) z", "sum by (a) (y) / on (a) group_left (b) z"),
    ],
)
def test_recordings_are_put_in_where_they_are_read(expr, text):
    assert inline(expr, RECORDED, step="1m") == text
    promql_parser.parse(text.partition(" # ")[0])


@pytest.mark.parametrize(
    ("expr", "said"),
    [('a:b:c{x=~"1|2"}', "read by a pattern"), ("a:b:c @ 5", "read at a fixed time"), ("l:o:p", "recorded from itself")],
)
def test_what_substitution_cannot_say_is_refused_with_the_mend(expr, said):
    with pytest.raises(SubstitutionError, match=f"{said}; give --recorded"):
        inline(expr, {**RECORDED, "l:o:p": [Recorded("l:o:p + 1", {})]}, step="1m")


@pytest.mark.parametrize(
    "signal", ["error_budget", "latency_budget", "output_share", "input_violations", "prediction_psi", "drifted_features"]
)
def test_every_threshold_of_the_pack_can_be_replaced_and_the_rules_still_parse(signal):
    rules = of_pack(Knobs()).limited({signal: 0.123}).inlined()
    assert any("0.123" in alert.expr for alert in rules.alerts)
    for alert in rules.alerts:
        promql_parser.parse(alert.expr)
        assert ":ml_" not in alert.expr


@pytest.mark.parametrize("signal", ["error_budget", "prediction_psi"])
def test_a_threshold_is_replaced_for_each_environment_by_itself(signal):
    rules = of_pack(Knobs(group_labels=["namespace"])).limited({signal: 0.123}).inlined()
    replaced = [alert.expr for alert in rules.alerts if "0.123" in alert.expr]
    assert replaced
    for expr in replaced:
        clauses = re.findall(r"or on \(([^)]*)\) 0\.123 \* group by \(([^)]*)\) \(ml_model_info", expr)
        assert set(clauses) == {("namespace, ml_model_name, ml_model_version",) * 2}
        promql_parser.parse(expr)


def test_a_threshold_of_another_signal_stays():
    expr = 'ml_threshold{severity="warning", ml_signal="prediction_psi"}'
    assert with_limit(expr, "error_budget", 0.5) == expr


def machine(active, *, steps, hold, keep):
    """Prometheus' states as its source tells them, step by step."""
    state, since, gone, fired, intervals = "inactive", None, None, None, []
    for at in range(steps):
        if at in active:
            gone = None
            if state == "inactive":
                state, since = "pending", at
            if state == "pending" and at - since >= hold:
                state, fired = "firing", at
        elif state == "pending":
            state = "inactive"
        elif state == "firing":
            gone = at if gone is None else gone
            if not (keep and at - gone < keep):
                intervals.append((fired, at))
                state, gone = "inactive", None
    if state == "firing":
        intervals.append((fired, steps - 1))
    return intervals


@pytest.mark.parametrize("seed", range(40))
def test_the_states_are_those_of_prometheus(seed):
    chance = random.Random(seed)
    steps, hold, keep = 200, chance.choice([0, 1, 3, 7]), chance.choice([0, 1, 4, 9])
    on, active = False, set()
    for at in range(steps):
        on = on if chance.random() < 0.8 else not on
        active |= {at} if on else set()
    found = firing(sorted(active), step=1, hold=hold, keep=keep, end=steps - 1)
    assert [(each.start, each.end) for each in found] == machine(active, steps=steps, hold=hold, keep=keep)


def test_a_hold_that_is_no_multiple_of_the_step_ends_at_the_next_evaluation():
    assert [tuple(each) for each in firing([0, 60, 120, 180], step=60, hold=90, keep=30, end=600)] == [(120, 300, False)]


def test_what_still_fires_at_the_end_is_open_and_nothing_fires_for_nothing():
    assert [tuple(each) for each in firing([0, 60], step=60, hold=0, keep=0, end=60)] == [(0, 60, True)]
    assert firing([], step=60, hold=0, keep=0, end=60) == []
    assert incidents([]) == []


def test_rules_of_one_name_are_one_alert_and_a_rule_may_name_its_model():
    critical = {"severity": "critical"}
    rules = Rules(
        (AlertRule("Bad", "one", 0, 0, 60, critical), AlertRule("Bad", "two", 0, 0, 60, {**critical, "ml_model_name": "churn"})), {}
    )
    past = {"one": {(("ml_model_name", "churn"),): [0, 60], (("ml_model_name", "other"),): [0]}, "two": {(): [60, 120, 600]}}
    found = outcomes(fired(rules, Span(0, 1_200), None, lambda expr, step: past[expr]), rules)
    incidents = {(each.model, each.series): [tuple(interval)[:2] for interval in each.incidents] for each in found}
    assert incidents == {("churn", 2): [(0, 180), (600, 660)], ("other", 1): [(0, 60)]}
    assert [each.model for each in outcomes(fired(rules, Span(0, 1_200), "other", lambda expr, step: past[expr]), rules)] == ["other"]


def test_what_fires_in_two_environments_is_two_incidents_by_the_words_of_the_pack():
    rules = Rules((AlertRule("Bad", "one", 0, 0, 60, {"severity": "page"}),), {}, {"page": "critical"}, ["namespace"])
    past = {(("ml_model_name", "churn"), ("namespace", place)): [0] for place in ("prod", "dev")}
    found = outcomes(fired(rules, Span(0, 1_200), None, lambda expr, step: past), rules)
    assert [(each.row, each.series) for each in found] == [(("critical", "Bad", f"churn ({place})"), 1) for place in ("prod", "dev")]


def test_what_is_told_is_grouped_and_muted_as_the_configuration_says():
    """Routes and inhibitions in Alertmanager's old forms mean the same as in the new one."""
    rules = Rules(
        (
            AlertRule("Down", "down", 0, 0, 60, {"severity": "critical"}),
            AlertRule("Drift", "drift", 0, 0, 60, {"severity": "warning"}),
        ),
        {},
    )
    model = ("ml_model_name", "churn")
    past = {"down": {(model,): [0, 60]}, "drift": {(model, ("x", "1")): [0, 600], (model, ("x", "2")): [600]}}
    span = Span(0, 6_000)
    found = fired(rules, span, None, lambda expr, step: past[expr])
    new = {
        "route": {"receiver": "chat", "group_wait": "10s", "routes": [{"matchers": ['severity="critical"'], "receiver": "pager"}]},
        "inhibit_rules": [{"source_matchers": ["alertname=Down"], "target_matchers": ["alertname=Drift"], "equal": ["ml_model_name"]}],
    }
    old = {
        "route": {**new["route"], "routes": [{"match_re": {"severity": "crit.*"}, "receiver": "pager"}]},
        "inhibit_rules": [{"source_match": {"alertname": "Down"}, "target_match": {"alertname": "Drift"}, "equal": ["ml_model_name"]}],
    }
    for config in (new, old):
        check(config)
        heard = [(each.at, each.receiver, len(each.firing)) for each in told(config, found, span) if each.firing]
        assert heard == [(10, "pager", 1), (610, "chat", 2)]
    apart = {**new, "route": {**new["route"], "group_by": ["..."]}}
    assert [(each.receiver, len(each.firing)) for each in told(apart, found, span) if each.firing] == [
        ("pager", 1),
        ("chat", 1),
        ("chat", 1),
    ]
