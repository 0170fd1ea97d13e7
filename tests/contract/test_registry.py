"""The catalogue, the registry in OpenTelemetry's form, the reference page and what is really emitted say the same."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from opentelemetry.sdk._logs import LoggerProvider, export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_ml import Baseline, Monitor, catalogue, record_outcome
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.evaluate import Labelled, describe, evaluate, evaluate_outcomes
from otel_ml_exporter.outcomes.readout import Joined
from otel_ml_exporter.thresholds import Limits

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FILES = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted((REFERENCE / "registry").glob("*.yaml"))}
GROUPS = {group["id"]: group for content in FILES.values() for group in content.get("groups", ())}
ATTRIBUTES = {entry["id"]: entry for entry in GROUPS["registry.otel_ml"]["attributes"]}
METRICS = {group["metric_name"]: group for group in GROUPS.values() if group["type"] == "metric"}
EVENTS = {group["name"]: group for group in GROUPS.values() if group["type"] == "event"}
InMemoryExporter = getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter
SCORES = np.random.default_rng(0).random(400)
ROWS = [{"age": age, "visits": age % 7, "plan": plan} for age, plan in zip((SCORES * 60).tolist(), ["basic", "pro"] * 200, strict=True)]
BASELINE = Baseline.from_data(ROWS, model="churn", version="3", predictions=SCORES, labels=SCORES > 0.4)


def test_the_registry_is_the_catalogue():
    assert FILES["manifest"]["schema_url"] == catalogue.SCHEMA_URL
    assert {name: entry["brief"] for name, entry in ATTRIBUTES.items()} == {a.name: a.brief for a in catalogue.ATTRIBUTES}
    assert {name: (g["instrument"], g["brief"], g["annotations"]["prometheus"]["name"]) for name, g in METRICS.items()} == {
        m.name: (m.instrument, m.brief, m.prometheus) for m in catalogue.METRICS
    }
    assert {name: [entry["ref"] for entry in group["attributes"]] for name, group in (METRICS | EVENTS).items()} == {
        owner.name: list(owner.attributes) for owner in (*catalogue.METRICS, *catalogue.EVENTS)
    }


def test_every_name_in_the_catalogue_is_described():
    """A constant that is no metric, event, value or reserved bin is an attribute, and has its meaning."""
    owners = (*catalogue.METRICS, *catalogue.EVENTS)
    used = {name for owner in owners for name in owner.attributes}
    assert used == set(ATTRIBUTES)
    assert {name for owner in owners for name, _ in owner.conditions if name not in owner.attributes} == set()
    known = set(ATTRIBUTES) | {value for entry in catalogue.ATTRIBUTES for value in (*entry.values, *entry.examples)}
    known |= {catalogue.SCOPE, catalogue.SCHEMA_URL, catalogue.OVERFLOW, catalogue.MISSING, catalogue.OTHER, *EVENTS}
    constants = {name: value for name, value in vars(catalogue).items() if name.isupper() and isinstance(value, str)}
    assert {name: value for name, value in constants.items() if value not in known and not name.startswith("_")} == {}


def test_the_page_names_everything_with_its_meaning():
    page = (REFERENCE / "metrics.md").read_text("utf-8")
    told = {metric.prometheus: metric.brief for metric in catalogue.METRICS}
    told |= {entry.name: entry.brief for entry in (*catalogue.PLUGIN_METRICS, *catalogue.ATTRIBUTES, *catalogue.EVENTS)}
    for name, brief in told.items():
        assert f"| `{name}` |" in page
        assert brief in page
    assert catalogue.SCHEMA_URL in page


def check(group, attributes):
    """A point or event carries what its group requires and nothing that the group does not know, with values it knows.

    An event of several predictions has arrays of that type.
    """
    allowed = {entry["ref"]: entry["requirement_level"] for entry in group["attributes"]}
    assert set(attributes) <= set(allowed), group["id"]
    assert {name for name, level in allowed.items() if level == "required"} <= set(attributes), group["id"]
    for name, value in attributes.items():
        kind = ATTRIBUTES[name]["type"]
        if isinstance(kind, dict):
            assert value in {member["value"] for member in kind["members"]}, (group["id"], name)
        elif kind != "any":
            each = value if group["type"] == "event" and isinstance(value, tuple) else (value,)
            assert set(map(type, each)) == {{"string": str, "double": float, "boolean": bool}[kind]}, (group["id"], name)


@pytest.fixture(params=[BASELINE, None], ids=["a baseline", "no baseline"])
def emitted(request):
    """The scopes that a monitor reports in, after good calls and bad ones."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    identity = {} if request.param else {"model": "churn", "version": "3"}
    monitor = Monitor(request.param, meter_provider=provider, **identity)
    predict = monitor.wrap(lambda rows: [0.5] * len(rows))
    predict([{"age": 900.0, "plan": "gold"}, {"age": None}, {"age": "old"}])
    monitor.wrap(lambda rows: object())(ROWS[:3])
    with pytest.raises(ZeroDivisionError):
        monitor.wrap(lambda rows: 1 / 0)(ROWS)
    yield [scope for resource in reader.get_metrics_data().resource_metrics for scope in resource.scope_metrics]
    provider.shutdown()


