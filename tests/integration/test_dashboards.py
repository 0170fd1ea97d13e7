"""The dashboards and rules in a real Prometheus that scrapes every series of the catalogue: each panel has data."""

import json
import math
import re
import time
from itertools import product

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render, write
from support import eventually, panels_of, running_prometheus

pytestmark = pytest.mark.e2e

KNOBS = Knobs(
    short_window="5s",
    middle_window="5s",
    long_window="10s",
    score_interval="1s",
    scrape_interval="1s",
    rate_window="4s",
    absence_window="30s",
    season="2s",
    interval="1s",
    pace=0.001,
)
BINS = ["00 (-inf, 30]", "01 (30, inf]", names.MISSING, names.OTHER]
SIGNALS = [value for name, value in vars(names).items() if name.startswith("SIGNAL_")]
CLASSES = [str(number) for number in range(12)]
VALUES = {
    names.MODEL_NAME: ["churn"],
    names.MODEL_VERSION: ["3"],
    names.MODEL_TASK: ["binary"],
    names.MODEL_ROLE: [names.ROLE_STABLE, names.ROLE_CANARY],
    names.SHADOW_RESULT: list(names.SHADOW_RESULTS),
    names.VERIFICATION_RESULT: list(names.VERIFICATION_RESULTS),
    names.BASELINE_ID: ["b1"],
    names.FEATURE_NAME: ['region "north"', "age"],
    names.SEGMENT: [f"country {number}" for number in range(60)],
    names.BIN: BINS,
    names.VIOLATION_TYPE: [value for name, value in vars(names).items() if name.startswith("VIOLATION_")],
    names.DROP_REASON: [value for name, value in vars(names).items() if name.startswith("DROP_")],
    names.ERROR_TYPE: ["", "ValueError"],
    names.WINDOW: [KNOBS.short_window, KNOBS.long_window],
    names.REFERENCE: [names.REFERENCE_BASELINE, names.REFERENCE_STABLE, names.REFERENCE_ALL],
    names.SEVERITY: [names.WARNING, names.CRITICAL],
    names.SIGNAL: SIGNALS,
    names.METRIC: ["accuracy", "f1", "mae"],
    names.ESTIMATE: [value for name, value in vars(names).items() if name.startswith("ESTIMATE_")],
    names.PREDICTION_CLASS: CLASSES,
    names.OUTCOME_LABEL: CLASSES,
    names.QUANTILE: ["0.5", "0.9"],
    names.RESULT: ["", *(value for name, value in vars(names).items() if name.startswith("RESULT_"))],
    names.DIRECTION: ["over", "under", "gain", "loss"],
    names.ANNOTATORS: ["anna, ben"],
    names.SOURCE: ["prometheus"],
    names.FILE: ["churn-3.json"],
}
KNOWN = {attribute.name: list(attribute.values or attribute.examples) for attribute in names.ATTRIBUTES}
"""Values that the catalogue itself gives an attribute."""
GAUGES = {
    names.WINDOW_SAMPLES: 5000,
    names.FEATURE_PSI: 0.31,
    names.PREDICTION_PSI: 0.4,
    names.FEATURE_DRIFTED: 1,
    names.MODEL_INFO: 1,
    names.THRESHOLD: 0.05,
}


class EverySeries:
    """A collector of one believable series for each combination of a metric's attributes; counters move with time."""

    def __init__(self):
        self.started = time.time()

    def collect(self):
        for metric in names.METRICS:
            yield {"counter": self.counter, "gauge": self.gauge, "histogram": self.histogram}[metric.instrument](metric)

    def counter(self, metric):
        family = CounterMetricFamily(metric.prometheus.removesuffix("_total"), metric.brief, labels=metric.labels)
        for index, labels in enumerate(combinations(metric)):
            family.add_metric(labels, (index + 1) * 50 * (time.time() - self.started))
        if metric is names.INFERENCE_ROWS:
            family.add_sample(metric.prometheus, {names.prometheus(names.OVERFLOW): "true"}, 1)
        return family

    def gauge(self, metric):
        family = GaugeMetricFamily(metric.prometheus, metric.brief, labels=metric.labels)
        value = time.time() - 60 if metric.prometheus.endswith("timestamp_seconds") else GAUGES.get(metric, 0.2)
        for labels in combinations(metric):
            family.add_metric(labels, value)
        return family

    def histogram(self, metric):
        family = HistogramMetricFamily(metric.prometheus, metric.brief, labels=metric.labels)
        count = 100 * (time.time() - self.started)
        for labels in combinations(metric):
            family.add_metric(labels, [("0.005", 0.5 * count), ("0.05", 0.9 * count), ("+Inf", count)], sum_value=0.01 * count)
        return family


def combinations(metric):
    return product(*(VALUES.get(attribute) or KNOWN[attribute] for attribute in metric.attributes))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """A Prometheus with the rules of the pack, scraping each second; its HTTP API as a client."""
    directory = tmp_path_factory.mktemp("prometheus")
    write(render("rules", KNOBS), directory)
    registry = CollectorRegistry()
    registry.register(EverySeries())
    server, thread = start_http_server(0, "127.0.0.1", registry)
    scrape = {"job_name": "every", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(directory / "alert_rules" / "*.yaml")],
        "scrape_configs": [scrape],
    }
    with running_prometheus(directory, config) as client:
        yield client
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def api(client, path, **parameters):
    answer = client.get(f"/api/v1/{path}", params=parameters).json()
    assert answer["status"] == "success", (parameters, answer)
    return answer["data"]


