"""What breaks the schema is counted by kind; a monitor that rejects says which value of which row, before the model is called."""

import json
import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import otel_ml
from otel_ml import Baseline, BaselineError, ConfigurationError, InvalidInput, Monitor, testing

SCHEMA = {
    "age": {"minimum": 0, "maximum": 120},
    "zip": {"type": "categorical", "pattern": r"\d{5}"},
    "plan": {"enum": ["basic", "pro", "trial"]},
    "note": {"type": "text", "pattern": r"(?s).{0,60}", "required": True},
    "score": {"required": False},
}
ROW = {"age": 40.0, "zip": "10115", "plan": "pro", "note": "all is well", "score": 0.5, "at": "2026-01-01"}


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(0)
    return Baseline.from_data(
        {
            "age": rng.uniform(18, 90, 800).round(1),
            "zip": [f"{number:05}" for number in rng.integers(10_000, 10_050, 800)],
            "plan": rng.choice(["basic", "pro"], 800),
            "note": [f"note {number}" for number in range(800)],
            "score": rng.normal(size=800),
            "at": np.datetime64("2026-01-01") + rng.integers(0, 90, 800),
        },
        model="checked",
        version="1",
        predictions=rng.random(800),
        schema=SCHEMA,
    )


def test_what_is_declared_is_saved_and_loaded(baseline, tmp_path):
    baseline.save(tmp_path / "b.json")
    loaded = Baseline.load(tmp_path / "b.json")
    assert loaded == baseline
    assert loaded.feature("age").rules.maximum == 120
    assert loaded.feature("note.length").rules.required is True


VIOLATIONS = [
    ("age", -3, "age", {"bounds", "out_of_range"}),
    ("age", 130.0, "age", {"bounds", "out_of_range"}),
    ("age", 95.0, "age", {"out_of_range"}),
    ("age", 0, "age", {"default", "out_of_range"}),
    ("age", -999, "age", {"default", "bounds", "out_of_range", "far_out_of_range"}),
    ("age", "40", "age", {"type"}),
    ("age", None, "age", {"missing"}),
    ("age", float("inf"), "age", {"infinite", "bounds"}),
    ("zip", "1011", "zip", {"pattern", "unseen"}),
    ("zip", 10115, "zip", {"unseen"}),
    ("zip", "", "zip", {"pattern", "unseen", "default"}),
    ("plan", "trial", "plan", {"unseen"}),
    ("plan", "gold", "plan", {"unseen", "not_allowed"}),
    ("plan", "N/A", "plan", {"unseen", "not_allowed", "default"}),
    ("note", "x" * 61, "note.length", {"pattern", "out_of_range", "far_out_of_range"}),
    ("note", None, "note.length", {"missing"}),
    ("note", 5, "note.length", {"type"}),
    ("score", None, "score", set()),
    ("score", 0.0, "score", {"default"}),
    ("at", "soon", "at.weekday", {"unseen"}),
]


@pytest.mark.parametrize("violation", VIOLATIONS, ids=[f"{column} {str(value)[:8]}" for column, value, _, _ in VIOLATIONS])
def test_each_violation_is_counted_by_its_kinds(baseline, violation, counted):
    column, value, feature, kinds = violation
    found = counted(baseline, [ROW | {column: value}])
    clean = counted(baseline, [ROW])
    assert found.errors == {}
    new = {kind for kind, count in found.violations[feature].items() if count and not clean.violations[feature][kind]}
    assert new == kinds - {kind for kind, count in clean.violations[feature].items() if count}


