"""Golden records prove that what serves is what was trained: on real data, the classic bugs of serving are each caught."""

import asyncio
import functools
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from otel_ml import Baseline, BaselineError, ConfigurationError, Monitor, shadow, testing
from otel_ml import catalogue as names
from otel_ml.baseline import Batch

CODES = {"low": 0, "middle": 1, "high": 2}


@pytest.fixture(scope="module")
def wine():
    """Thirteen measurements of real wines, one of them as words."""
    frame = load_wine(as_frame=True).data
    words = pd.cut(frame["alcohol"], 3, labels=list(CODES)).astype(str)
    return frame.assign(strength=words).drop(columns="alcohol")


@pytest.fixture(scope="module")
def labels():
    return load_wine().target


def encoded(frame, codes):
    return frame.assign(strength=frame["strength"].map(codes)).to_numpy(float)


@pytest.fixture(scope="module")
def parts(wine, labels):
    scaler = StandardScaler().fit(encoded(wine, CODES))
    return scaler, LogisticRegression(max_iter=1_000).fit(scaler.transform(encoded(wine, CODES)), labels)


@pytest.fixture(scope="module")
def baseline(wine, labels, parts):
    scaler, model = parts
    made = scaler.transform(encoded(wine, CODES))
    return Baseline.from_data(
        wine,
        model="wine",
        version="1",
        predictions=model.predict_proba(made),
        labels=labels,
        golden=24,
        transform=lambda frame: scaler.transform(encoded(frame, CODES)),
    )


def verified(baseline, predict, **options):
    monitor = Monitor(baseline)
    found = monitor.verify(predict, **options)
    counted = testing.collect(monitor)
    assert counted.rows == 0
    assert counted.verifications == {
        "match": found.matches,
        "mismatch": 0 if found.error else 24 - found.matches,
        "error": 24 if found.error else 0,
    }
    return found


def test_what_was_trained_is_what_serves(baseline, parts, tmp_path):
    scaler, model = parts
    baseline.save(tmp_path / "b.json")
    loaded = Baseline.load(tmp_path / "b.json")
    assert loaded == baseline
    found = verified(
        loaded,
        lambda frame: model.predict_proba(scaler.transform(encoded(frame, CODES))),
        transform=lambda frame: scaler.transform(encoded(frame, CODES)),
    )
    assert (found.ok, found.records, found.matches) == (True, 24, 24)