def expanded(text, variables):
    """The text with Grafana's variables replaced, longest names first."""
    everything = {"__rate_interval": KNOBS.rate_window, "__range": KNOBS.long_window, **variables}
    for name in sorted(everything, key=len, reverse=True):
        text = text.replace(f"${name}", everything[name])
    return text


def escaped(value):
    """The value of a variable as Grafana puts it between the quotes of a matcher."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def values_of(client, variable, chosen):
    """What a variable offers, asked of Prometheus as Grafana does, which leaves the quotes in a result's labels as they are."""
    if variable["type"] == "custom":
        return variable["query"].split(",")
    asked = expanded(variable["query"]["query"], chosen)
    if label := re.fullmatch(r"label_values\((.*), (\w+)\)", asked):
        return api(client, f"label/{label[2]}/values", **{"match[]": label[1]})
    result = api(client, "query", query=re.fullmatch(r"query_result\((.*)\)", asked)[1])["result"]
    lines = ["{" + ",".join(f'{name}="{value}"' for name, value in each["metric"].items()) + f"}} {each['value'][1]}" for each in result]
    found = [re.search(variable["regex"].strip("/"), line) for line in lines]
    return [match[1] for match in found if match]


def choose(client, dashboard):
    """A value for each variable, in their order; All where that is offered."""
    chosen = {}
    for variable in dashboard["templating"]["list"][1:]:
        offered = values_of(client, variable, chosen) or [f"no {variable['name']} is offered"]
        chosen[variable["name"]] = variable["allValue"] if variable["includeAll"] else escaped(offered[-1])
    return chosen


def answer(client, target, variables):
    """The numbers that a query of a panel returns, a list for each series."""
    expr = expanded(target["expr"], variables)
    if target.get("instant"):
        return [[float(each["value"][1])] for each in api(client, "query", query=expr)["result"]]
    now = time.time()
    result = api(client, "query_range", query=expr, start=now - 2, end=now, step="1s")["result"]
    return [[float(point[1]) for point in each["values"]] for each in result]


def numbers(client, target, variables):
    """All numbers that a query of a panel returns."""
    return [number for series in answer(client, target, variables) for number in series]


MOST_SERIES = 100
"""More would neither be read nor be drawn."""


def unanswered(client, dashboard):
    """The queries of a dashboard that return nothing, too many series, or something that is no number."""
    variables = choose(client, dashboard)
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            series = answer(client, target, variables)
            found = [number for each in series for number in each]
            if not found or not all(map(math.isfinite, found)) or len(series) > MOST_SERIES:
                yield f"{panel['title']} {target['refId']}: {found} of {expanded(target['expr'], variables)}"


DASHBOARDS = {name: json.loads(text) for name, text in render("dashboards", KNOBS).items()}


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_every_panel_has_data_and_all_of_it_is_finite(prometheus, name):
    dashboard = DASHBOARDS[name]
    eventually(
        lambda: api(prometheus, "query", query='ALERTS{alertname="ModelFeatureDrift", alertstate="firing"}')["result"],
        lambda: "nothing fires",
    )
    eventually(lambda: not list(unanswered(prometheus, dashboard)), lambda: "\n".join(unanswered(prometheus, dashboard)))


def test_the_feature_variable_offers_the_features_that_moved(prometheus):
    dashboard = DASHBOARDS["grafana_dashboards/otel-ml-drift.json"]
    feature = dashboard["templating"]["list"][-1]
    chosen = {"model": "churn", "version": "3", "window": KNOBS.short_window}
    eventually(lambda: "age" in values_of(prometheus, feature, chosen), lambda: "no features")


def test_models_in_trouble_are_told_by_text(prometheus):
    table = next(panel for panel in DASHBOARDS["grafana_dashboards/otel-ml-overview.json"]["panels"] if panel["title"] == "Models")
    variables = {"model": ".*", "version": ".*"}
    eventually(
        lambda: numbers(prometheus, table["targets"][0], variables) == [2.0], lambda: numbers(prometheus, table["targets"][0], variables)
    )
    state = next(override for override in table["fieldConfig"]["overrides"] if override["matcher"]["options"] == "State")
    mapping = next(each["value"][0]["options"] for each in state["properties"] if each["id"] == "mappings")
    assert {value: shown["text"] for value, shown in mapping.items()} == {"0": "OK", "1": "LOOK", "2": "ACT"}


def test_every_rule_is_healthy_and_every_annotation_is_filled(prometheus):
    def rules():
        return [rule for group in api(prometheus, "rules")["groups"] for rule in group["rules"]]

    eventually(lambda: all(rule["health"] == "ok" for rule in rules()), lambda: [rule for rule in rules() if rule["health"] != "ok"])
    wanted = {"ModelFeatureDrift", "ModelDatasetDrift", "ModelErrorBudgetBurn", "ModelInputDataBroken"}

    alerts = []

    def all_wanted():
        alerts[:] = [alert for alert in api(prometheus, "alerts")["alerts"] if alert["labels"]["alertname"] != "Watchdog"]
        return wanted <= {alert["labels"]["alertname"] for alert in alerts}

    eventually(all_wanted, lambda: alerts)
    for alert in alerts:
        assert "error expanding" not in str(alert["annotations"])
        assert "<no value>" not in str(alert["annotations"])
    described = [alert["annotations"]["description"] for alert in alerts if alert["labels"].get("ml_feature_name")]
    assert any('Feature region "north" of model churn version 3' in text and "unknown" not in text for text in described)
    links = {alert["annotations"]["dashboard_url"] for alert in alerts}
    assert any("var-feature=region%20%22north%22" in link or "var-feature=region+%22north%22" in link for link in links)
