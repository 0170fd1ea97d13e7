"""Whatever form the input has, the same values fall into the same bins."""

from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from otel_ml import Baseline, Monitor, testing


def bins_of(feature):
    return dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True))


FORMS = {
    "pandas": lambda frame: frame,
    "odd index": lambda frame: frame.set_index(frame.index[::-1].astype(str)),
    "shuffled columns": lambda frame: frame[["active", "plan", "age", "visits"]],
    "further columns": lambda frame: frame.assign(at=pd.Timestamp("2026-01-01"), tags=[["x"]] * len(frame)),
    "extension types": lambda frame: frame.convert_dtypes(),
    "categories": lambda frame: frame.astype({"plan": "category", "active": "boolean", "visits": "Int64"}),
    "arrow types": lambda frame: frame.astype({"plan": "string[pyarrow]", "age": "float64[pyarrow]"}),
    "polars": pl.from_pandas,
    "polars nulls": lambda frame: pl.from_pandas(frame, nan_to_null=True),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "record batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "records": lambda frame: frame.to_records(index=False),
    "dicts": lambda frame: frame.to_dict("records"),
    "tuples": lambda frame: list(frame.itertuples(index=False, name=None)),
    "named tuples": lambda frame: list(frame.itertuples(index=False)),
    "lists": lambda frame: frame.to_numpy().tolist(),
    "objects": lambda frame: frame.to_numpy(),
    "columns of lists": lambda frame: frame.to_dict("list"),
    "columns of arrays": lambda frame: {name: column.to_numpy() for name, column in frame.items()},
    "columns of series": lambda frame: dict(frame.items()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("size", [500, 50], ids=["one call", "ten calls"])
def test_the_training_data_fall_into_the_baseline_s_own_counts(train, baseline, form, size):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for start in range(0, len(train), size):
        predict(form(train[start : start + size]))
    counted = testing.collect(monitor)
    assert counted.features == {feature.name: bins_of(feature) for feature in baseline.features}
    assert counted.outliers == bins_of(baseline.outliers)
    assert (counted.rows, counted.errors) == (500, {})
    further = counted.violations.pop("__other__")["extra_column"]
    assert further == (500 if form is FORMS["further columns"] else 0)
    assert not any(any(kinds.values()) for kinds in counted.violations.values())


@pytest.mark.parametrize("form", [FORMS["dicts"], FORMS["tuples"], FORMS["objects"]])
def test_rows_may_come_one_by_one(train, baseline, form):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for row in form(train):
        predict(row)
    assert testing.collect(monitor).features == {feature.name: bins_of(feature) for feature in baseline.features}


def test_a_series_that_is_a_row_is_read_by_its_index(train, baseline, counted):
    row = train.iloc[3][["active", "plan", "visits", "age"]]
    assert counted(baseline, row).features == counted(baseline, train[3:4]).features


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1", "O"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_type_and_layout_count_alike(kind, order, counted):
    numbers = np.arange(120).reshape(-1, 3)
    baseline = Baseline.from_data(numbers, model="arrays", version="1")
    data = np.array(numbers, dtype=kind, order=order)
    assert counted(baseline, data).features == {feature.name: bins_of(feature) for feature in baseline.features}
    assert counted(baseline, data[::-1]).features == counted(baseline, data).features


@pytest.mark.parametrize(
    "form",
    [
        lambda frame: frame.to_numpy("f4"),
        lambda frame: list(frame.to_numpy("f4")),
        lambda frame: frame.astype("f4"),
        lambda frame: frame.astype("f4")[:100],
        lambda frame: {name: column.to_numpy("f4") for name, column in frame.items()},
        lambda frame: pl.from_pandas(frame.astype("f4")),
        lambda frame: pa.Table.from_pandas(frame.astype({"age": "f4"})),
        lambda frame: frame.astype({"age": "f4"}),
    ],
    ids=["array", "list of arrays", "frame", "small frame", "columns", "polars", "pyarrow", "one column"],
)
def test_a_float32_equals_the_edge_that_it_was_rounded_from(train, numeric, form, counted):
    frame = train[["age", "visits"]]
    data = form(frame)
    rows = data.num_rows if isinstance(data, pa.Table) else len(next(iter(data.values())) if isinstance(data, dict) else data)
    single, double = counted(numeric, data), counted(numeric, frame[:rows])
    assert (single.features, single.violations) == (double.features, double.violations)


@pytest.mark.parametrize(
    "wanted", [pd.DataFrame, pl.DataFrame, pa.table, dict, list], ids=["pandas", "polars", "pyarrow", "columns", "dicts"]
)
@pytest.mark.parametrize("rows", [3, 300])
def test_a_column_that_is_not_there_is_counted_as_such(baseline, wanted, rows, counted):
    table = {"age": [40.0] * rows, "visits": [1] * rows, "active": [True] * rows}
    data = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)] if wanted is list else wanted(table)
    found = counted(baseline, data)
    assert found.features["plan"]["__missing__"] == rows
    assert found.violations["plan"] == {"missing_column": rows, "missing": 0, "unseen": 0, "default": 0, "stuck": 0}


