"""Traffic is split by one partition whose parts are known beforehand, and each version has one role."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_ml import Baseline, ConfigurationError, Monitor, testing

ROW = {"age": 40.0, "visits": 1, "country": "eu"}


def tensor(rows):
    return pytest.importorskip("torch").tensor(rows)


def country(data):
    return data["country"]


def segmented(baseline, **options):
    return Monitor(baseline, **({"segment": "country", "segments": ["eu", "us"]} | options))


@pytest.fixture
def numeric(numeric, request):
    """A model of its own for each test: one version is watched in one way."""
    return dataclasses.replace(numeric, model=request.node.name)


@pytest.fixture
def points(numeric):
    """The points of a counter after one call each in eu, us and a country that nobody named."""
    reader = InMemoryMetricReader()
    monitor = segmented(numeric, meter_provider=MeterProvider([reader]))
    predict = monitor.wrap(lambda _: [0.9])
    for name in ("eu", "us", "ch"):
        predict(ROW | {"country": name})
    metrics = {m.name: m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
    return lambda name: [(dict(point.attributes), point.value) for point in metrics[name].data.data_points]


@pytest.mark.parametrize("name", ["ml.prediction.observations", "ml.confidence.observations"])
def test_each_segment_has_all_bins_from_the_start_and_others_count_as_other(points, name):
    found = {}
    for attributes, value in points(name):
        found.setdefault(attributes["ml.segment"], {})[attributes["ml.bin"]] = value
    assert {segment: sum(bins.values()) for segment, bins in found.items()} == {"eu": 1, "us": 1, "__other__": 1}
    assert len({tuple(bins) for bins in found.values()}) == 1


@pytest.mark.parametrize("name", ["ml.feature.observations", "ml.inference.rows", "ml.outlier.observations"])
def test_nothing_else_is_split(points, name):
    assert not any("ml.segment" in attributes for attributes, _ in points(name))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ROW, {"eu": 2}),
        ([ROW, ROW | {"country": "us"}], {"eu": 1, "us": 1}),
        ({"age": [1.0, 2.0], "visits": [1, 2], "country": ["us", None]}, {"us": 1, "__other__": 1}),
        (pd.DataFrame([ROW, ROW | {"country": "mars"}]), {"eu": 1, "__other__": 1}),
        (np.array([(1.0, 2, "us"), (1.0, 2, "us")], dtype=[("age", "f8"), ("visits", "i8"), ("country", "U9")]), {"us": 2}),
        ({"age": 40.0, "visits": 1}, {"__other__": 2}),
        ([[40.0, 1], [41.0, 1]], {"__other__": 2}),
    ],
    ids=["row", "rows", "columns", "frame", "structured", "without the column", "rows without names"],
)
def test_a_column_of_the_input_tells_the_segment(numeric, data, expected):
    monitor = segmented(numeric)
    monitor.wrap(lambda _: [0.1, 0.8])(data)
    found = testing.collect(monitor)
    assert {name: count for name, count in found.segments.items() if count} == expected
    assert (found.predictions["no"], found.predictions["yes"]) == (1, 1)


@pytest.mark.parametrize("form", [np.array, list, scipy.sparse.csr_matrix, scipy.sparse.coo_matrix, tensor], ids=lambda form: form.__name__)
def test_a_feature_tells_the_segment_by_its_place_where_rows_have_no_names(numeric, form):
    monitor = segmented(numeric, segment="visits", segments=[1, 2])
    monitor.wrap(lambda _: [0.1, 0.2, 0.3])(form([[40.0, 1], [41.0, 1], [42.0, 9]]))
    assert testing.collect(monitor).segments == {"1": 2, "2": 0, "__other__": 1}


def test_a_flat_row_without_names_tells_its_segment(numeric):
    monitor = segmented(numeric, segment="visits", segments=[1, 2])
    monitor.wrap(lambda _: 0.1)([40.0, 2])
    assert testing.collect(monitor).segments == {"1": 0, "2": 1, "__other__": 0}


def test_a_matrix_of_vectors_has_no_columns_and_takes_a_function(caplog):
    vectors = np.random.default_rng(0).normal(size=(200, 16))
    baseline = Baseline.from_data({"embedding": vectors}, model="vectors", version="1", predictions=np.linspace(0, 1, 200))
    by_name, by_function = segmented(baseline), segmented(baseline, segment=lambda matrix: np.where(matrix[:, 0] > 0, "eu", "us"))
    for monitor in (by_name, by_function):
        monitor.wrap(lambda matrix: matrix[:, 0] * 0 + 0.5)(vectors)
    positive = int((vectors[:, 0] > 0).sum())
    assert testing.collect(by_name).segments == {"eu": 0, "us": 0, "__other__": 200}
    assert "give segment= a function of the input" in caplog.text
    assert testing.collect(by_function).segments == {"eu": positive, "us": 200 - positive, "__other__": 0}


def test_a_function_of_the_input_tells_the_segment(numeric):
    monitor = segmented(numeric, segment=lambda data: "eu" if len(data) > 1 else np.array(["us"]))
    predict = monitor.wrap(lambda data: [0.1] * len(data))
    predict([ROW, ROW])
    predict([ROW])
    assert testing.collect(monitor).segments == {"eu": 2, "us": 1, "__other__": 0}


def test_a_segment_that_cannot_be_told_is_other_and_a_counted_fault(numeric):
    monitor = segmented(numeric, segment=lambda _: 1 / 0)
    assert monitor.wrap(lambda _: [0.1])([ROW]) == [0.1]
    found = testing.collect(monitor)
    assert (found.segments["__other__"], found.errors) == (1, {"ZeroDivisionError": 1})


def test_segments_of_another_number_than_rows_drop_the_predictions(numeric):
    monitor = segmented(numeric, segment=lambda _: ["eu", "eu", "us"])
    monitor.wrap(lambda _: [0.1, 0.2])([ROW, ROW])
    found = testing.collect(monitor)
    assert (sum(found.segments.values()), found.dropped["error"], found.errors) == (0, 2, {"ValueError": 1})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"segments": ["eu"]}, "segments: are given without segment"),
        ({"segment": "country"}, "segments: are absent"),
        ({"segment": "country", "segments": "eu"}, "segments: is 'eu'; name the values"),
        ({"segment": "country", "segments": ["eu", "eu"]}, "name each once"),
        ({"segment": "country", "segments": ["__other__"]}, "name each once"),
        ({"segment": country, "segments": range(101)}, "name at most 100"),
        ({"role": "primary"}, "role: is 'primary'; give one of stable, canary, shadow"),
    ],
)
def test_options_that_make_no_partition_stop_the_start(numeric, options, problem):
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        Monitor(numeric, **options)


@pytest.mark.parametrize(
    ("options", "problem"), [({"role": "canary"}, "the role 'stable'"), ({"segment": country, "segments": ["eu"]}, "other segments")]
)
def test_one_version_is_watched_in_one_way(numeric, options, problem):
    kept = Monitor(numeric)
    with pytest.raises(ConfigurationError, match=problem):
        Monitor(numeric, **options)
    assert testing.collect(kept).rows == 0


def test_a_canary_of_another_version_counts_beside_the_stable_one(train):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    stable, canary = (
        Monitor(Baseline.from_data(train[["age"]], model="rollout", version=version), role=role, meter_provider=provider)
        for version, role in (("3", "stable"), ("4", "canary"))
    )
    for monitor, calls in ((stable, 9), (canary, 1)):
        for _ in range(calls):
            monitor.wrap(lambda _: None)({"age": 40.0})
    metrics = {m.name: m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
    of_version = "ml.model.version"
    assert {p.attributes[of_version]: p.value for p in metrics["ml.inference.rows"].data.data_points} == {"3": 9, "4": 1}
    roles = {p.attributes[of_version]: p.attributes["ml.model.role"] for p in metrics["ml.model.info"].data.data_points}
    assert roles == {"3": "stable", "4": "canary"}
