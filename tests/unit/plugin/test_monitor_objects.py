"""Tensors, sparse matrices, objects with fields and several arguments are read as frames and lists are."""

import dataclasses
import logging
from collections import defaultdict
from typing import NamedTuple

import attrs
import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
import scipy.sparse

from otel_ml import Baseline, ConfigurationError, InvalidInput, Monitor, testing

NUMBERS = np.arange(120.0).reshape(-1, 3)
NAMES = ["a", "b", "c"]


def bins_of(feature):
    return dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True))


@pytest.fixture(scope="module")
def arrays():
    return Baseline.from_data(NUMBERS, model="arrays", version="1", feature_names=NAMES)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


TENSORS = {
    "float64": lambda torch: torch.tensor(NUMBERS),
    "float32": lambda torch: torch.tensor(NUMBERS, dtype=torch.float32),
    "float16": lambda torch: torch.tensor(NUMBERS, dtype=torch.float16),
    "bfloat16": lambda torch: torch.tensor(NUMBERS, dtype=torch.bfloat16),
    "int64": lambda torch: torch.tensor(NUMBERS, dtype=torch.int64),
    "with a gradient": lambda torch: torch.tensor(NUMBERS, requires_grad=True),
    "sparse": lambda torch: torch.tensor(NUMBERS).to_sparse(),
    "a list of rows": lambda torch: list(torch.tensor(NUMBERS)),
    "columns": lambda torch: dict(zip(NAMES, torch.tensor(NUMBERS).T, strict=True)),
    "rows of values": lambda torch: [dict(zip(NAMES, row, strict=True)) for row in torch.tensor(NUMBERS)],
}


@pytest.mark.parametrize("form", TENSORS.values(), ids=TENSORS)
def test_tensors_count_as_arrays_do(torch, arrays, form, counted):
    found = counted(arrays, form(torch))
    assert found.features == {feature.name: bins_of(feature) for feature in arrays.features}
    assert (found.rows, found.errors) == (40, {})


def test_a_tensor_that_is_changed_later_was_counted_as_given(torch, arrays):
    monitor = Monitor(arrays)
    tensor = torch.ones(2, 3)
    monitor.wrap(lambda batch: batch.fill_(float("nan")))(tensor)
    assert testing.collect(monitor).features["a"]["__missing__"] == 0


class Tensor:
    """What TensorFlow's and JAX's tensors show of themselves."""

    def __init__(self, values):
        self._values = values
        self.shape, self.ndim = values.shape, values.ndim

    def __len__(self):
        return len(self._values)

    def __array__(self, dtype=None, copy=None):
        return self._values


def test_a_tensor_of_any_other_framework_is_read_through_the_array_protocol(arrays, counted):
    assert counted(arrays, Tensor(NUMBERS)).features == counted(arrays, NUMBERS).features


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix", "lil_array", "dok_array", "bsr_matrix"])
def test_sparse_matrices_count_as_dense_ones_do(arrays, kind, counted):
    matrix = getattr(scipy.sparse, kind)(NUMBERS)
    assert counted(arrays, matrix).features == counted(arrays, NUMBERS).features


def test_a_large_sparse_matrix_is_made_dense_in_parts(counted):
    baseline = Baseline.from_data(np.eye(500), model="sparse", version="1", bins=2)
    matrix = scipy.sparse.vstack([scipy.sparse.eye_array(500)] * 10).tocsr()
    found = counted(baseline, matrix)
    assert found.rows == 5_000
    assert found.features["f7"] == {label: 10 * count for label, count in bins_of(baseline.features[7]).items()}
    assert counted(baseline, matrix[:, :499]).dropped["unsupported"] == 5_000


@dataclasses.dataclass
class Plain:
    active: bool
    plan: str
    visits: int
    age: float


@dataclasses.dataclass(slots=True)
class Slotted(Plain):
    pass


class Named(NamedTuple):
    active: bool
    plan: str
    visits: int
    age: float


class Model(pydantic.BaseModel):
    active: bool
    plan: str
    visits: int
    age: float


class Open(pydantic.BaseModel, extra="allow"):
    active: bool


@attrs.define
class Attrs:
    active: bool
    plan: str
    visits: int
    age: float


class Struct(msgspec.Struct):
    active: bool
    plan: str
    visits: int
    age: float