def test_a_missing_value_is_a_violation_only_where_the_baseline_had_none(baseline, counted):
    found = counted(baseline, [{"age": None, "visits": None, "plan": None, "active": None}])
    assert "missing" not in found.violations["age"]
    assert [found.violations[name]["missing"] for name in ("visits", "plan", "active")] == [1, 1, 1]


def test_each_kind_of_strange_value_is_told_from_the_others(baseline, counted):
    found = counted(
        baseline, [{"age": value, "visits": 1, "plan": "gold", "active": 1} for value in (1e9, float("inf"), "old", -1e9, 10**400)]
    )
    assert found.violations["age"] == {
        "missing_column": 0,
        "type": 1,
        "infinite": 2,
        "out_of_range": 2,
        "far_out_of_range": 2,
        "default": 0,
        "stuck": 0,
    }
    assert found.features["age"]["__other__"] == 1
    assert found.violations["plan"]["unseen"] == found.features["plan"]["__other__"] == 5
    assert found.features["active"]["True"] == 5


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_value_is_far_out_of_range_where_it_lies_more_than_the_width_of_the_range_beyond_it(counted, kind):
    baseline = Baseline.from_data(np.array([[10.0, 5.0], [30.0, 5.0]]), model="spans", version="1", feature_names=["wide", "constant"])
    found = counted(baseline, np.array([[x, 5.5] for x in (-10.5, -10.0, 9.5, 30.0, 30.5, 50.0, 50.5, np.inf, np.nan)], dtype=kind))
    assert (found.violations["wide"]["out_of_range"], found.violations["wide"]["far_out_of_range"]) == (6, 2)
    assert (found.violations["constant"]["out_of_range"], found.violations["constant"]["far_out_of_range"]) == (9, 9)
    huge = Baseline.from_data(np.array([[-1.7e308], [1.7e308]]), model="spans", version="2", feature_names=["huge"])
    assert not counted(huge, np.array([[-1.75e308], [1.75e308], [-np.inf]])).violations["huge"]["far_out_of_range"]


def test_names_that_are_numbers_match_as_text(counted):
    baseline = Baseline.from_data(pd.DataFrame({0: [1, 2], 1: [3, 4]}), model="numbered", version="1")
    expected = counted(baseline, np.array([[1, 3]])).features
    assert counted(baseline, pd.DataFrame({1: [3], 0: [1]})).features == expected
    assert counted(baseline, {1: 3, 0: 1}).features == expected


def test_masked_values_are_missing(numeric, counted):
    data = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[True, False], [False, False]])
    assert counted(numeric, data).features["age"]["__missing__"] == 1


def test_a_single_feature_takes_a_flat_batch(counted):
    baseline = Baseline.from_data({"age": [1.0, 2.0, 3.0]}, model="single", version="1")
    assert counted(baseline, np.array([1.0, 2.0])).rows == counted(baseline, [1.0, 2.0]).rows == 2


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_empty_batch_counts_nothing_and_is_no_fault(train, baseline, form, counted):
    found = counted(baseline, form(train[:0]))
    assert (found.rows, found.errors, sum(found.dropped.values())) == (0, {}, 0)


