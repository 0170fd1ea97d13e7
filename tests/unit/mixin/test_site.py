"""What a site changes reaches every file: group labels, severities, names of alerts, and labels of resources."""

import doctest
import json
import re
import sys

import promql_parser
import pytest
import yaml

from otel_ml_exporter.mixin import grouping, knobs
from otel_ml_exporter.mixin.grouping import grouped, matched
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render
from otel_ml_exporter.mixin.rules import groups

needs_sdk = pytest.mark.skipif(sys.version_info < (3, 11), reason="Grafana's SDK needs Python 3.11")
EXAMPLE = "alert_rules/alertmanager/alertmanager.example.yaml"
NAMES = {alert.name for group in groups(Knobs()) for alert in group.alerts}
PLACES = ["namespace", "cluster"]


def alerts(site):
    rules = [rule for text in render("rules", site).values() for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def alertmanager(site):
    return yaml.safe_load(render("alertmanager", site)[EXAMPLE])


@pytest.mark.parametrize("module", [grouping, knobs])
def test_the_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("expr", "told"),
    [
        ("max(up)", "max by (ns) (up)"),
        ("sum without (job) (up)", "sum without (job) (up)"),
        ("max_over_time(up[5m:1m]) and on () group (x)", "max_over_time(up[5m:1m]) and on (ns) group by (ns) (x)"),
        ('up{job="by (x) max(y)"} offset 1w', 'up{job="by (x) max(y)"} offset 1w'),
        ("model:x:max + max by (a) (y)", "model:x:max + max by (ns, a) (y)"),
        ('count_values by (a) ("le", x)', 'count_values by (ns, a) ("le", x)'),
        ("a * on (b) group_right (c) d", "a * on (ns, b) group_right (c) d"),
    ],
)
def test_every_aggregation_and_join_is_grouped(expr, told):
    assert grouped(expr, ["ns"]) == told
    assert grouped(expr, []) == expr
    promql_parser.parse(told)


@pytest.mark.parametrize(
    ("expr", "told"),
    [
        ("a:b:c offset 5m > bool 2", 'a:b:c{ns="x"} offset 5m > bool 2'),
        ('{__name__=~"ml_.*"}', '{ns="x", __name__=~"ml_.*"}'),
        ('up{job="}{"}', 'up{ns="x", job="}{"}'),
        ("up{}", 'up{ns="x"}'),
        ("topk(3, sum by (job) (rate(x[$__rate_interval])))", 'topk(3, sum by (job) (rate(x{ns="x"}[$__rate_interval])))'),
        ("time() - vector(1) unless 1e3 * inf", "time() - vector(1) unless 1e3 * inf"),
        ('label_replace(x, "a", "$1", "b", "(.*)")', 'label_replace(x{ns="x"}, "a", "$1", "b", "(.*)")'),
        ("a / on (job) group_left (team) b", 'a{ns="x"} / on (job) group_left (team) b{ns="x"}'),
    ],
)
def test_every_selector_is_narrowed(expr, told):
    assert matched(expr, ['ns="x"']) == told
    assert matched(expr, []) == expr


def test_one_model_in_two_environments_is_two_to_alertmanager():
    config = alertmanager(Knobs(group_labels=PLACES))
    pages = next(route for route in config["route"]["routes"] if route["receiver"] == "pagerduty")
    assert config["route"]["group_by"] == [*PLACES, "ml_model_name", "category"]
    assert pages["group_by"] == ["alertname", *PLACES, "ml_model_name"]
    assert all(set(PLACES) < set(rule["equal"]) for rule in config["inhibit_rules"])
    receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
    assert set(PLACES) < set(receivers["pagerduty"]["pagerduty_configs"][0]["details"])
    assert "({{ .GroupLabels.namespace }}, {{ .GroupLabels.cluster }}):" in receivers["slack"]["slack_configs"][0]["title"]


def test_a_page_says_in_which_environment_and_leads_there():
    told = alerts(Knobs(group_labels=PLACES))
    down = told["ModelServiceDown"]["annotations"]
    assert down["summary"].endswith("({{ $labels.namespace }}, {{ $labels.cluster }})")
    assert (
        "var-namespace={{ $labels.namespace | urlquery }}&var-cluster={{ $labels.cluster | urlquery }}&var-model=" in down["dashboard_url"]
    )
    assert "namespace" not in str(told["Watchdog"])


def panels(dashboard):
    for panel in dashboard.get("panels", []):
        yield panel
        yield from panels(panel)


def asked(dashboard):
    """Every query of a dashboard, with values for Grafana's variables."""
    exprs = [target["expr"] for panel in panels(dashboard) for target in panel.get("targets", [])]
    exprs += [mark["expr"] for mark in dashboard["annotations"]["list"]]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query" and variable["name"] not in PLACES:
            query = variable["query"]["query"]
            exprs.append(re.sub(r"^label_values\((.*), \w+\)$|^query_result\((.*)\)$", lambda found: found[1] or found[2], query))
    return [re.sub(r"\$(__rate_interval|__range|window)\b", "5m", expr) for expr in exprs]


@needs_sdk
def test_every_query_of_the_dashboards_asks_for_the_chosen_environments():
    for text in render("dashboards", Knobs(group_labels=PLACES)).values():
        dashboard = json.loads(text)
        variables = [variable["name"] for variable in dashboard["templating"]["list"]]
        assert variables[:4] == ["datasource", *PLACES, "model"]
        for expr in asked(dashboard):
            selected = []
            promql_parser.walk(
                promql_parser.parse(expr),
                lambda node, into=selected: into.append(node) if isinstance(node, promql_parser.VectorSelector) else None,
            )
            for selector in selected:
                matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
                assert (matchers["namespace"], matchers["cluster"]) == ("$namespace", "$cluster"), expr


