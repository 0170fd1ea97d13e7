"""The rendered rules, checked by promtool: they load, and each alert's story is told and true."""

import re
from pathlib import Path

import pytest
import yaml

from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import Alert
from otel_ml_exporter.mixin.render import render
from otel_ml_exporter.mixin.rules import groups
from stories import alone
from support import promtool

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "alert_rules").glob("*.yaml"))
STORIES = sorted(Path(__file__).parent.glob("*.yaml"))
LONG = {"ModelTrafficDropped", "ModelErrorBudgetBurn", "ModelLatencyBudgetBurn", "ModelOutputCollapsed", "days"}
"""Stories of days and weeks, in which rules that nobody asks for would take most of the time."""
ALERTS = [alert for group in groups(Knobs()) for alert in group.alerts]
NAMES = sorted({alert.name for alert in ALERTS})
DASHBOARDS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "grafana_dashboards").glob("*.json")}


def test_the_rule_files_load_in_prometheus():
    assert {path.stem for path in RULES} == {group.name for group in groups(Knobs())}
    assert promtool("check", "rules", *RULES).count("SUCCESS") == len(RULES)


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_the_story_of_the_alert_is_true(story, tmp_path):
    if story.stem in LONG:
        story = alone(yaml.safe_load(story.read_text(encoding="utf-8")), ROOT / "alert_rules", tmp_path)
    promtool("test", "rules", story)


@pytest.mark.parametrize("form", ["selectors", "windows"])
def test_rules_with_other_knobs_load_too(form, tmp_path):
    knobs = {
        "selectors": Knobs(selector='namespace="prod", job=~"a|b"', exporter_selector='namespace="mon"', labels={"team": "risk"}),
        "windows": Knobs(
            short_window="30s", long_window="30s", rate_window="10s", absence_window="1m", interval="2s", scrape_interval="1s", pace=0.005
        ),
    }[form]
    for name, text in render("rules", knobs).items():
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    promtool("check", "rules", *tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_a_story_with_all_its_states(name):
    story = yaml.safe_load((ROOT / "tests" / "rules" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert story["group_eval_order"]
    told = [check["exp_samples"] for test in story["tests"] for check in test["promql_expr_test"]]
    states = {re.search(r'alertstate="(\w+)"', samples[0]["labels"])[1] if samples else "silent" for samples in told}
    holds = {alert.hold != "0s" for alert in ALERTS if alert.name == name}
    assert states == ({"silent", "pending", "firing"} if True in holds else {"firing"})
    assert any(test.get("alert_rule_test") for test in story["tests"]), "one story must tell what the page says"


def test_the_stories_cover_each_problem_of_the_monitor():
    text = (ROOT / "tests" / "rules" / "ModelMonitorUnhealthy.yaml").read_text(encoding="utf-8")
    problems = {alert.labels["ml_problem"] for alert in ALERTS if alert.name == "ModelMonitorUnhealthy"}
    assert len(problems) == 12
    assert all(f'alertstate="firing", ml_problem="{problem}"' in text for problem in problems)


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_a_runbook_that_answers_the_questions_of_the_night(name):
    text = (ROOT / "alert_rules" / "runbooks" / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings == [
        "Meaning",
        "Impact",
        "Is it real?",
        "Decide in five minutes",
        "Diagnosis",
        "Mitigation",
        "When it is noise",
        "Who to call",
    ]


def test_no_runbook_is_left_of_an_alert_that_is_gone():
    assert sorted(path.stem for path in (ROOT / "alert_rules" / "runbooks").glob("*.md")) == NAMES


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name + alert.labels.get("ml_problem", ""))
def test_every_page_says_what_to_do_and_leads_to_a_dashboard_that_exists(alert: Alert):
    rule = alert.render(Knobs(grafana_url="https://grafana.site/"))
    assert set(rule["annotations"]) == {"summary", "description", "action", "runbook_url", "dashboard_url"}
    uid, variables = re.fullmatch(
        r"https://grafana\.site/d/([\w-]+)\?(.*)from=now-6h&to=now", rule["annotations"]["dashboard_url"]
    ).groups()
    for variable in re.findall(r"var-(\w+)=", variables):
        assert f'"name": "{variable}"' in DASHBOARDS[uid]
    assert rule["annotations"]["runbook_url"].endswith(f"/runbooks/{alert.name}.md")
    assert "{{" not in rule["annotations"]["summary"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name + alert.labels.get("ml_problem", ""))
def test_every_alert_carries_the_labels_that_routes_and_inhibitions_need(alert: Alert):
    labels = alert.render(Knobs(labels={"team": "risk"}))["labels"]
    assert labels["severity"] in {"critical", "warning", "none"}
    assert labels["category"] in {"serving", "input", "output", "drift", "quality", "labels", "rollout", "monitor"}
    assert labels["team"] == "risk"
    assert "ml_model_name" in labels or "ml_model_name" in alert.expr
    assert not any("$value" in str(value) for value in labels.values())


def test_only_consequences_page():
    critical = {alert.name for alert in ALERTS if alert.severity == "critical"}
    assert critical == {
        "ModelServiceDown",
        "ModelMetricsAbsent",
        "ModelCollectorDown",
        "ModelErrorBudgetBurn",
        "ModelLatencyBudgetBurn",
        "ModelInputDataBroken",
        "ModelOutputCollapsed",
        "ModelAccuracyBelowFloor",
        "ModelCanaryWorse",
        "ModelVerificationFailed",
    }


def test_pace_scales_every_hold_and_the_watchdog_can_be_left_out():
    rules = [
        rule
        for name, text in render("rules", Knobs(pace=0.5, watchdog=False)).items()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]
    holds = {rule["alert"]: rule.get("for") for rule in rules if "alert" in rule}
    assert "Watchdog" not in holds
    assert (holds["ModelServiceDown"], holds["ModelFeatureDrift"]) == ("1m", "450s")


@pytest.mark.parametrize(("pace", "paged"), [(1, []), (0.3, ["ModelInputDataBroken", "ModelOutputCollapsed"])])
def test_a_batch_job_of_seven_minutes_pages_at_a_third_of_the_pace(pace, paged, tmp_path):
    for name, text in render("rules", Knobs(pace=pace)).items():
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    labels = 'job="batch", instance="a:8000", ml_model_name="churn", ml_model_version="3"'
    counts = {"ml_inference_rows_total": 100, "ml_feature_violations_total": 50, "ml_prediction_observations_total": 100}
    about = {
        "ml_feature_violations_total": ', ml_feature_name="age", ml_violation_type="missing"',
        "ml_prediction_observations_total": ', ml_bin="no"',
    }
    series = {f"{name}{{{labels}{about.get(name, '')}}}": f"0+{count}x27 stale" for name, count in counts.items()}
    series[f"ml_model_info{{{labels}}}"] = "1x27 stale"
    series[f'ml_baseline_bin_ratio{{{labels}, ml_signal="prediction", ml_bin="no"}}'] = "0.7x60"
    firing = 'count by (alertname) (ALERTS{alertname=~"ModelInputDataBroken|ModelOutputCollapsed", alertstate="firing"})'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in paged]
    story = {
        "rule_files": ["input.yaml", "output.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": f"max_over_time({firing}[15m:1m])", "eval_time": "15m", "exp_samples": samples}],
            }
        ],
    }
    (tmp_path / "story.yaml").write_text(yaml.safe_dump(story), encoding="utf-8")
    promtool("test", "rules", tmp_path / "story.yaml")