def test_defaults_are_counted_in_arrays_of_every_precision(counted):
    rng = np.random.default_rng(0)
    data = np.column_stack([rng.normal(size=5_000), rng.uniform(1, 5, 5_000), rng.integers(0, 3, 5_000)])
    baseline = Baseline.from_data(data, model="defaults", version="1")
    served = data.copy()
    served[:100] = 0
    served[100:140, 0] = -999
    for kind in ("f8", "f4"):
        found = counted(baseline, served.astype(kind)).violations
        assert [found[name]["default"] for name in ("f0", "f1", "f2")] == [140, 100, 0]
    assert not any(kinds.get("default") for kinds in counted(baseline, data).violations.values())


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"agee": {}}, "schema: 'agee' is not a column"),
        ({"age": 5}, "schema['age']: is int"),
        ({"age": {"max": 5}}, "schema['age']: 'max' is unknown"),
        ({"age": {"type": "number"}}, "schema['age']: type 'number' is unknown"),
        ({"age": {"minimum": 5, "maximum": 1}}, "schema['age']: minimum and maximum are 5, 1"),
        ({"age": {"minimum": "a"}}, "schema['age']: minimum and maximum are 'a'"),
        ({"age": {"pattern": "("}}, "schema['age']: pattern is no regular expression"),
        ({"age": {"pattern": "a"}}, "schema['age']: pattern is for text"),
        ({"age": {"enum": [1]}}, "schema['age']: enum is for categories"),
        ({"plan": {"enum": "pro"}}, "schema['plan']: enum is no list"),
        ({"plan": {"minimum": 1}}, "schema['plan']: minimum and maximum are for numbers"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused_with_the_place_and_the_mend(schema, expected):
    with pytest.raises(BaselineError) as caught:
        Baseline.from_data({"age": [1.0, 2.0], "plan": ["a", "b"]}, model="m", version="1", schema=schema)
    assert any(str(fault).startswith(expected) for fault in caught.value.faults), caught.value


FORMS = {
    "dicts": lambda rows: rows,
    "pandas": pd.DataFrame,
    "polars": lambda rows: pl.DataFrame(rows, strict=False),
    "columns": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    "series": lambda rows: dict(pd.DataFrame(rows, index=[7, 8]).items()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_invalid_input_is_rejected_before_the_call_and_counted(baseline, form):
    monitor = Monitor(baseline, on_invalid="reject")
    called = []
    predict = monitor.wrap(called.append)
    predict(form([ROW, ROW]))
    with pytest.raises(InvalidInput) as caught:
        predict(form([ROW, ROW | {"age": 130.0, "zip": "1"}]))
    assert len(called) == 1
    assert json.loads(json.dumps(caught.value.violations)) == [
        {"row": 1, "feature": "age", "violation": "bounds"},
        {"row": 1, "feature": "zip", "violation": "pattern"},
    ]
    assert "row 1: age bounds; row 1: zip pattern" in str(caught.value)
    found = testing.collect(monitor)
    assert (found.rows, found.violations["age"]["bounds"]) == (4, 1)


REJECTED = [(column, value) for column, value, _, kinds in VIOLATIONS if kinds & {"bounds", "type", "missing", "pattern", "not_allowed"}]


@pytest.mark.parametrize(("column", "value"), [*REJECTED, ("at", "soon")], ids=str)
def test_what_is_counted_as_invalid_is_what_is_rejected(baseline, column, value):
    predict = Monitor(baseline, on_invalid="reject").wrap(lambda _: [0.5])
    with pytest.raises(InvalidInput) as caught:
        predict(ROW | {column: value})
    assert [found["feature"] for found in caught.value.violations] == [column]
    rest = [(name, other) for name, other, _, _ in VIOLATIONS if (name, other) not in REJECTED and name != "at"]
    for name, other in rest:
        assert predict(ROW | {name: other}) == [0.5]


def test_what_is_invalid_is_the_owner_s_choice(baseline):
    predict = Monitor(baseline, on_invalid="reject", invalid=["out_of_range", "unseen", "default", "extra_column", "infinite"]).wrap(
        lambda _: [0.5]
    )
    assert predict(ROW | {"age": None, "zip": "10001"}) == [0.5]
    for change, kind in [
        ({"age": 95.0}, "out_of_range"),
        ({"age": -999}, "default"),
        ({"plan": "trial"}, "unseen"),
        ({"age": np.inf}, "infinite"),
        ({"new": 1}, "extra_column"),
    ]:
        with pytest.raises(InvalidInput) as caught:
            predict(ROW | {"zip": "10001"} | change)
        assert [(found["feature"], found["violation"]) for found in caught.value.violations] == [(next(iter(change)), kind)]


def test_a_lacking_column_and_an_input_that_cannot_be_read_are_rejected(baseline):
    predict = Monitor(baseline, on_invalid="reject").wrap(lambda _: [0.5])
    with pytest.raises(InvalidInput) as caught:
        predict({name: value for name, value in ROW.items() if name != "plan"})
    assert caught.value.violations == [{"row": 0, "feature": "plan", "violation": "missing_column"}]
    with pytest.raises(InvalidInput, match="input unreadable: a row of 2 values where the baseline has 6"):
        predict([[1, 2]])


@pytest.mark.parametrize("form", [np.array, np.ndarray.tolist, scipy.sparse.csr_array, lambda data: data.astype("f4")])
def test_numbers_are_checked_in_every_form(form):
    data = np.random.default_rng(0).uniform(1, 2, (2_000, 600))
    baseline = Baseline.from_data(data[:50], model="wide", version="1", schema={"f7": {"maximum": 3}})
    predict = Monitor(baseline, on_invalid="reject").wrap(lambda _: None)
    predict(form(data))
    data[1_999, 7], data[3, 9] = 4, np.nan
    with pytest.raises(InvalidInput) as caught:
        predict(form(data))
    assert sorted((found["row"], found["feature"], found["violation"]) for found in caught.value.violations) == [
        (3, "f9", "missing"),
        (1_999, "f7", "bounds"),
    ]


def test_a_long_list_of_violations_is_cut(baseline):
    with pytest.raises(InvalidInput) as caught:
        Monitor(baseline, on_invalid="reject").wrap(lambda _: None)([ROW | {"age": None}] * 5_000)
    assert len(caught.value.violations) == 100
    assert str(caught.value).endswith("; and 95 more")


def test_a_warning_is_logged_once_for_each_feature_and_kind_and_the_model_is_called(baseline, caplog):
    predict = Monitor(baseline, on_invalid="warn").wrap(lambda _: [0.5])
    with caplog.at_level(logging.WARNING, "otel_ml"):
        for _ in range(3):
            assert predict(ROW | {"age": 130.0}) == [0.5]
        assert predict(ROW | {"age": None}) == [0.5]
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "model checked: the input is not valid: row 0: age bounds",
        "model checked: the input is not valid: row 0: age missing",
    ]


def test_a_coroutine_rejects_when_it_is_awaited(baseline):
    import asyncio

    async def predict(_):
        return [0.5]

    monitored = Monitor(baseline, on_invalid="reject").wrap(predict)
    assert asyncio.run(monitored(ROW)) == [0.5]
    with pytest.raises(InvalidInput):
        asyncio.run(monitored(ROW | {"age": None}))


def test_inputs_are_rejected_though_telemetry_is_switched_off(baseline, monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    predict = otel_ml.monitor(baseline, on_invalid="reject")(lambda _: [0.5])
    assert predict(ROW) == [0.5]
    with pytest.raises(InvalidInput):
        predict(ROW | {"age": None})


@pytest.mark.parametrize("action", ["observe", "warn"])
def test_inputs_are_rejected_inside_another_monitor_of_the_model_but_checked_only_once(baseline, action):
    outer, inner = Monitor(baseline, on_invalid=action), Monitor(baseline, on_invalid="reject")
    predict = outer.wrap(inner.wrap(lambda _: [0.5]))
    assert predict(ROW) == [0.5]
    with pytest.raises(InvalidInput):
        predict(ROW | {"age": None})
    assert (testing.collect(outer).rows, testing.collect(inner).rows) == (2, 0)
    assert inner.wrap(lambda row: inner.wrap(lambda _: [0.5])(row | {"age": None}))(ROW) == [0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_invalid": "explode"}, "on_invalid: is 'explode'; give one of observe, warn, reject"),
        ({"on_invalid": "reject", "invalid": ["odd"]}, "invalid: 'odd' is unknown"),
    ],
)
def test_options_that_make_no_sense_stop_the_start(baseline, options, message):
    with pytest.raises(ConfigurationError, match=message):
        Monitor(baseline, **options)
    with pytest.raises(ConfigurationError, match="on_invalid: needs a baseline"):
        Monitor(model="bare", version="1", on_invalid="reject")
