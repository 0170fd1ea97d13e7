"""The pack with a group label: every story is true in one namespace, and two namespaces do not disturb each other."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from otel_ml_exporter.mixin.grouping import grouped
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import ALL_MODELS
from otel_ml_exporter.mixin.render import render
from stories import alone
from support import promtool

LONG = {"ModelErrorBudgetBurn", "ModelLatencyBudgetBurn"}
"""What these would tell for many seconds is told below of two environments, and what it rests on is asked of every expression."""
STORIES = sorted(path for path in Path(__file__).parent.glob("*.yaml") if path.stem not in LONG)


def written(directory, **knobs):
    """The directory with the rules, grouped by namespace."""
    for name, text in render("rules", Knobs(group_labels=["namespace"], **knobs)).items():
        (directory / Path(name).name).write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """The rules for all namespaces."""
    return written(tmp_path_factory.mktemp("grouped"))


def placed(series):
    """A series, or the labels of one, in namespace a."""
    name, _, labels = series.partition("{")
    return f'{name}{{namespace="a"{", " if labels.strip("} ") else ""}{labels or "}"}'


def in_namespace(story):
    """The story with every series in namespace a, and all that is told of it."""
    for test in story["tests"]:
        for each in test.get("input_series", []):
            each["series"] = placed(each["series"])
        for check in test.get("promql_expr_test", []):
            check["expr"] = grouped(check["expr"], ["namespace"])
            for sample in check.get("exp_samples", []):
                if "Watchdog" not in check["expr"]:
                    sample["labels"] = placed(sample.get("labels", "{}"))
        for check in test.get("alert_rule_test", []):
            for alert in check["exp_alerts"] if check["alertname"] != "Watchdog" else []:
                expect_in_namespace(alert)
    return story


def expect_in_namespace(alert):
    model, told = alert["exp_labels"]["ml_model_name"], alert["exp_annotations"]
    alert["exp_labels"]["namespace"] = "a"
    for name in ("description", "action") if model != ALL_MODELS else ():
        told[name] = re.sub(rf"\b([Mm]odel|of|) ?{model}\b(?! \(a\))", lambda found: f"{found[0]} (a)", told[name])
    told["summary"] += " (a)"
    told["dashboard_url"] = told["dashboard_url"].replace("var-model=", "var-namespace=a&var-model=")


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_the_story_is_true_in_a_namespace(story, rules, tmp_path):
    promtool("test", "rules", alone(in_namespace(yaml.safe_load(story.read_text(encoding="utf-8"))), rules, tmp_path))


PROD, STAGING = (f'namespace="{each}", job="models", instance="{each}"' for each in ("prod", "staging"))
MODEL = 'ml_model_name="churn", ml_model_version="3"'
DOWN = {
    f"up{{{PROD}}}": "1x30 0x200",
    f"up{{{STAGING}}}": "1x230",
    f'ml_model_info{{{PROD}, {MODEL}, ml_model_role="stable"}}': "1x30 stale",
    f'ml_model_info{{{STAGING}, ml_model_name="churn", ml_model_version="4", ml_model_role="stable"}}': "1x230",
}
FAILS = {
    f'ml_model_info{{{PROD}, {MODEL}, ml_model_role="stable"}}': "1x230",
    f'ml_model_info{{{STAGING}, {MODEL}, ml_model_role="stable"}}': "1x230",
    f"ml_inference_duration_seconds_count{{{PROD}, {MODEL}}}": "0+600x230",
    f'ml_inference_duration_seconds_count{{{STAGING}, {MODEL}, error_type="ValueError"}}': "0+600x230",
}
BLIND = {
    f"ml_exporter_last_evaluation_timestamp_seconds{{{PROD}}}": "0+60x230",
    f"ml_exporter_last_evaluation_timestamp_seconds{{{STAGING}}}": "0+60x100 _x130",
    f'ml_exporter_source_up{{{PROD}, source="prometheus"}}': "1x230",
}


@pytest.mark.parametrize(
    ("series", "at", "told"),
    [
        (DOWN, "40m", [("ModelServiceDown", "critical", "prod"), ("ModelMetricsAbsent", "critical", "prod")]),
        (FAILS, "200m", [("ModelErrorBudgetBurn", "critical", "staging")]),
        (BLIND, "200m", [("ModelMonitorUnhealthy", "warning", "staging")]),
    ],
    ids=["down", "fails", "blind"],
)
def test_what_happens_in_one_environment_is_told_of_that_one_alone(series, at, told, rules, tmp_path):
    groups = ("serving", "input", "output", "rollout", "monitor")
    check_told(series, at, told, [rules / f"{group}.yaml" for group in groups], tmp_path)


def test_two_environments_may_have_knobs_of_their_own(tmp_path_factory, tmp_path):
    """Two renderings in one Prometheus record side by side, and each judges its own environment."""
    failing = {
        name if "error_type" in name else name.replace("_count{", '_count{error_type="E", '): values for name, values in FAILS.items()
    }
    failing |= {f'ml_threshold{{{place}, {MODEL}, ml_signal="error_budget", severity="critical"}}': "0.02x230" for place in (PROD, STAGING)}
    severities = {"prod": "critical", "staging": "warning"}
    renderings = [
        written(tmp_path_factory.mktemp(place), selector=f'namespace="{place}"', severities={"ModelErrorBudgetBurn": severity})
        for place, severity in severities.items()
    ]
    told = [("ModelErrorBudgetBurn", severity, place) for place, severity in severities.items()]
    check_told(failing, "90m", told, [directory / "serving.yaml" for directory in renderings], tmp_path)


def check_told(series, at, told, files, tmp_path):
    """What fires of all that these rules say about the series."""
    firing = 'group by (alertname, severity, namespace) (ALERTS{alertstate="firing", alertname!="Watchdog"})'
    expected = [
        {"labels": f'{{alertname="{name}", severity="{severity}", namespace="{place}"}}', "value": 1} for name, severity, place in told
    ]
    story = {
        "rule_files": [str(file) for file in files],
        "evaluation_interval": "1m",
        "group_eval_order": list(dict.fromkeys(f"otel-ml-{file.stem}" for file in files)),
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": firing, "eval_time": at, "exp_samples": expected}],
            }
        ],
    }
    (tmp_path / "story.yaml").write_text(yaml.safe_dump(story), encoding="utf-8")
    promtool("test", "rules", tmp_path / "story.yaml")


def aggregations_and_joins(expr):
    """The labels of each aggregation and each join of an expression; those of one that names none are empty."""
    found = []

    def visit(node):
        if isinstance(node, promql_parser.AggregateExpr):
            found.append(set(node.modifier.labels) if node.modifier else set())
        if isinstance(node, promql_parser.BinaryExpr) and (matching := getattr(node.modifier, "matching", None)):
            found.append(set(matching.labels))

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def matchers(expr):
    """The labels that each selector of an expression asks for."""
    found = []

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.append({matcher.name for matcher in node.matchers.matchers})

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def rendered(rules):
    return [rule for path in sorted(rules.iterdir()) for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def test_no_aggregation_and_no_join_forgets_the_label(rules):
    for rule in rendered(rules):
        for labels in aggregations_and_joins(rule["expr"]):
            assert "namespace" in labels, rule["expr"]


def test_a_rendering_for_one_environment_records_that_one_alone(tmp_path):
    recordings = [rule for rule in rendered(written(tmp_path, selector='namespace="prod"')) if "record" in rule]
    assert len(recordings) > 50
    for rule in recordings:
        assert all("namespace" in labels for labels in matchers(rule["expr"])), rule["expr"]


def test_every_query_of_a_page_asks_for_the_environment_of_the_alert(rules):
    queries = 0
    for rule in rendered(rules):
        for text in rule.get("annotations", {}).values():
            for query, values in re.findall(r"printf `([^`]*)`((?: \$labels\.\w+)*)", text):
                queries += 1
                assert len(re.findall(r"%[a-z]", query)) == len(values.split()), query
                filled = re.sub(r"%[qs]", lambda verb: {"q": '"x"', "s": "x"}[verb[0][1]], query)
                assert all("namespace" in labels for labels in matchers(filled)), query
    assert queries > 50