@pytest.mark.parametrize("kind", [Plain, Slotted, Named, Model, Open, Attrs, Struct], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("many", [True, False], ids=["a list", "one by one"])
def test_objects_with_fields_are_rows_whose_columns_match_by_name(train, baseline, kind, many):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    rows = [kind(**row) for row in train[["active", "plan", "visits", "age"]].to_dict("records")]
    for data in [rows] if many else rows:
        predict(data)
    found = testing.collect(monitor)
    assert found.features == {feature.name: bins_of(feature) for feature in baseline.features}
    assert (found.errors, found.violations["__other__"]) == ({}, {"extra_column": 0})


def test_an_object_of_columns_is_a_batch(numeric, counted):
    batch = NamedTuple("Batch", [("visits", list), ("age", np.ndarray)])([1, 2, 3], np.array([30.0, 40.0, 50.0]))
    assert counted(numeric, batch).features == counted(numeric, batch._asdict()).features


TABLE = {"extra": [1, 1], "visits": [1, 2], "age": [40.0, 41.0], "more": ["x", "y"]}
TABLES = {
    "pandas": pd.DataFrame(TABLE),
    "polars": pl.DataFrame(TABLE),
    "pyarrow": pa.table(TABLE),
    "records": pd.DataFrame(TABLE).to_records(index=False),
    "columns": TABLE,
    "dicts": pd.DataFrame(TABLE).to_dict("records"),
    "default dicts": [defaultdict(int, row) for row in pd.DataFrame(TABLE).to_dict("records")],
    "named tuples": list(pd.DataFrame(TABLE).itertuples(index=False)),
    "row": pd.DataFrame(TABLE).iloc[0],
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_columns_match_by_name_and_further_ones_are_counted_and_named_once(numeric, table, counted, caplog):
    with caplog.at_level(logging.WARNING, "otel_ml"):
        found = counted(numeric, table)
    assert (
        found.features["visits"] == counted(numeric, {"age": [40.0, 41.0][: found.rows], "visits": [1, 2][: found.rows]}).features["visits"]
    )
    assert found.violations["__other__"] == {"extra_column": found.rows}
    assert "does not have: 'extra', 'more';" in caplog.records[0].getMessage()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_rejected_input_names_the_further_columns(numeric, table):
    with pytest.raises(InvalidInput) as caught:
        Monitor(numeric, on_invalid="reject", invalid=["extra_column"]).wrap(lambda _: None)(table)
    assert caught.value.violations == [{"row": 0, "feature": name, "violation": "extra_column"} for name in ("extra", "more")]


def test_of_rows_the_first_that_has_a_further_column_is_told(numeric):
    rows = [{"age": 1.0, "visits": 1}, {"age": 1.0, "visits": 1, "b\n": 0}, {"age": 1.0, "visits": 1, "b\n": 0, "country": "ch"}]
    baseline = dataclasses.replace(numeric, version="further")
    monitor = Monitor(baseline, on_invalid="reject", invalid=["extra_column"], segment="country", segments=["ch"])
    with pytest.raises(InvalidInput, match=r"row 1: 'b\\n' extra_column") as caught:
        monitor.wrap(lambda _: None)(rows)
    assert len(caught.value.violations) == 1


def test_each_further_column_is_told_once_and_a_flood_of_them_not_at_all(numeric, caplog):
    predict = Monitor(numeric).wrap(lambda _: None)
    for names in [("a",), ("a",), ("b", "a"), ("a", "b"), *((f"x{number}",) for number in range(200))]:
        predict({"age": 1.0, "visits": 1, **dict.fromkeys(names, 0)})
    told = [record.getMessage() for record in caplog.records]
    assert ["does not have: 'a';" in told[0], "does not have: 'b';" in told[1], len(told)] == [True, True, 100]


def test_a_renamed_column_is_a_missing_and_a_further_one(numeric, caplog):
    monitor = Monitor(numeric)
    predict = monitor.wrap(lambda _: None)
    row = defaultdict(float, {"Age": 40.0, "visits": 1})
    for _ in range(3):
        predict(row)
    found = testing.collect(monitor)
    assert (found.violations["age"]["missing_column"], found.violations["__other__"]["extra_column"]) == (3, 3)
    assert len(caplog.records) == 1
    assert list(row) == ["Age", "visits"]


def test_names_from_outside_are_limited_in_number_and_length(numeric, caplog):
    row = {"age": 1.0, "visits": 1} | {"x" * 10_000 + str(number): 1 for number in range(500)}
    Monitor(numeric).wrap(lambda _: None)(row)
    message = caplog.records[0].getMessage()
    assert "and 490 more" in message
    assert len(message) < 2_000


def pair(age, visits=1, *, unused=None, **more):
    return [0.4]


@pytest.mark.parametrize(
    ("inputs", "args", "kwargs"),
    [
        (["age", "visits"], (40.0, 2), {}),
        (("visits", "age"), (40.0,), {"visits": 2}),
        (["age", "visits"], (), {"age": 40.0, "visits": 2, "unused": 7}),
        (["age", "visits"], ([40.0, 40.0],), {"visits": [2, 2]}),
        (["age", "visits"], (np.array([40.0]), [2]), {}),
        ("unused", (1,), {"unused": {"age": 40.0, "visits": 2}}),
        ("request", (1,), {"request": [[40.0, 2]]}),
        (lambda age, visits, **_: {"age": age + 1, "visits": visits}, (39.0, 2), {}),
    ],
)
def test_the_input_may_be_several_arguments_one_of_them_or_made_from_them(numeric, inputs, args, kwargs):
    monitor = Monitor(numeric, inputs=inputs)
    assert monitor.wrap(pair)(*args, **kwargs) == [0.4]
    found = testing.collect(monitor)
    expected = Monitor(numeric)
    expected.wrap(pair)([[40.0, 2]] * found.rows)
    assert found.rows
    assert found.features == testing.collect(expected).features


def test_an_argument_that_was_not_given_has_its_default(numeric):
    monitor = Monitor(numeric, inputs=["age", "visits"])
    monitor.wrap(pair)(40.0)
    assert testing.collect(monitor).violations["visits"]["missing"] == 0


def test_a_name_that_is_no_parameter_stops_the_start(numeric):
    with pytest.raises(ConfigurationError, match="inputs: 'agee' is no parameter; it has age, visits"):
        Monitor(numeric, inputs=["agee", "visits"]).wrap(lambda age, visits: None)


def test_a_function_that_cannot_make_the_input_is_a_fault_and_the_prediction_goes_out(numeric):
    monitor = Monitor(numeric, inputs=lambda *_: 1 / 0)
    assert monitor.wrap(pair)(40.0) == [0.4]
    found = testing.collect(monitor)
    assert found.errors == {"ZeroDivisionError": 1}
    assert (found.predictions["no"], found.dropped) == (1, {"error": 1, "unsupported": 0})