@pytest.mark.parametrize("rows", [2, 20_000], ids=["copied", "counted at once"])
def test_what_happens_to_the_input_later_changes_nothing(numeric, rows):
    data = np.tile([[40.0, 1.0]], (rows, 1))
    monitor = Monitor(numeric)

    def spoil(batch):
        batch[:] = np.nan

    monitor.wrap(spoil)(data)
    data[:] = np.inf
    counted = testing.collect(monitor)
    assert counted.features["age"]["__missing__"] == 0
    assert counted.violations["age"]["infinite"] == 0


def test_columns_of_lists_are_copied_too(numeric):
    data = {"age": [40.0, "x", None], "visits": [1, 2, 3]}
    monitor = Monitor(numeric)
    monitor.wrap(lambda table: table["age"].clear())(data)
    found = testing.collect(monitor)
    assert (found.violations["age"]["type"], found.features["age"]["__missing__"]) == (1, 1)


def test_without_a_baseline_rows_are_counted():
    monitor = Monitor(model="bare", version="1")
    predict = monitor.wrap(lambda _: None)
    predict(np.ones((3, 2)))
    predict({"a": 1})
    predict(pd.DataFrame({"a": [1, 2]}))
    assert testing.collect(monitor).rows == 6


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ("a text", 1),
        (b"bytes", 1),
        (1.5, 1),
        (None, 1),
        (object(), 1),
        (np.zeros(4), 1),
        (np.zeros((8, 3, 4, 4)), 8),
        ([1.0, 2.0], 1),
        (["a", "b", "c"], 3),
        ([[1.0], [2.0]], 2),
        ({"a": [1, 2, 3]}, 3),
        ({"a": 1.0}, 1),
        (pl.DataFrame({"a": [1, 2]}), 2),
        (pa.table({"a": [1, 2]}), 2),
        (sparse.csr_matrix(np.eye(5)), 5),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else "",
)
def test_without_a_baseline_rows_are_counted_whatever_the_input_is(data, rows, monkeypatch):
    monkeypatch.setenv("OTEL_ML_STRICT", "1")
    monitor = Monitor(model="anything", version="1")
    monitor.wrap(lambda _: None)(data)
    assert testing.collect(monitor).rows == rows


@pytest.mark.parametrize("value", [0.1, np.float64(0.1), np.array(0.1)], ids=["float", "numpy", "0-d"])
def test_a_model_of_one_feature_takes_the_bare_value(value, counted):
    baseline = Baseline.from_data({"amount": np.arange(100.0)}, model="one", version="1")
    found = counted(baseline, value)
    assert (found.rows, found.dropped["unsupported"], found.violations["amount"]["type"]) == (1, 0, 0)


def test_a_value_beside_columns_holds_for_every_row(numeric, counted):
    found = counted(numeric, {"age": (40.0, 41.0), "visits": 1})
    assert (found.rows, sum(found.features["visits"].values()), found.errors) == (2, 2, {})


@pytest.mark.parametrize(
    "frame", [pd.DataFrame, lambda array: pd.DataFrame(array, columns=["a", "b"]), lambda a: pl.DataFrame(a, ["a", "b"])]
)
def test_columns_that_were_only_numbered_are_told_by_their_position(frame, counted):
    data = np.random.default_rng(0).normal(size=(300, 2))
    found = counted(Baseline.from_data(data, model="numbered", version="1"), frame(data))
    assert found.rows == 300
    assert {kind: count for kinds in found.violations.values() for kind, count in kinds.items() if count and "column" in kind} == {}


def test_rows_of_a_frame_are_told_by_name_and_sequences_of_all_kinds_are_rows(train, numeric, counted):
    turned = train[["visits", "age"]].head(3)
    expected = counted(numeric, train[["age", "visits"]].head(3)).features
    assert counted(numeric, [turned.iloc[0], turned.iloc[1], turned.iloc[2]]).features == expected
    assert counted(numeric, deque(turned.to_dict("records"))).features == expected
    assert counted(numeric, np.array(turned.to_dict("records"), dtype=object)).features == expected
