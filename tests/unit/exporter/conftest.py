"""A baseline with every part, counts that match it, and a database on disk."""

import numpy as np
import pytest

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml_exporter.counts import ModelCounts
from otel_ml_exporter.database import Database


@pytest.fixture(scope="session")
def baseline():
    rng = np.random.default_rng(7)
    rows = [
        {"age": float(age), "income": float(income), "airport": str(airport)}
        for age, income, airport in zip(
            rng.uniform(18, 80, 2_000), rng.lognormal(8, 1, 2_000), rng.choice(["JFK", "LGA", "EWR"], 2_000), strict=True
        )
    ]
    score = rng.uniform(0, 1, 2_000)
    labels = (rng.uniform(0, 1, 2_000) < score).astype(int)
    return Baseline.from_data(rows, model="churn", version="3", predictions=score, labels=labels, task="binary")


@pytest.fixture
def counts(baseline):
    """Make the counts of a window of `samples` rows that looks like the baseline; keywords replace fields."""

    def bins(histogram, samples):
        return {label: count * samples / histogram.samples for label, count in zip(histogram.labels, histogram.counts, strict=True)}

    def make(samples=1_000, **fields):
        defaults = {
            "model": baseline.model,
            "version": baseline.version,
            "baseline_id": baseline.fingerprint,
            "features": {feature.name: bins(feature.histogram, samples) for feature in baseline.features},
            "violations": {},
            "predictions": bins(baseline.prediction, samples),
            "confidences": bins(baseline.confidence, samples),
            "outliers": bins(baseline.outliers.histogram, samples),
        }
        return ModelCounts(**{**defaults, **fields})

    return make


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    yield database
    database.close()


@pytest.fixture
def report():
    """Make an OTLP request that says who serves: `values` maps (metric, extra attributes as a tuple of pairs) to a number."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    def make(values, *, start=1, time=2, instance="a", delta=False, model="churn", version="3", baseline_id="id"):
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        attribute = resource.resource.attributes.add(key="service.instance.id")
        attribute.value.string_value = instance
        scope = resource.scope_metrics.add()
        known = ((names.MODEL_NAME, model), (names.MODEL_VERSION, version), (names.BASELINE_ID, baseline_id))
        for (name, extra), value in values.items():
            metric = scope.metrics.add(name=name)
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = 1 if delta else 2
            point = metric.sum.data_points.add(start_time_unix_nano=start, time_unix_nano=time, as_double=value)
            for key, content in (*known, *extra):
                point.attributes.add(key=key).value.string_value = content
        served = scope.metrics.add(name=names.MODEL_INFO.name).gauge.data_points.add(time_unix_nano=time, as_int=1)
        for key, content in (*known, (names.MODEL_ROLE, names.ROLE_STABLE)):
            served.attributes.add(key=key).value.string_value = content
        return request

    return make
