"""Every PromQL expression of the pack parses and asks only for metrics and labels of the catalogue."""

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from otel_ml import catalogue
from otel_ml_exporter.mixin.durations import milliseconds
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.promql import equal
from otel_ml_exporter.mixin.render import render
from otel_ml_exporter.routing import parse_matchers
from support import panels_of

ROOT = Path(__file__).parents[3]
LABELS = {
    name + suffix: metric.labels
    for metric in catalogue.METRICS
    for name in [metric.prometheus]
    for suffix in ("", "_bucket", "_count", "_sum")
}
OF_PROMETHEUS = {
    "up": {"job", "instance"},
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_rule_group_iterations_missed_total": {"rule_group"},
    "ALERTS": {"alertname", "alertstate", "severity", "category", "ml_model_name", "ml_model_version"},
}
MERGED = {("ml_model_name", "")}
"""A series of the SDK's own, of which there is one for any metric."""
OF_SCRAPES = {"job", "instance", "exported_job", "rule_group", "le"}
RULES = [rule for text in render("rules", Knobs()).values() for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
OF_RECORDS = {"ml_model_name", "ml_model_version", "ml_feature_name", "ml_signal", "window", "reference"}
DASHBOARDS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "grafana_dashboards").glob("*.json"))}


def asked_by_rules():
    for rule in RULES:
        name = rule.get("alert") or rule["record"]
        yield name, rule["expr"]
        for text in rule.get("annotations", {}).values():
            for query in re.findall(r"printf `([^`]*)`", text):
                yield f"{name}, annotation", query.replace("%q", '"x"')


def asked_by_dashboards():
    for path, dashboard in DASHBOARDS.items():
        for panel in panels_of(dashboard):
            yield from ((f"{path}: {panel['title']}", target["expr"]) for target in panel.get("targets", []))
        yield from ((f"{path}: annotation", annotation["expr"]) for annotation in dashboard["annotations"]["list"])
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                asked = variable["query"]["query"]
                yield (
                    f"{path}: ${variable['name']}",
                    re.fullmatch(r"(?:query_result\((.*)\)|label_values\((.*), \w+\))", asked)[1] or asked[13:].rpartition(",")[0],
                )


def asked_by_runbooks():
    """Code in runbooks that asks for something; a bare name is prose."""
    for path in sorted((ROOT / "alert_rules" / "runbooks").glob("*.md")):
        for code in re.findall(r"`([^`]+)`", path.read_text(encoding="utf-8")):
            if "ml_" in code and re.search(r"[({]", code):
                yield path.stem, " ".join(code.split())


def plain(expr):
    """The expression with values in the place of Grafana's variables."""
    return re.sub(r"\$(__rate_interval|__range|window)\b", "5m", expr).replace('"$', '"')


def selectors(node):
    """Every selector in a parsed expression."""
    found = []
    promql_parser.walk(node, lambda expr: found.append(expr) if isinstance(expr, promql_parser.VectorSelector) else None)
    return found


def strangers(expr):
    """Names in an expression that the catalogue does not have."""
    for selector in selectors(promql_parser.parse(plain(expr))):
        if selector.name is None and {(m.name, m.value) for m in selector.matchers.matchers} >= MERGED:
            continue
        known = OF_PROMETHEUS.get(selector.name) or (set(LABELS[selector.name]) | OF_SCRAPES if selector.name in LABELS else None)
        if selector.name in RECORDED:
            known = OF_RECORDS
        if known is None:
            yield selector.name
        else:
            yield from (f"{selector.name}{{{m.name}}}" for m in selector.matchers.matchers if m.name not in known)


def grouping(node):
    """Every label by which a parsed expression adds up or joins."""
    found = []

    def visit(expr):
        modifier = getattr(expr, "modifier", None)
        for each in (modifier, getattr(modifier, "matching", None)):
            found.extend(getattr(each, "labels", None) or [])
        found.extend(getattr(getattr(modifier, "group_labels", None), "labels", None) or [])

    promql_parser.walk(node, visit)
    return set(found)


@pytest.mark.parametrize(("place", "expr"), [*asked_by_rules(), *asked_by_dashboards(), *asked_by_runbooks()])
def test_every_name_is_of_the_catalogue(place, expr):
    assert not list(strangers(expr))
    assert selectors(promql_parser.parse(plain(expr))) or re.fullmatch(r"vector\(\d\)", expr)