@needs_sdk
def test_the_overview_keeps_environments_apart_and_leads_to_the_chosen_one():
    text = render("dashboards", Knobs(group_labels=["namespace"]))["grafana_dashboards/otel-ml-overview.json"]
    dashboard = json.loads(text)
    for expr in asked(dashboard):
        for labels in re.findall(r"\b(?:by|on) \(([^)]*ml_model_name[^)]*)\)", expr):
            assert "namespace" in labels.split(", "), expr
    assert "var-namespace=${__data.fields.namespace:percentencode}&var-model=" in text
    table = next(panel for panel in panels(dashboard) if panel["title"] == "Models")
    order = next(step["options"]["indexByName"] for step in table["transformations"] if step["id"] == "organize")
    assert sorted(order, key=order.get)[:4] == ["Value #A", "namespace", "ml_model_name", "ml_model_version"]
    drift = render("dashboards", Knobs(group_labels=["namespace"]))["grafana_dashboards/otel-ml-drift.json"]
    assert "&${namespace:queryparam}&${model:queryparam}&" in drift


def test_gates_compare_within_the_environment():
    files = render("delivery", Knobs(group_labels=["namespace"]))
    argo = yaml.safe_load(files["alert_rules/progressive_delivery/argo-rollouts.yaml"])["spec"]
    assert argo["args"][0] == {"name": "namespace"}
    queries = [metric["provider"]["prometheus"]["query"] for metric in argo["metrics"]]
    flagger = [yaml.safe_load(text)["spec"]["query"] for name, text in files.items() if "flagger" in name]
    for query, value in [
        *((query, "{{args.namespace}}") for query in queries),
        *((query, "{{ variables.namespace }}") for query in flagger),
    ]:
        assert query.count(f'{{namespace="{value}", ml_model_name=') == query.count("ml_model_name=")


def test_an_alert_gets_another_severity_and_a_severity_another_word():
    site = Knobs(severities={"ModelServiceDown": "warning", "ModelFeatureDrift": "info", "critical": "page", "warning": "ticket"})
    told, usual = alerts(site), alerts(Knobs())
    assert told["ModelServiceDown"]["labels"]["severity"] == "ticket"
    assert told["ModelFeatureDrift"]["labels"]["severity"] == "info"
    assert told["ModelErrorBudgetBurn"]["labels"]["severity"] == "page"
    assert told["Watchdog"]["labels"]["severity"] == "none"
    assert {name: rule["expr"] for name, rule in told.items()} == {name: rule["expr"] for name, rule in usual.items()}
    config = alertmanager(site)
    pages = next(route for route in config["route"]["routes"] if route["receiver"] == "pagerduty")
    assert pages["matchers"][0] == 'severity="page"'
    assert 'severity="critical"' not in str(config)
    (mutes,) = (rule for rule in config["inhibit_rules"] if "category" in rule["equal"])
    assert (mutes["source_matchers"][0], mutes["target_matchers"][0]) == ('severity="page"', 'severity!="page"')


def test_a_failing_canary_pages_by_its_burn_where_no_other_page_is_about_it():
    def leaves_out_canaries(severities):
        return "canary" in alerts(Knobs(severities=severities))["ModelErrorBudgetBurn"]["expr"]

    assert leaves_out_canaries({})
    assert leaves_out_canaries({"critical": "page"})
    assert not leaves_out_canaries({"ModelCanaryWorse": "warning"})


@needs_sdk
def test_dashboards_know_the_words_for_severities():
    text = render("dashboards", Knobs(severities={"critical": "page", "warning": "ticket"}))["grafana_dashboards/otel-ml-overview.json"]
    firing = re.findall(r'ALERTS\{[^}]*severity(!?[=~]+)\\"([^"\\]+)\\"', text)
    assert {("=", "page"), ("=", "ticket"), ("!~", "page|ticket")} == set(firing)


def test_a_prefix_names_the_alerts_everywhere_but_in_the_files_of_runbooks():
    site = Knobs(prefix="Risk", group_labels=["namespace"])
    told = alerts(site)
    assert set(told) == {name.replace("Model", "Risk", 1) if name != "Watchdog" else name for name in NAMES}
    assert told["RiskServiceDown"]["annotations"]["runbook_url"].endswith("/ModelServiceDown.md")
    config = render("alertmanager", site)[EXAMPLE]
    assert not re.findall(r"\bModel[A-Z]\w+", config)
    named = set(re.findall(r'alertname[=!~]+"([\w|]+)"', config))
    assert {name for names in named for name in names.split("|")} <= set(told)


@needs_sdk
def test_dashboards_show_alerts_of_the_prefix():
    text = "".join(render("dashboards", Knobs(prefix="Risk")).values())
    assert 'alertname=~\\"Risk.*\\"' in text
    assert not re.findall(r"\bModel[A-Z][a-z]\w+", text)


def test_resources_are_found_by_the_operator_of_the_site():
    site = Knobs(namespace="ml", resource_labels={"release": "kube-prometheus-stack"})
    files = render("rules", site, form="operator") | render("alertmanager", site, form="operator")
    resources = {name: yaml.safe_load(text) for name, text in files.items()}
    for resource in resources.values():
        assert resource["metadata"]["namespace"] == "ml"
        assert resource["metadata"]["labels"] == {"app.kubernetes.io/name": "otel-ml", "release": "kube-prometheus-stack"}
    monitor = resources["alert_rules/exporter.servicemonitor.yaml"]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["ml"]}
    assert monitor["spec"]["selector"] == {"matchLabels": {"app.kubernetes.io/name": "otel-ml-exporter"}}