BUGS = {
    "the scaler is forgotten": lambda scaler, frame: encoded(frame, CODES),
    "two columns are swapped": lambda scaler, frame: scaler.transform(encoded(frame, CODES)[:, [1, 0, *range(2, 13)]]),
    "the encoding is changed": lambda scaler, frame: scaler.transform(encoded(frame, {"high": 0, "low": 1, "middle": 2})),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_classic_bugs_of_serving_are_caught_with_the_rows_that_differ(baseline, parts, bug):
    scaler, model = parts
    found = verified(baseline, lambda frame: model.predict_proba(bug(scaler, frame)), transform=lambda frame: bug(scaler, frame))
    assert not found.ok
    assert len({mismatch.row for mismatch in found.mismatches}) > 12
    assert {mismatch.part for mismatch in found.mismatches} == {"features", "output"}
    assert len(found.mismatches[0].expected) == len(found.mismatches[0].actual)


def test_a_model_that_raises_is_part_of_the_result(baseline):
    found = verified(baseline, lambda frame: frame["alcohol"])
    assert (found.ok, found.matches, found.error) == (False, 0, "KeyError: 'alcohol'")


FORMS = {
    "pandas": lambda frame: frame.astype({"strength": "category", "proline": "float32"}),
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "dicts": lambda frame: frame.to_dict("records"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_records_come_in_the_form_that_the_model_takes(wine, form):
    data = form(wine.assign(at=pd.Timestamp("2026-01-01 12:00"), hue=wine["hue"].where(wine["hue"] > 0.7)))
    names = list(data[0]) if isinstance(data, list) else None
    baseline = Baseline.from_data(data, model="forms", version="1", predictions=wine["proline"].to_numpy(), golden=10, feature_names=names)
    seen = []
    found = Monitor(baseline).verify(lambda table: seen.append(table) or [row[-3] for row in baseline.golden.rows])
    assert found.records == 10
    assert type(seen[0]) is type(data)
    if isinstance(data, pd.DataFrame):
        assert seen[0].dtypes.to_dict() == data.dtypes.to_dict()
    if names is None:
        assert list(map(str, seen[0]["at"].to_numpy().astype("M8[m]"))) == ["2026-01-01T12:00"] * 10


def test_categories_keep_their_type_and_order_and_lists_stay_lists():
    """A model sees their codes, which those of a few rows alone would not have."""
    draw = np.random.default_rng(0)
    sizes, shops = draw.choice(["low", "high", "none"], 500, p=[0.49, 0.49, 0.02]), draw.integers(1, 90, 500)
    frame = pd.DataFrame({"size": pd.Categorical(sizes, ["none", "low", "high"], ordered=True), "shop": pd.Categorical(shops)})
    frame.loc[::9, "size"] = None

    def codes(data):
        return (data["size"].cat.codes + 100 * data["shop"].cat.codes).to_numpy(float)

    baseline = Baseline.from_data(frame, model="codes", version="1", predictions=codes(frame), golden=12)
    seen = []
    assert Monitor(baseline).verify(lambda data: seen.append(data) or codes(data)).ok
    assert seen[0].dtypes.to_dict() == frame.dtypes.to_dict()

    rows = draw.normal(size=(50, 2)).tolist()
    baseline = Baseline.from_data(
        rows, model="lists", version="1", predictions=[row[0] for row in rows], golden=5, feature_names=["a", "b"]
    )
    assert Monitor(baseline).verify(lambda given: [row[0] for row in given]).ok


def test_the_categories_of_thousands_of_rows_are_not_kept():
    """They may be names of people, of whom the file is to hold the records' alone."""
    people = [f"person {number}" for number in range(2_000)]
    frame = pd.DataFrame({"age": np.arange(2_000.0) % 80, "who": pd.Categorical(people)})
    baseline = Baseline.from_data(frame, model="people", version="1", predictions=frame["age"].to_numpy(), golden=12)
    assert Monitor(baseline).verify(lambda data: data["age"].to_numpy() if data["who"].dtype == "category" else []).ok
    assert baseline.golden.dtypes == ("float64", "category")


def test_a_matrix_stays_one_and_labels_compare_as_labels():
    data = np.random.default_rng(0).normal(size=(50, 3))
    answers = np.where(data[:, 0] > 0, "yes", "no")
    baseline = Baseline.from_data(data, model="matrix", version="1", predictions=answers, golden=5)
    assert Monitor(baseline).verify(lambda rows: np.where(rows[:, 0] > 0, "yes", "no")).ok
    wrong = Monitor(baseline).verify(lambda rows: np.where(rows[:, 1] > 0, "yes", "no"))
    assert {(mismatch.expected, mismatch.actual) for mismatch in wrong.mismatches} <= {("yes", "no"), ("no", "yes")}
    assert Monitor(baseline).verify(lambda rows: ["yes"]).matches == 0


@pytest.fixture
def sums():
    data = np.random.default_rng(0).normal(size=(50, 3))
    return Baseline.from_data(data, model="sums", version="1", predictions=data.sum(axis=1), golden=5)


class Service:
    def predict(self, rows):
        return rows.sum(axis=1)

    async def slow(self, rows):
        await asyncio.sleep(0)
        return rows.sum(axis=1)


def monitored(monitor):
    class Monitored(Service):
        predict = monitor.wrap(Service.predict)
        slow = monitor.wrap(Service.slow)

    return Monitored()


@pytest.mark.parametrize("method", ["predict", "slow"])
def test_a_monitored_function_is_verified_without_its_monitor(sums, method):
    monitor = Monitor(sums)
    function = monitor.wrap(getattr(Service(), method))
    assert monitor.verify(function).ok
    assert monitor.verify(getattr(monitored(monitor), method)).ok
    assert testing.collect(monitor).rows == 0
    assert testing.collect(monitor).verifications == {"match": 5, "mismatch": 0, "error": 0}


def test_a_decorator_around_the_monitored_function_is_verified_too(sums):
    monitor = Monitor(sums, abstain=lambda _: True, fallback="withheld")

    def scaled(function):
        @functools.wraps(function)
        def inner(self, rows):
            return function(self, rows * 2)

        return inner

    class Scaled(Service):
        predict = scaled(monitor.wrap(Service.predict))
        slow = scaled(monitor.wrap(Service.slow))

    for predict in (Scaled().predict, Scaled().slow, monitor.wrap(Scaled().predict), lambda rows: Scaled().predict(rows)):
        found = monitor.verify(predict)
        assert (found.matches, found.error) == (0, None)
        assert "withheld" not in [mismatch.actual for mismatch in found.mismatches]
    counted = testing.collect(monitor)
    assert (counted.rows, counted.errors) == (0, {})


def test_the_records_do_not_reach_a_shadow(sums):
    seen = []
    candidate = Monitor(model="sums", version="2", role="shadow").wrap(seen.append)
    for primary in (Service().predict, Monitor(sums).wrap(Service().predict)):
        assert Monitor(sums).verify(shadow(primary, candidate)).ok
    assert seen == []


def test_answers_are_compared_as_the_monitor_reads_them(sums):
    monitor = Monitor(sums, output=lambda answer: answer["sums"])
    assert monitor.verify(lambda rows: {"sums": rows.sum(axis=1).tolist(), "n": len(rows)}).ok


def test_a_model_that_takes_one_row_at_a_time_is_given_them_one_by_one():
    rows = [{"a": float(a), "b": 2.0} for a in range(20)]
    baseline = Baseline.from_data(rows, model="single", version="1", predictions=[row["a"] * 2 for row in rows], golden=5)
    assert Monitor(baseline).verify(lambda row: row["a"] * row["b"]).ok
    wrong = Monitor(baseline).verify(lambda row: row["a"] * row["c"])
    assert wrong.error.startswith("TypeError")


def test_the_last_verification_counts_and_none_is_no_verification(sums):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])

    def reported():
        found = reader.get_metrics_data()
        points = [
            point
            for scope in (found.resource_metrics[0].scope_metrics if found else ())
            for metric in scope.metrics
            if metric.name == names.VERIFICATION_RECORDS.name
            for point in metric.data.data_points
        ]
        return {point.attributes[names.VERIFICATION_RESULT]: point.value for point in points}

    monitor = Monitor(sums, meter_provider=provider)
    assert reported() == {}
    monitor.verify(lambda rows: rows.sum(axis=1) + 1)
    assert reported() == {"match": 0, "mismatch": 5, "error": 0}
    Monitor(sums, meter_provider=provider).verify(Service().predict)
    assert reported() == {"match": 5, "mismatch": 0, "error": 0}
    provider.shutdown()


def test_a_coroutine_is_awaited_even_where_a_loop_runs(sums):
    async def start():
        return Monitor(sums).verify(Service().slow)

    assert Monitor(sums).verify(Service().slow).ok
    assert asyncio.run(start()).ok


def test_batches_give_records_too(wine):
    half = len(wine) // 2
    parts = [Batch(part, part["hue"].to_numpy()) for part in (wine[:half], wine[half:])]
    for sample in (1_000, 100):
        baseline = Baseline.from_batches(lambda: parts, model="parts", version="1", golden=8, sample=sample)
        assert len(baseline.golden.rows) == 8
        assert Monitor(baseline).verify(lambda frame: frame["hue"]).ok


def test_no_row_is_stored_unless_it_is_asked_for(wine):
    baseline = Baseline.from_data(wine, model="private", version="1", predictions=wine["hue"].to_numpy())
    assert "golden" not in baseline.to_dict()
    with pytest.raises(ConfigurationError, match="golden: records are none; build the baseline with golden=24"):
        Monitor(baseline).verify(len)
    with pytest.raises(BaselineError, match="golden: needs predictions"):
        Baseline.from_data(wine, model="private", version="1", golden=5)


@pytest.mark.parametrize(("option", "value"), [("predict", "model"), ("transform", 3), ("tolerance", "1%"), ("tolerance", -1)])
def test_options_that_cannot_be_are_refused_by_name(baseline, option, value):
    with pytest.raises(ConfigurationError, match=f"{option}: is {value!r}; give "):
        Monitor(baseline).verify(**{"predict": len, option: value})


def test_a_transformation_that_fails_gives_no_baseline(wine):
    with pytest.raises(BaselineError, match="transform: raised ZeroDivisionError"):
        Baseline.from_data(wine, model="m", version="1", predictions=wine["hue"].to_numpy(), golden=4, transform=lambda _: 1 / 0)


def test_a_golden_record_that_lacks_a_value_is_refused(baseline, tmp_path):
    document = json.loads(json.dumps(baseline.to_dict()))
    document["golden"]["records"]["3"]["row"].pop()
    document["golden"]["form"] = "excel"
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(BaselineError) as caught:
        Baseline.load(tmp_path / "b.json")
    assert {fault.place for fault in caught.value.faults} >= {"golden.records", "golden.form"}