@pytest.mark.parametrize(("place", "expr"), [*asked_by_rules(), *asked_by_dashboards(), *asked_by_runbooks()])
def test_every_label_of_a_sum_or_a_join_is_of_the_catalogue(place, expr):
    known = {label for labels in LABELS.values() for label in labels} | OF_SCRAPES | OF_PROMETHEUS["ALERTS"] | {"__name__"}
    assert grouping(promql_parser.parse(plain(expr))) <= known


def test_a_label_that_nobody_sets_is_found():
    assert grouping(promql_parser.parse("sum by (model) (up) / on (ml_bin) group_left (role) up")) >= {"model", "ml_bin"}


def test_a_name_that_nobody_emits_is_found():
    assert list(strangers("rate(ml_feature_observation_total[5m])")) == ["ml_feature_observation_total"]
    assert list(strangers('sum(ml_feature_psi{windows="1h"})')) == ["ml_feature_psi{windows}"]


def test_every_aggregation_and_join_is_by_name_so_that_foreign_labels_do_no_harm():
    for name, expr in asked_by_rules():
        assert "without" not in expr, name
        assert not re.search(r"\b(sum|max|avg|count|group) \((?!count|sum|max)", expr.replace("group (ml_exporter", "")), name


def test_scores_in_promql_carry_the_names_and_labels_of_the_exporter():
    """`level:metric:promql` holds what the exporter publishes as the metric, so that one can be subtracted from the other."""
    told = [rule for rule in RULES if rule.get("record", "").endswith(":promql")]
    assert {rule["record"].split(":")[1] for rule in told} >= {"ml_feature_psi", "ml_feature_psi_noise_floor", "ml_calibration_ece"}
    for rule in told:
        level, metric, _ = rule["record"].split(":")
        by = {"model_version": {"ml_model_name", "ml_model_version"}}.get(level, {"ml_model_name", "ml_model_version", "ml_feature_name"})
        assert by | set(rule["labels"]) == set(LABELS[metric]), rule["record"]


OF_ROLLOUTS = {f"model_version:{name}" for name in ("ml_canary_errors:z", "ml_canary_errors:greater", "ml_rollout_calls:canary")}
"""What the rules of rollouts record, and ModelErrorBudgetBurn of another file reads to be silent: without it, it fires."""


def test_a_chain_reads_only_what_stands_before_it_or_has_another_rhythm():
    for text in render("rules", Knobs()).values():
        file = yaml.safe_load(text)["groups"]
        recorded = [{rule.get("record") for rule in group["rules"]} for group in file]
        for number, group in enumerate(file):
            done = set().union(*recorded[:number], *recorded[number + 1 :])
            for rule in group["rules"]:
                read = {selector.name for selector in selectors(promql_parser.parse(rule["expr"]))}
                elsewhere = OF_ROLLOUTS if rule.get("alert") == "ModelErrorBudgetBurn" else set()
                assert (read & RECORDED) - elsewhere <= done, rule.get("record") or rule["alert"]
                done |= {rule.get("record")}


def test_what_a_slower_group_records_is_read_over_more_than_its_rhythm():
    """Prometheus forgets a sample after five minutes, and a group of another rhythm may ask at any time between two."""
    file = [group for text in render("rules", Knobs()).values() for group in yaml.safe_load(text)["groups"]]
    rhythm = {rule["record"]: milliseconds(group["interval"]) for group in file for rule in group["rules"] if "record" in rule}
    for group in file:
        own = {rule.get("record") for rule in group["rules"]}
        for rule in group["rules"]:
            ranges = dict(re.findall(r"([\w:]+)(?:\{[^}]*\})?\[(\w+)\]", rule["expr"]))
            for selector in selectors(promql_parser.parse(rule["expr"])):
                if selector.name in RECORDED - own and rhythm[selector.name] >= milliseconds("5m"):
                    assert milliseconds(ranges[selector.name]) > rhythm[selector.name], (rule["record"], selector.name)


def test_every_metric_of_the_pack_has_a_reader():
    read = {
        selector.name for _, expr in [*asked_by_rules(), *asked_by_dashboards()] for selector in selectors(promql_parser.parse(plain(expr)))
    }
    unread = [
        metric.prometheus
        for metric in catalogue.METRICS
        if not {name for name in read if name in LABELS and name.startswith(metric.prometheus)}
    ]
    assert unread == []


@given(st.text(st.characters(codec="utf-8")).map(lambda text: f"{text}\n"))
def test_any_value_makes_a_matcher_that_prometheus_and_alertmanager_read_back(value):
    matcher = equal("ml_model_name", value)
    assert [read.value for read in promql_parser.parse(f"up{{{matcher}}}").matchers.matchers] == [value]
    assert [(read.value, str(read)) for read in parse_matchers(matcher)] == [(value, matcher)]
