"""Times, texts and vectors are counted by what is made of them, whatever form the input has; no text is kept."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from otel_ml import Baseline, BaselineError, Monitor, testing

ROWS = 600
WORDS = np.array(["the", "train", "to", "Paris", "was", "late", "again", "and", "nobody", "said", "why", "we", "paid", "for", "a", "seat"])


@pytest.fixture(scope="module")
def rich():
    """Numbers, times, comments of several words, and vectors of four dimensions around a plane."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(ROWS, 2)) @ np.array([[3.0, 1, 0, 0], [0, 0, 2, 1]])
    return pd.DataFrame(
        {
            "age": rng.normal(40, 9, ROWS).round(1),
            "when": pd.Timestamp("2026-03-02 08:00") + pd.to_timedelta(rng.integers(0, 10 * 86_400, ROWS), unit="s"),
            "comment": [" ".join(rng.choice(WORDS, size)) for size in rng.integers(3, 12, ROWS)],
            "place": list(plane + rng.normal(0, 0.01, (ROWS, 4)) + 5),
        }
    )


@pytest.fixture(scope="module")
def baseline(rich):
    return Baseline.from_data(rich, model="rich", version="1")


def bins_of(feature):
    return dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True))


def test_a_column_becomes_the_features_that_are_made_of_it(baseline):
    names = ["age", "when.hour", "when.weekday", "comment.length", "comment.unknown_words", "place.norm"]
    assert [feature.name for feature in baseline.features] == [*names, *(f"place.axis_{number}" for number in (1, 2, 3, 4))]
    assert baseline.columns == ("age", "when", "comment", "place")
    assert baseline.feature("when.hour").maximum == 23
    assert set(baseline.feature("when.weekday").vocabulary) == {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
    first, second, third = (baseline.feature(f"place.axis_{number}").std for number in (1, 2, 3))
    assert first > second > 100 * third


def as_text(frame):
    return frame.assign(when=frame["when"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


FORMS = {
    "pandas": lambda frame: frame,
    "shuffled": lambda frame: frame[["place", "comment", "age", "when"]],
    "with a time zone": lambda frame: frame.assign(when=frame["when"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")),
    "polars": lambda frame: pl.DataFrame({name: column.tolist() for name, column in frame.items()}),
    "polars array": lambda frame: pl.DataFrame({name: column.tolist() for name, column in frame.items()}).cast(
        {"place": pl.Array(float, 4)}
    ),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "dicts": lambda frame: frame.to_dict("records"),
    "dicts of json": lambda frame: json.loads(as_text(frame).to_json(orient="records", double_precision=15)),
    "tuples": lambda frame: list(frame.itertuples(index=False, name=None)),
    "named tuples": lambda frame: list(frame.itertuples(index=False)),
    "objects": lambda frame: frame.to_numpy(),
    "columns of lists": lambda frame: frame.to_dict("list"),
    "columns of series": lambda frame: dict(frame.items()),
    "a matrix among columns": lambda frame: {**frame.to_dict("list"), "place": np.stack(frame["place"])},
    "a sparse matrix among columns": lambda frame: {**frame.to_dict("list"), "place": scipy.sparse.coo_array(np.stack(frame["place"]))},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("size", [ROWS, 60], ids=["one call", "ten calls"])
def test_the_training_data_fall_into_the_baseline_s_own_counts(rich, baseline, form, size):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for start in range(0, ROWS, size):
        predict(form(rich[start : start + size]))
    found = testing.collect(monitor)
    assert (found.rows, found.errors) == (ROWS, {})
    for feature in baseline.features:
        assert found.features[feature.name] == pytest.approx(bins_of(feature), abs=2 if feature.source else 0), feature.name
    assert found.violations.pop("__other__") == {"extra_column": 0}
    assert not any(any(kinds.values()) for kinds in found.violations.values())


@pytest.mark.parametrize("form", [FORMS["dicts"], FORMS["tuples"], FORMS["dicts of json"]])
def test_rows_may_come_one_by_one(rich, baseline, form):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for row in form(rich):
        predict(row)
    assert testing.collect(monitor).features["comment.length"] == bins_of(baseline.feature("comment.length"))


def test_what_is_saved_is_loaded_and_counts_alike(rich, baseline, tmp_path):
    baseline.save(tmp_path / "rich.json")
    loaded = Baseline.load(tmp_path / "rich.json")
    assert (loaded, loaded.fingerprint) == (baseline, baseline.fingerprint)


def test_no_word_of_a_text_is_in_the_file_or_in_a_series(rich, baseline, tmp_path):
    baseline.save(tmp_path / "rich.json")
    monitor = Monitor(baseline)
    monitor.wrap(lambda _: None)(rich)
    for text in ((tmp_path / "rich.json").read_text(), str(testing.collect(monitor))):
        assert "Paris" not in text
        assert "nobody" not in text


ROW = {"age": 40.0, "when": "2026-03-04T12:00:00", "comment": "the train was late", "place": [5.0, 5.0, 5.0, 5.0]}


@pytest.mark.parametrize(
    ("column", "value", "violation"),
    [
        ("when", "yesterday", ("when.hour", "type")),
        ("when", 1_700_000_000, ("when.weekday", "unseen")),
        ("when", None, ("when.hour", "missing")),
        ("comment", 7, ("comment.length", "type")),
        ("comment", None, ("comment.unknown_words", "missing")),
        ("comment", "der Zug nach Paris", ("comment.unknown_words", "out_of_range")),
        ("place", [1.0, 2.0], ("place.axis_1", "type")),
        ("place", "far away", ("place.norm", "type")),
        ("place", [500.0] * 4, ("place.norm", "out_of_range")),
        ("place", None, ("place.norm", "missing")),
        ("place", [1.0, float("nan"), 2.0, 3.0], ("place.norm", "missing")),
    ],
)
def test_what_a_column_does_not_hold_is_a_violation_of_what_is_made_of_it(baseline, column, value, violation, counted):
    feature, kind = violation
    found = counted(baseline, [ROW, ROW | {column: value}])
    assert found.errors == {}
    assert found.violations[feature][kind] == 1
    assert {sum(bins.values()) for bins in found.features.values()} == {2}


def test_a_column_that_is_not_there_is_counted_for_each_of_its_features(baseline, counted):
    row = {name: value for name, value in ROW.items() if name != "when"}
    found = counted(baseline, [row, ROW])
    assert found.violations["when.hour"]["missing_column"] == found.violations["when.weekday"]["missing_column"] == 1
    assert found.violations["when.hour"]["missing"] == 0


def test_other_words_are_seen_though_the_length_is_the_same(rich, baseline, counted):
    found = counted(baseline, rich.assign(comment=["lorem ipsum dolor sit amet"] * ROWS))
    assert found.violations["comment.unknown_words"]["out_of_range"] == ROWS
    assert found.violations["comment.length"]["out_of_range"] == 0


def test_a_turned_embedding_is_seen_though_its_norm_is_the_same(rich, baseline, counted):
    found = counted(baseline, rich.assign(place=[vector[::-1] for vector in rich["place"]]))
    assert found.features["place.norm"] == pytest.approx(bins_of(baseline.feature("place.norm")), abs=2)
    assert found.violations["place.axis_3"]["out_of_range"] > ROWS / 2


def test_an_age_is_that_at_the_time_of_the_row_and_then_at_the_time_of_the_call(counted):
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2026-03-02") + pd.to_timedelta(rng.integers(0, 30 * 86_400, ROWS), unit="s")
    since = when - pd.to_timedelta(rng.uniform(0, 5, ROWS), unit="D")
    baseline = Baseline.from_data({"since": since, "when": when}, time="when", model="aged", version="1")
    age = baseline.feature("since.age")
    assert 0 <= age.minimum < age.maximum <= 5
    now = dt.datetime.now(dt.timezone.utc)
    found = counted(baseline, [{"since": now - dt.timedelta(days=days)} for days in (1, 2, 200)])
    assert found.violations["since.age"]["out_of_range"] == 1


def test_days_have_no_hour_and_ids_and_short_names_are_no_texts():
    data = {
        "day": [dt.date(2026, 1, 1) + dt.timedelta(days=number) for number in range(100)],
        "id": [f"customer-{number}" for number in range(100)],
        "city": [f"New York {number % 9}" for number in range(100)],
    }
    baseline = Baseline.from_data(data, model="short", version="1")
    assert [(feature.name, feature.type) for feature in baseline.features] == [
        ("day.weekday", "categorical"),
        ("id", "categorical"),
        ("city", "categorical"),
    ]


def test_a_column_that_is_declared_categorical_stays_one(rich):
    baseline = Baseline.from_data(rich[["comment", "when"]], categorical=["comment", "when"], model="declared", version="1")
    assert [feature.name for feature in baseline.features] == ["comment", "when"]


@pytest.fixture(scope="module")
def embeddings():
    return np.random.default_rng(0).normal(size=(ROWS, 64))


@pytest.fixture(scope="module")
def embedded(embeddings):
    return Baseline.from_data({"embedding": embeddings}, model="embedded", version="1")


VECTORS = {
    "matrix": lambda matrix: matrix,
    "float32": lambda matrix: matrix.astype("f4"),
    "lists": lambda matrix: matrix.tolist(),
    "rows": list,
    "columns": lambda matrix: {"embedding": matrix},
    "dicts": lambda matrix: [{"embedding": row.tolist()} for row in matrix],
    "sparse": scipy.sparse.csr_array,
    "torch": lambda matrix: pytest.importorskip("torch").tensor(matrix, requires_grad=True),
    "torch in a dict": lambda matrix: {"embedding": pytest.importorskip("torch").tensor(matrix)},
}


@pytest.mark.parametrize("form", VECTORS.values(), ids=VECTORS)
def test_a_model_of_one_vector_takes_it_in_every_form(embeddings, embedded, form, counted):
    found = counted(embedded, form(embeddings))
    assert (found.rows, found.errors) == (ROWS, {})
    for feature in embedded.features:
        assert found.features[feature.name] == pytest.approx(bins_of(feature), abs=2)


@pytest.mark.parametrize(
    "form", [np.asarray, list, lambda row: {"embedding": row}, lambda row: {"embedding": row.tolist()}, lambda row: [row]]
)
def test_one_vector_is_one_row(embeddings, embedded, form, counted):
    found = counted(embedded, form(embeddings[0]))
    assert (found.rows, found.errors) == (1, {})


def test_a_vector_that_is_changed_later_was_counted_as_given(embedded, embeddings):
    for give in (lambda row: {"embedding": row}, lambda row: row.reshape(1, -1), lambda row: [{"embedding": row}]):
        monitor = Monitor(embedded)
        row = embeddings[0].copy()
        monitor.wrap(lambda _, row=row: row.fill(np.nan))(give(row))
        assert testing.collect(monitor).features["embedding.norm"]["__missing__"] == 0


def test_long_texts_do_not_wait_for_others(rich, baseline):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for _ in range(5):
        predict(ROW | {"comment": "late " * 1_000_000})
        assert not monitor._counts._inputs


def test_features_of_a_column_share_its_importance(rich):
    baseline = Baseline.from_data(rich[["age", "when"]], model="shared", version="1", importance={"age": 1, "when": 3})
    assert [feature.importance for feature in baseline.features] == [0.25, 0.375, 0.375]


@pytest.mark.parametrize(
    ("name", "source", "place"),
    [
        ("when.hour", {"column": "when", "how": "minute"}, "features.when.hour.source.how"),
        ("when.hour", {"how": "hour"}, "features.when.hour.source.column"),
        (
            "comment.unknown_words",
            {"column": "comment", "how": "unknown_words", "words": "AAAA"},
            "features.comment.unknown_words.source.words",
        ),
        ("place.axis_1", {"column": "place", "how": "axis", "axis": ["a"], "offset": 0.0}, "features.place.axis_1.source.axis"),
    ],
)
def test_a_source_that_cannot_be_made_is_refused_with_its_place(baseline, tmp_path, name, source, place):
    document = baseline.to_dict()
    document["features"][name]["source"] = source
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(BaselineError) as caught:
        Baseline.load(tmp_path / "b.json")
    assert place in {fault.place for fault in caught.value.faults}
