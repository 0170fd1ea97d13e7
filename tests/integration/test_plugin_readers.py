"""Through the SDK's readers: every series is there from the start, under the contract's names."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from otel_ml import Baseline, Monitor, catalogue


def make_baseline(model, rows=300, **columns):
    rng = np.random.default_rng(0)
    score = rng.random(rows)
    data = {"age": rng.normal(40, 9, rows), "income": rng.random(rows), "plan": rng.choice(["basic", "pro"], rows), **columns}
    return Baseline.from_data(data, model=model, version="1", predictions=score, labels=score > 0.5, golden=4)


ROW = {"age": 40.0, "income": 0.5, "plan": "pro"}
NOT_ALWAYS = (
    catalogue.INFERENCE_DURATION,
    catalogue.MONITOR_ERRORS,
    catalogue.SHADOW_COMPARISONS,
    catalogue.OUTPUT_OBSERVATIONS,
    catalogue.ENERGY_OBSERVATIONS,
    catalogue.VERIFICATION_RECORDS,
)
"""Metrics of what has not happened yet, or of what a baseline of one output without logits does not have."""


@pytest.fixture
def prometheus():
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader])

    def scrape():
        return [sample for family in text_string_to_metric_families(generate_latest(REGISTRY).decode()) for sample in family.samples]

    yield provider, scrape
    provider.shutdown()


def points(reader):
    data = reader.get_metrics_data()
    return {
        metric.name: [(dict(point.attributes), point) for point in metric.data.data_points]
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_every_binned_series_is_there_at_zero_before_the_first_call():
    baseline, reader = make_baseline("zeros"), InMemoryMetricReader()
    kept = Monitor(baseline, meter_provider=MeterProvider([reader]))
    found = points(reader)
    assert set(found) == {metric.name for metric in catalogue.PLUGIN_METRICS} - {metric.name for metric in NOT_ALWAYS}
    assert {point.value for name, series in found.items() if name != "ml.model.info" for _, point in series} == {0}
    labels = [(a["ml.feature.name"], a["ml.bin"]) for a, _ in found["ml.feature.observations"]]
    assert labels == [(feature.name, label) for feature in baseline.features for label in feature.histogram.labels]
    assert sum(map(len, found.values())) == baseline.series
    assert kept.baseline is baseline


def test_attributes_are_those_of_the_catalogue():
    baseline, reader = make_baseline("attributes"), InMemoryMetricReader()
    monitor = Monitor(baseline, meter_provider=MeterProvider([reader]), role="shadow", segment="plan", segments=["pro"])
    monitor.wrap(lambda _: [0.9])([ROW])
    monitor.wrap(lambda _: [0.9])("unreadable")
    with pytest.raises(ZeroDivisionError):
        monitor.wrap(lambda _: 1 / 0)([ROW])
    monitor.verify(lambda rows: [0.9 for _ in rows])
    found = points(reader)
    two = Baseline.from_data(
        {"age": np.arange(50.0)}, model="two", version="1", predictions={"sold": np.arange(50.0), "price": np.arange(50.0)}
    )
    several = Monitor(two, meter_provider=MeterProvider([further := InMemoryMetricReader()]))
    found["ml.output.observations"] = points(further)["ml.output.observations"]
    logits = np.random.default_rng(0).normal(size=(50, 2))
    net = Baseline.from_data({"age": np.arange(50.0)}, model="net", version="1", predictions=logits, labels=logits[:, 1] > 0, logits=True)
    energetic = Monitor(net, meter_provider=MeterProvider([further := InMemoryMetricReader()]))
    found["ml.energy.observations"] = points(further)["ml.energy.observations"]
    for metric in catalogue.PLUGIN_METRICS:
        union = set().union(*(attributes for attributes, _ in found[metric.name]))
        assert union == set(metric.attributes), metric.name
    ((info, _),) = found["ml.model.info"]
    assert (info["ml.model.role"], info["ml.model.task"], info["ml.baseline.id"]) == ("shadow", "binary", baseline.fingerprint)
    assert (several.baseline, energetic.baseline) == (two, net)


def test_a_failing_call_is_timed_with_the_type_of_its_error_and_its_rows():
    reader = InMemoryMetricReader()
    monitor = Monitor(make_baseline("failing"), meter_provider=MeterProvider([reader]))
    with pytest.raises(ZeroDivisionError):
        monitor.wrap(lambda _: 1 / 0)([ROW, ROW])
    found = points(reader)
    ((attributes, point),) = found["ml.inference.duration"]
    assert (attributes["error.type"], point.count) == ("ZeroDivisionError", 1)
    assert found["ml.inference.rows"][0][1].value == 2


def test_a_monitor_that_is_gone_keeps_its_counts_and_faults():
    baseline, reader = make_baseline("gone"), InMemoryMetricReader()
    provider = MeterProvider([reader])
    for _ in range(3):
        predict = Monitor(baseline, meter_provider=provider).wrap(lambda _: [0.9])
        predict([ROW])
        predict("unreadable")
        del predict
        found = points(reader)
    assert found["ml.inference.rows"][0][1].value == 3
    assert [point.value for _, point in found["ml.monitor.errors"]] == [3]
    assert sum(point.value for attributes, point in found["ml.feature.observations"] if attributes["ml.feature.name"] == "age") == 3


def test_two_readers_see_the_same_counts():
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    monitor = Monitor(make_baseline("readers"), meter_provider=MeterProvider(readers))
    monitor.wrap(lambda _: [0.9])([ROW])
    assert [points(reader)["ml.inference.rows"][0][1].value for reader in readers] == [1, 1]


def wide(features):
    return Baseline.from_data(np.random.default_rng(0).normal(size=(200, features)), model="wide", version="1")


@pytest.mark.parametrize("order", [1, -1], ids=["small first", "wide first"])
def test_a_baseline_of_more_series_than_the_sdk_keeps_apart_is_exported_whole(prometheus, order):
    provider, scrape = prometheus
    baselines = [make_baseline("small"), wide(400)]
    monitors = [Monitor(baseline, meter_provider=provider) for baseline in baselines[::order]]
    monitors[::order][1].wrap(lambda _: None)(np.zeros((7, 400)))
    samples = [sample for sample in scrape() if sample.name.startswith("ml_")]
    assert [sample for sample in samples if not sample.labels["ml_model_name"]] == []
    for metric in (catalogue.FEATURE_OBSERVATIONS, catalogue.FEATURE_VIOLATIONS):
        ours = [sample.labels for sample in samples if sample.name == metric.prometheus and sample.labels["ml_model_name"] == "wide"]
        assert len(ours) == len({tuple(labels[name] for name in metric.labels) for labels in ours}) > 2_000
    counted = [sample for sample in samples if sample.name == catalogue.FEATURE_OBSERVATIONS.prometheus and sample.value]
    assert {sample.labels["ml_feature_name"]: sample.value for sample in counted} == dict.fromkeys(
        (feature.name for feature in baselines[1].features), 7
    )


def test_a_baseline_that_replaces_another_of_its_version_has_the_budget_to_itself():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    for features in (2, 400, 2):
        monitor = Monitor(wide(features), meter_provider=provider)
        found = [
            point
            for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if metric.name == catalogue.FEATURE_OBSERVATIONS.name
        ]
        assert len({point.attributes["ml.feature.name"] for point in found}) == features
        assert {point.attributes["ml.baseline.id"] for point in found} == {monitor.baseline.fingerprint}
        del monitor


@pytest.mark.parametrize("order", [1, -1], ids=["small first", "wide first"])
def test_what_a_site_has_the_sdk_merge_names_no_model_wherever_its_mark_lands(order):
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry, cardinality_limits={ObservableCounter: 100})])
    monitors = [Monitor(baseline, meter_provider=provider) for baseline in (make_baseline("small"), wide(20))[::order]]
    page = generate_latest(registry).decode()
    provider.shutdown()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples if sample.name.startswith("ml_")]
    merged = [sample for sample in samples if not sample.labels["ml_model_name"]]
    assert {sample.name for sample in merged} == {"ml_feature_observations_total", "ml_feature_violations_total"}
    assert any("otel_metric_overflow" in sample.labels for sample in merged) is (order == -1)
    assert len(monitors) == 2


def test_several_models_are_labelled_right_in_one_exposition(prometheus):
    provider, scrape = prometheus
    first = Monitor(make_baseline("first"), meter_provider=provider)
    second = Monitor(make_baseline("second"), meter_provider=provider, segment="plan", segments=["pro"])
    bare = Monitor(model="bare", version="9", meter_provider=provider)
    first.wrap(lambda _: [0.9, 0.9])([ROW, ROW])
    for failing in (second, bare):
        with pytest.raises(KeyError):
            failing.wrap(lambda _: {}["absent"])([ROW])
    bare.wrap(lambda _: None)([ROW])
    samples = scrape()

    def values(name, **labels):
        """To Prometheus an empty label is an absent one."""
        named = [sample for sample in samples if sample.name == name]
        return [sample.value for sample in named if all(sample.labels.get(key, "") == value for key, value in labels.items())]

    assert values("ml_inference_rows_total", ml_model_name="first", ml_model_version="1") == [2]
    assert values("ml_inference_rows_total", ml_model_name="bare", ml_model_version="9") == [2]
    assert values("ml_inference_duration_seconds_count", ml_model_name="first", error_type="") == [1]
    assert values("ml_inference_duration_seconds_count", ml_model_name="second", error_type="KeyError") == [1]
    assert sorted(values("ml_inference_duration_seconds_count", ml_model_name="bare")) == [1, 1]
    assert values("ml_model_info", ml_model_name="bare", ml_baseline_id="") == [1]
    assert sum(values("ml_feature_observations_total", ml_model_name="first", ml_feature_name="age")) == 2
    assert sum(values("ml_feature_observations_total", ml_model_name="second", ml_feature_name="plan", ml_bin="pro")) == 1
    assert sum(values("ml_prediction_observations_total", ml_model_name="first", ml_bin="True", ml_segment="")) == 2
    assert len(values("ml_prediction_observations_total", ml_model_name="second", ml_bin="True", ml_segment="pro")) == 1
    names = {sample.name for sample in samples if sample.name.startswith("ml_")}
    counters = {metric.prometheus for metric in catalogue.PLUGIN_METRICS} - {metric.prometheus for metric in NOT_ALWAYS}
    histogram = {f"ml_inference_duration_seconds_{suffix}" for suffix in ("bucket", "sum", "count")}
    assert names == counters | histogram


SDK = "from opentelemetry.sdk.metrics import MeterProvider; reader = InMemoryMetricReader(); set_meter_provider(MeterProvider([reader]))"
MONITOR = "monitor = Monitor(model='m', version='1'); monitor.wrap(lambda _: None)([[1.0]])"
LATER = "later = Monitor(model='n', version='1'); later.wrap(lambda _: None)([[1.0]])"


@pytest.mark.parametrize("order", [[SDK, MONITOR, LATER], [MONITOR, SDK, LATER], [MONITOR, LATER, SDK]], ids=["before", "between", "after"])
def test_the_sdk_may_be_configured_before_or_after_the_monitor(order):
    program = "\n".join(
        [
            "from opentelemetry.metrics import set_meter_provider",
            "from opentelemetry.sdk.metrics.export import InMemoryMetricReader",
            "from otel_ml import Monitor",
            *order,
            textwrap.dedent("""
                metrics = [m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
                rows = [m for m in metrics if m.name == "ml.inference.rows"]
                assert len(rows) == 1, metrics
                print(sorted((p.attributes["ml.model.name"], p.value) for p in rows[0].data.data_points))
            """),
        ]
    )
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[('m', 1), ('n', 1)]", done.stderr