def test_the_plugin_s_points_are_in_the_registry(emitted):
    assert {(scope.scope.name, scope.scope.schema_url) for scope in emitted} == {(catalogue.SCOPE, catalogue.SCHEMA_URL)}
    metrics = [metric for scope in emitted for metric in scope.metrics]
    assert {"ml.inference.duration", "ml.inference.rows", "ml.model.info", "ml.monitor.dropped"} <= {metric.name for metric in metrics}
    for metric in metrics:
        group = METRICS[metric.name]
        assert (metric.unit, metric.description) == (group["unit"], group["brief"])
        for point in metric.data.data_points:
            check(group, point.attributes)


def test_events_are_in_the_registry():
    exporter, provider = InMemoryExporter(), LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    with Monitor(BASELINE, events=0.99, logger_provider=provider).observe(ROWS) as call:
        call.prediction = SCORES
    record_outcome("a", True, model="churn", logger_provider=provider)
    provider.shutdown()
    sent = exporter.get_finished_logs()
    assert {log.log_record.event_name for log in sent} == set(EVENTS)
    assert {log.instrumentation_scope.schema_url for log in sent} == {catalogue.SCHEMA_URL}
    for log in sent:
        check(EVENTS[log.log_record.event_name], log.log_record.attributes)


def test_what_the_exporter_publishes_is_in_the_registry():
    def bins(histogram):
        return dict(zip(histogram.labels, map(float, histogram.counts), strict=True))

    features = {feature.name: bins(feature.histogram) for feature in BASELINE.features}
    outputs = (BASELINE.prediction, BASELINE.confidence, BASELINE.outliers.histogram)
    counts = ModelCounts("churn", "3", BASELINE.fingerprint, features, {}, *map(bins, outputs))
    pairs = len(BASELINE.calibration.edges) + 1
    joined = Joined(np.full(pairs, 30.0), np.full(pairs, 20.0), np.full(pairs, 20.0), np.full(pairs, 5.0))
    confusion = {(truth, guess): 50 for truth in BASELINE.classes for guess in BASELINE.classes}
    limits = Limits()
    known = Labelled(joined=joined, confusion=confusion, coverage=0.5, delays={"0.5": 60.0})
    readings = [
        *describe(BASELINE, limits),
        *evaluate(BASELINE, [counts], "1h", limits, previous=[counts]).readings,
        *evaluate_outcomes(BASELINE, known, "1h", limits),
    ]
    assert len({reading.metric for reading in readings}) > 30
    for metric, labels, _ in readings:
        check(METRICS[metric.name], {name: label for name, label in zip(metric.attributes, labels, strict=True) if label})
