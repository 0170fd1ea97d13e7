"""`Baseline.from_data`: any table gives the same baseline, and data that give none are refused with every reason."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from otel_ml import Baseline, BaselineError


def build(data, **options):
    return Baseline.from_data(data, **{"model": "churn", "version": "3", **options})


def bins(data, **options):
    histogram = build(data, **options).features[0].histogram
    return dict(zip(histogram.labels, histogram.counts, strict=True))


def faults(data, **options):
    with pytest.raises(BaselineError) as caught:
        build(data, **options)
    return [str(fault) for fault in caught.value.faults]


AGES = [18.5, 30.0, None, 61.25, 30.0, 18.5, 44.0]
PLANS = ["basic", None, "pro", "basic", "größer", "", "pro"]
TABLE = {"age": AGES, "plan": PLANS, "active": [True, False, True, True, False, True, True]}


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(TABLE),
        pd.DataFrame(TABLE, index=list("gfedcba")),
        pd.DataFrame(TABLE).convert_dtypes(),
        pd.DataFrame(TABLE).astype({"plan": "category", "age": "Float32"}),
        pl.DataFrame(TABLE),
        pa.table(TABLE),
        pa.RecordBatch.from_pydict(TABLE),
        pd.DataFrame(TABLE).to_records(index=False),
        [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)],
        {name: pd.Series(values) for name, values in TABLE.items()},
        np.array(list(zip(*TABLE.values(), strict=True)), dtype=object),
    ],
    ids=["pandas", "index", "extension", "category", "polars", "pyarrow", "batch", "records", "dicts", "columns", "objects"],
)
def test_every_kind_of_table_gives_the_same_fingerprint(table):
    names = list(TABLE) if type(table) is np.ndarray else None
    assert build(table, feature_names=names).fingerprint == build(TABLE).fingerprint


def test_numbers_in_any_precision_that_holds_them_give_the_same_fingerprint():
    numbers = np.arange(60).reshape(-1, 3)
    found = {build(numbers.astype(kind)).fingerprint for kind in ("i1", "u8", "i8", "f2", "f4", "f8", "O")}
    assert found == {build(numbers.tolist()).fingerprint}


def test_feature_names_choose_and_order_the_columns():
    assert [feature.name for feature in build(TABLE, feature_names=["plan", "age"]).features] == ["plan", "age"]


def test_intervals_are_closed_on_the_right_and_missing_values_have_a_bin_of_their_own():
    assert bins({"a": [1, 2, 3, 4, None, float("nan"), pd.NaT, pd.NA]}, bins=2) == {
        "00 (-inf, 2]": 2,
        "01 (2, inf]": 2,
        "__missing__": 4,
        "__other__": 0,
    }


def test_a_value_that_holds_more_than_its_share_has_an_interval_of_its_own():
    assert bins({"a": [0] * 90 + list(range(1, 11))}, bins=10)["00 (-inf, 0]"] == 90


def test_infinite_values_fall_in_the_outer_intervals_and_bound_nothing():
    feature = build({"a": [float("-inf"), 1.0, 2.0, float("inf")]}, bins=2).features[0]
    assert feature.histogram.counts == (2, 2, 0, 0)
    assert (feature.minimum, feature.maximum, feature.mean) == (1.0, 2.0, 1.5)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([5, 5, 5], {"00 (-inf, inf]": 3, "__missing__": 0, "__other__": 0}),
        ([None, None], {"00 (-inf, inf]": 0, "__missing__": 2, "__other__": 0}),
        ([7], {"00 (-inf, inf]": 1, "__missing__": 0, "__other__": 0}),
        ([10**400, -(10**400), 1], {"00 (-inf, inf]": 3, "__missing__": 0, "__other__": 0}),
        ([Decimal("1.5"), Decimal("NaN")], {"00 (-inf, inf]": 1, "__missing__": 1, "__other__": 0}),
        ([True, False, None], {"False": 1, "True": 1, "__missing__": 1, "__other__": 0}),
        (["", "a", "3", 3, 3.0], {"": 1, "3": 3, "a": 1, "__missing__": 0, "__other__": 0}),
        ([b"raw", "raw"], {"raw": 2, "__missing__": 0, "__other__": 0}),
        (["__missing__", "__other__", "a"], {"a": 1, "__missing__": 1, "__other__": 1}),
        (["x" * 10_000, "y"], {"x" * 99 + "…": 1, "y": 1, "__missing__": 0, "__other__": 0}),
        (["\ud800"], {"?": 1, "__missing__": 0, "__other__": 0}),
    ],
    ids=["constant", "missing", "one row", "huge", "decimal", "bool", "mixed", "bytes", "reserved", "long", "surrogate"],
)
def test_columns_that_are_not_plain_numbers(column, expected):
    assert bins({"a": column}) == expected


def test_codes_are_categories_where_the_user_says_so():
    assert bins({"a": [3.0, 1.0, 3.0]}, categorical=["a"]) == {"1": 1, "3": 2, "__missing__": 0, "__other__": 0}
    assert bins(pd.DataFrame({"a": pd.Categorical([3, 1, 3])})) == {"1": 1, "3": 2, "__missing__": 0, "__other__": 0}


def test_rare_categories_are_pooled_and_the_vocabulary_ends_somewhere():
    column = [f"c{i:04d}" for i in range(1_200) for _ in range(6 if i < 30 else 1)]
    feature = build({"a": column}).features[0]
    assert feature.histogram.categories == tuple(f"c{i:04d}" for i in range(30))
    assert feature.histogram.counts[-1] == 1_170
    assert len(feature.vocabulary) == 1_000


def test_a_category_of_fewer_than_5_rows_and_1_percent_is_known_but_has_no_bin():
    feature = build({"a": ["x"] * 990 + ["y"] * 6 + ["z"] * 4}).features[0]
    assert feature.histogram.categories == ("x", "y")
    assert feature.histogram.counts == (990, 6, 0, 4)
    assert feature.vocabulary == ("x", "y", "z")
    assert bins({"a": ["x"] * 9 + ["z"]})["z"] == 1


def test_a_nearly_empty_interval_joins_a_neighbour_that_is_not_one_heavy_value():
    values = [0] * 5_000 + [-1, -2] + list(range(1, 4_999))
    assert bins({"a": values})["00 (-inf, -1]"] == 2  # its only neighbour is the heavy value
    between = [0] * 4_000 + [0.5] + [1] * 4_000 + list(range(2, 2_001))
    assert list(bins({"a": between}))[:2] == ["00 (-inf, 0]", "01 (0, 0.5]"]
    beside = [-1] * 1_000 + [-0.5] * 3 + [0] * 5_000 + list(range(1, 3_998))
    assert bins({"a": beside})["00 (-inf, -0.5]"] == 1_003
    assert bins({"a": beside})["01 (-0.5, 0]"] == 5_000


def test_extreme_numbers_are_summarised_without_an_infinity(tmp_path):
    baseline = build(np.array([[1e308, -1e308], [1.7e308, 5e-324], [3.0, 1e300]]))
    baseline.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json") == baseline
    assert baseline.features[0].mean is None


def test_importance_is_normalised():
    baseline = build({"a": [1, 2], "b": [3, 4]}, importance={"a": 3, "b": 1})
    assert [feature.importance for feature in baseline.features] == [0.75, 0.25]


ROWS = {"a": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("predictions", "labels", "task", "classes"),
    [
        ([0.1, 0.9, 0.4, 0.6], None, "binary", ("0", "1")),
        (np.array([[0.1], [0.9], [0.4], [0.6]]), [0, 1, 0, 1], "binary", ("0", "1")),
        ([0.1, 0.9, 0.4, 0.6], ["no", "yes", "no", "yes"], "binary", ("no", "yes")),
        ([0.1, 0.9, 0.4, 0.6], [True, True, True, True], "binary", ("False", "True")),
        ([0.1, 0.9, 0.4, 0.6], [1.0, 0.0, None, 1.0], "binary", ("0", "1")),
        ([0.1, 0.9, 0.4, None], [1, 0, 0, 1], "binary", ("0", "1")),
        ([0, 1, 1, 0], [False, True, True, False], "binary", ("0", "1")),
        ([True, False, True, True], [1, 0, 1, 1], "binary", ("0", "1")),
        (["0", "1", "1", "0"], [0, 1, 1, 0], "binary", ("0", "1")),
        ([-1, 1, 1, -1], None, "binary", ("-1", "1")),
        (np.full((4, 2), 0.5), ["a", "b", "a", "b"], "binary", ("a", "b")),
        (np.full((4, 3), 1 / 3), [10, 9, 100, 9], "multiclass", ("9", "10", "100")),
        (np.full((4, 3), 1 / 3), ["10", "9", "100", "9"], "multiclass", ("10", "100", "9")),
        ([0.1, 0.9, 0.4, 0.6], ["9", "10", "9", None], "binary", ("10", "9")),
        (["9", "10", "9", "10"], None, "binary", ("10", "9")),
        ([(9, 0.8), (10, 0.7), (9, 0.9), (10, 0.6)], None, "binary", ("9", "10")),
        (np.full((4, 3), 1 / 3), [0, 1, 0, 1], "multiclass", ("0", "1", "2")),
        (["a", "b", "c", "a"], None, "multiclass", ("a", "b", "c")),
        ([1, 2, 3, 4], [1, 2, 3, 4], "multiclass", ("1", "2", "3", "4")),
        ([0.1, 0.9, 0.4, 0.6], [0.2, 0.8, 0.3, 0.7], "regression", ()),
        ([10.5, 20.1, -3.0, 4.0], [10, 21, -3, 4], "regression", ()),
        ([Decimal("10.5"), Decimal(2), 3, 4], None, "regression", ()),
        (pd.Series([1.5, None, 3, 4], dtype="Float64"), None, "regression", ()),
    ],
)
def test_task_and_classes_follow_from_predictions_and_labels(predictions, labels, task, classes):
    baseline = build(ROWS, predictions=predictions, labels=labels)
    assert (baseline.task, baseline.classes) == (task, classes)
    assert baseline.prediction.samples == 4


def test_whole_numbers_of_many_values_need_a_task():
    (fault,) = faults({"a": range(200)}, predictions=list(range(200)))
    assert fault == "task: cannot be told from the predictions; give task= one of binary, multiclass, regression, or say logits=True"
    assert build({"a": range(200)}, predictions=list(range(200)), task="regression").prediction.edges


def test_labels_give_confusion_calibration_and_performance():
    baseline = build(ROWS, predictions=[0.2, 0.8, 0.6, 0.4], labels=["no", "yes", "no", None])
    assert baseline.confusion == ((1, 1), (0, 1))
    assert sum(baseline.calibration.outcomes) == 3
    assert sum(baseline.calibration.positives) == 1
    assert sum(baseline.calibration.confidence) == pytest.approx(1.6)
    assert baseline.performance["accuracy"] == pytest.approx(2 / 3)
    assert baseline.performance["brier_score"] == pytest.approx((0.04 + 0.04 + 0.36) / 3)


def test_top_label_confidence_is_calibrated_in_multiclass_models():
    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [np.nan, 0.5, 0.5]])
    baseline = build(ROWS, predictions=shares, labels=["a", "b", "a", "c"])
    assert sum(baseline.calibration.positives) == 2
    assert sum(baseline.calibration.confidence) == pytest.approx(1.9)
    assert baseline.prediction.counts == (1, 1, 1, 1, 0)


SCORES_OF_CLASSES = np.array([[2.0, -1.0, 0.0], [-3.0, 1.0, 0.5], [0.1, 0.2, 4.0], [-1.0, -2.0, -3.0]])


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        (5, {}, "type: int is not a table"),
        ("a,b", {}, "type: str is not a table"),
        ([[1], [2, 3]], {}, "type: list is not a table"),
        (pl.DataFrame(ROWS).lazy(), {}, "type: LazyFrame is not a table"),
        (np.ones((2, 2, 2)), {}, "shape: (2, 2, 2) has 3 dimensions"),
        ([], {}, "rows: there are none"),
        (pd.DataFrame({"a": []}), {}, "rows: there are none"),
        ({"a": [1, 2], "b": [1]}, {}, "columns: have different lengths: {'a': 2, 'b': 1}"),
        ({"a": 3}, {}, "column 'a': is one value"),
        (np.ones((2, 2)), {"feature_names": ["a"]}, "feature_names: 1 names for 2 columns"),
        (np.ones((2, 2)), {"feature_names": ["a", "a"]}, "column 'a': occurs more than once"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "column 'a': occurs more than once"),
        (ROWS, {"feature_names": ["b"]}, "column 'b': is not in the data; it has a"),
        ({"a": [[1], [2]]}, {}, "column 'a': holds a list"),
        (pd.DataFrame({"a": pd.to_timedelta([1], unit="D")}), {}, "column 'a': holds spans of time"),
        ([{"a": dt.time(12)}], {}, "column 'a': holds times of day"),
        ({"a": [dt.date(2026, 1, 1), 3]}, {}, "column 'a': holds times of day, spans, or times among other values"),
        ({"a": [[1, 2], [1, 2, 3]]}, {}, "column 'a': holds a list"),
        ({"a": [dt.date(2026, 1, 1)], "a.weekday": ["Mon"]}, {}, "column 'a.weekday': also is the name of what is made from column 'a'"),
        (ROWS, {"predictions": [1, 2]}, "predictions: has 2 entries for 4 rows"),
        (ROWS, {"predictions": [[1], [2, 3], [4], [5]]}, "predictions: cannot be read"),
        (ROWS, {"predictions": [0.1] * 4, "labels": ["yes"] * 4}, "classes: are yes where a binary model has two"),
        (ROWS, {"predictions": ["a", "b", "c", "a"], "task": "binary"}, "classes: are a, b, c where a binary model has two"),
        (ROWS, {"predictions": np.ones((4, 3)), "labels": list("abab")}, "predictions: 3 probabilities for 2 classes (a, b)"),
        (ROWS, {"predictions": SCORES_OF_CLASSES}, "predictions: have columns that are no probabilities; say logits=True"),
        (ROWS, {"predictions": SCORES_OF_CLASSES, "task": "regression"}, "predictions: have the shape (4, 3); give several outputs"),
        (ROWS, {"predictions": SCORES_OF_CLASSES[:, 0], "labels": [0, 1, 1, 0]}, "task: cannot be told from the predictions"),
        (
            ROWS,
            {"predictions": np.eye(3)[[0, 1, 2, 0]], "labels": np.eye(3)[[0, 1, 2, 0]]},
            "labels: have the shape (4, 3); give one a row",
        ),
        (ROWS, {"predictions": [True, False] * 2, "labels": list("nyny")}, "labels: are n, y where the predictions are False, True"),
        (ROWS, {"predictions": [0.1] * 4, "labels": [None] * 4}, "predictions: no prediction and no label name the same classes"),
    ],
)
def test_data_that_give_no_baseline_are_refused_with_the_place_and_the_mend(data, options, expected):
    found = faults(data, **options)
    assert any(fault.startswith(expected) for fault in found), found


def test_every_fault_is_named_at_once():
    found = faults(
        {"a": [[1]], "b": [dt.time(12)]},
        model="",
        version="",
        task="ranking",
        bins=1,
        categorical=["c"],
        importance={"d": 1},
        predictions=[1, 2],
        labels=[1, 2, 3],
    )
    places = [fault.split(":")[0] for fault in found]
    assert places == ["model", "version", "task", "bins", "categorical", "importance", "predictions", "labels", "column 'a'", "column 'b'"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("model", None),
        ("version", ["3"]),
        ("feature_names", "ab"),
        ("feature_names", 2),
        ("categorical", "a"),
        ("categorical", None),
        ("schema", "a"),
        ("importance", pd.Series([1.0], index=["a"])),
        ("importance", {"a": "much"}),
        ("importance", {"a": float("nan")}),
        ("predict", "predict"),
        ("classes", "yes"),
        ("classes", {"no", "yes"}),
        ("threshold", "0.5"),
        ("threshold", 50),
        ("bins", "x"),
        ("bins", 5.5),
        ("like", "churn-2.json"),
        ("logits", "yes"),
        ("golden", True),
        ("golden", -1),
        ("transform", 3),
        ("read", [ROWS]),
        ("sample", 0),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_with_the_mend(option, value):
    build, first = (Baseline.from_batches, "read") if option in ("read", "sample") else (Baseline.from_data, "data")
    with pytest.raises(BaselineError) as caught:
        build(**{first: list, "model": "m", "version": "1", option: value})
    (fault,) = caught.value.faults
    assert fault.place == option
    assert fault.problem.startswith("is ")
    assert fault.mend.startswith(("give ", "name "))


@pytest.mark.parametrize("names", [np.array(["a", "b"]), pd.Index(["a", "b"]), {"a": 1, "b": 2}.keys()], ids=["array", "index", "keys"])
def test_names_may_be_whatever_holds_several(names):
    rows = np.arange(8.0).reshape(4, 2)
    for data in (rows, pd.DataFrame(rows, columns=["a", "b"])):
        assert build(data, feature_names=names, categorical=names).columns == ("a", "b")


def test_columns_that_pandas_numbered_go_by_their_numbers():
    baseline = build(
        pd.DataFrame([[1, 2.0], [0, 3.0]]), feature_names=[0, 1], categorical=[0], importance={1: 1.0}, schema={1: {"minimum": 0}}
    )
    assert [feature.type for feature in baseline.features] == ["categorical", "numeric"]
    assert (baseline.feature("1").importance, baseline.feature("1").rules.minimum) == (1.0, 0.0)


def test_features_that_vary_together_have_a_reference_for_outliers():
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=2_000), "b": rng.normal(size=2_000) * 1e6, "c": ["x"] * 2_000, "d": [1.0] * 2_000}
    outliers = build(data).outliers
    assert outliers.features == ("a", "b")
    assert outliers.histogram.samples == 2_000
    assert outliers.histogram.counts[-3] == pytest.approx(2, abs=1)  # beyond the 99.9 % quantile
    assert build({"a": data["a"], "c": data["c"]}).outliers is None


def test_a_very_wide_table_has_a_baseline_that_can_be_loaded_and_no_reference_for_outliers(tmp_path):
    baseline = build(np.random.default_rng(0).normal(size=(5, 2_000)))
    baseline.save(tmp_path / "wide.json")
    assert Baseline.load(tmp_path / "wide.json") == baseline
    assert baseline.outliers is None
