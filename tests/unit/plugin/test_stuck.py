"""A feature that keeps one value for longer than its baseline makes plausible is stuck; what merely repeats is not."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from otel_ml import Baseline, Monitor, testing
from otel_ml._runs import run_limit

COLUMNS = ["mean radius", "mean texture", "worst area", "malignant"]


@pytest.fixture(scope="module")
def cells():
    """569 measured tumours, in the order in which they came."""
    frame = load_breast_cancer(as_frame=True).frame
    frame["malignant"] = np.where(frame["target"] == 0, "yes", "no")
    return frame[COLUMNS]


@pytest.fixture(scope="module")
def baseline(cells):
    return Baseline.from_data(cells, model="cells", version="1")


def stuck(baseline, inputs):
    """What is counted of these calls by a reader that comes by now and then, as readers do."""
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for number, data in enumerate(inputs):
        predict(data)
        if number % 20 == 0:
            testing.collect(monitor)
    found = testing.collect(monitor)
    assert (found.errors, found.dropped["error"]) == ({}, 0)
    return {name: kinds["stuck"] for name, kinds in found.violations.items() if kinds.get("stuck")}


FORMS = {
    "dicts": lambda frame: frame.to_dict("records"),
    "frames": lambda frame: [frame.iloc[[row]] for row in range(len(frame))],
    "batches": lambda frame: [frame.iloc[row : row + 2] for row in range(0, len(frame), 2)],
    "wide batches": lambda frame: [pd.concat([frame.iloc[[row]]] * 300) for row in range(len(frame))],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_sensor_that_repeats_its_last_value_is_stuck_and_no_other(baseline, cells, form):
    assert stuck(baseline, form(cells)) == {}
    broken = cells.copy()
    broken.loc[200:, "mean texture"] = broken.loc[200, "mean texture"]
    assert list(stuck(baseline, form(broken))) == ["mean texture"]


def test_arrays_of_numbers_are_followed_too(cells):
    numbers = cells[COLUMNS[:3]].to_numpy()
    baseline = Baseline.from_data(numbers, model="cells", version="2")
    broken = numbers.copy()
    broken[200:, 1] = broken[200, 1]
    for kind in ("f8", "f4"):
        assert stuck(baseline, list(numbers.astype(kind))) == {}
        found = stuck(baseline, list(broken.astype(kind)))
        assert list(found) == ["f1"]
        assert len(numbers) - 200 >= found["f1"] > 0


def test_a_category_is_stuck_later_the_commoner_it_is(baseline, cells):
    rows = pd.concat([cells] * 3).assign(malignant="no").to_dict("records")
    limit = run_limit(baseline.feature("malignant"))
    assert 400 < limit < 500
    assert stuck(baseline, rows[: int(limit) - 1]) == {}
    assert list(stuck(baseline, rows)) == ["malignant"]


def test_missing_values_among_them_do_not_end_a_run(baseline, cells):
    batches = [cells.iloc[row : row + 4].assign(**{"mean texture": [20.0, np.nan, 20.0, 20.0]}) for row in range(0, 560, 4)]
    assert list(stuck(baseline, batches)) == ["mean texture"]


def test_rows_in_the_order_of_a_column_are_not_stuck(baseline, cells):
    for name in COLUMNS:
        assert stuck(baseline, cells.sort_values(name).to_dict("records")) == {}


def test_one_large_call_is_one_step_of_a_run(baseline, cells):
    same = pd.concat([cells] * 20).assign(malignant="no", **{"mean texture": 20.0})
    assert stuck(baseline, [same] * 9) == {}
    assert stuck(baseline, [same] * 100) == {"mean texture": len(same)}


def test_a_row_that_is_sent_again_and_again_is_no_stuck_input(baseline, cells):
    assert stuck(baseline, [cells.iloc[0].to_dict()] * 2_000) == {}


def test_what_was_nearly_constant_what_may_repeat_and_what_time_moves_is_never_stuck():
    rng = np.random.default_rng(0)
    times = np.datetime64("2026-01-05T00:00:00") + np.arange(2_000) * 60
    data = {"flag": ["no"] * 1_990 + ["yes"] * 10, "price": rng.normal(size=2_000), "load": rng.normal(size=2_000), "at": times}
    baseline = Baseline.from_data(data, model="calm", version="1", schema={"price": {"repeats": True}})
    checked = [feature.name for feature in baseline.features if math.isfinite(run_limit(feature))]
    assert checked == ["load"]
    rows = [{"flag": "no", "price": 1.0, "load": float(value), "at": "2026-02-01T12:00:00Z"} for value in data["load"]]
    assert stuck(baseline, rows) == {}


def test_rows_that_hang_together_in_time_make_longer_runs_plausible():
    rng = np.random.default_rng(0)
    hourly = np.repeat(rng.normal(size=200).round(3), 50)
    data, times = {"temperature": hourly, "load": rng.normal(size=10_000)}, np.arange(10_000)
    blind = Baseline.from_data(data, model="weather", version="1")
    timed = Baseline.from_data(data, model="weather", version="2", time=times)
    assert run_limit(blind.feature("temperature")) == 100
    assert run_limit(timed.feature("temperature")) > 300
    rows = [{"temperature": value, "load": load} for value, load in zip(np.repeat(hourly[::50], 300), rng.normal(size=60_000), strict=True)]
    assert stuck(timed, rows[:9_000]) == {}
    assert stuck(blind, rows[:9_000])["temperature"] > 0


def test_what_is_declared_to_repeat_is_saved(tmp_path):
    baseline = Baseline.from_data({"x": [1.0, 2.0, 3.0]}, model="m", version="1", schema={"x": {"repeats": True}})
    baseline.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json").feature("x").rules.repeats is True
