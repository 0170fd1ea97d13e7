"""The design effect: how much further apart than independent rows real rows are, by time and by key."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from otel_ml import Baseline, BaselineError
from otel_ml.baseline import Batch


def build(data, **options):
    return Baseline.from_data(data, model="churn", version="3", **options)


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_independent_rows_have_a_design_effect_of_about_1(random):
    data = {"x": random.normal(size=8_000), "c": random.choice(list("abcd"), 8_000), "t": np.arange(8_000), "user": np.arange(8_000)}
    for options in ({"time": "t"}, {"key": "user"}, {"time": "t", "key": "user"}):
        baseline = build(data, **options)
        assert all(1 <= feature.design_effect < 1.35 for feature in baseline.features if feature.name in "xc")


@pytest.mark.parametrize("keys", [150, 400, 5_000])
def test_rows_that_repeat_20_times_with_their_key_have_a_design_effect_of_20(random, keys):
    order = random.permutation(keys * 20)
    user = np.repeat([f"user-{index}" for index in range(keys)], 20)[order]
    data = {"x": np.repeat(random.normal(size=keys), 20)[order], "c": np.repeat(random.choice(list("abc"), keys), 20)[order]}
    baseline = build(data, key=user, predictions=np.repeat(random.random(keys), 20)[order])
    assert baseline.feature("x").design_effect == pytest.approx(20, rel=0.15)
    assert baseline.feature("c").design_effect == pytest.approx(20, rel=0.15)
    assert baseline.feature("x").key_effect == baseline.feature("x").design_effect
    assert baseline.prediction_design_effect == pytest.approx(20, rel=0.15)


def test_what_a_key_does_not_repeat_has_no_part_in_its_design_effect(random):
    user = np.repeat(np.arange(500), 20)
    baseline = build({"own": np.repeat(random.normal(size=500), 20), "each": random.normal(size=10_000)}, key=user)
    assert baseline.feature("each").design_effect < 1.2
    assert baseline.feature("own").design_effect > 15


def test_values_that_wander_in_time_have_a_design_effect_over_1_in_any_order_of_the_rows(random):
    noise = random.normal(size=10_000)
    for index in range(1, len(noise)):
        noise[index] += 0.95 * noise[index - 1]
    when = pd.date_range("2026-01-01", periods=10_000, freq="min")
    frame = pd.DataFrame({"x": noise, "when": when})
    in_order = build(frame, time="when").features
    assert [feature.name for feature in in_order] == ["x"]
    assert in_order[0].design_effect > 5
    assert in_order[0].key_effect == 1
    as_text = frame.assign(when=frame["when"].dt.strftime("%Y-%m-%dT%H:%M"))
    as_objects = [moment.tz_localize("UTC").to_pydatetime() for moment in when]
    shuffled = frame.sample(frac=1, random_state=1)
    for data, time in ((shuffled, "when"), (as_text, "when"), (frame[["x"]], as_objects)):
        assert build(data, time=time).features[0].design_effect == in_order[0].design_effect


def test_blocks_that_scatter_unevenly_have_fewer_degrees_of_freedom_than_bins():
    """Every tenth block is elsewhere: the mean over blocks says less than half of it."""
    random = np.random.default_rng(8)
    storm = np.arange(20_000) // 1_000 % 10 == 0
    baseline = build({"x": random.normal(size=20_000) + 2 * storm, "y": random.normal(size=20_000)}, time=np.arange(20_000))
    uneven, even = baseline.features
    assert uneven.design_effect > 20
    assert uneven.noise_degrees < 2
    assert even.design_effect < 1.35
    assert even.noise_degrees is None or even.noise_degrees > 4


def test_the_hour_of_the_day_shows_in_blocks_of_hours_and_is_no_spell_in_those_of_days():
    """80 days of 250 rows: 20 blocks of four days are all alike, those of 40 rows have few hours each."""
    moment = np.arange(20_000)
    weather = np.repeat(np.random.default_rng(5).normal(size=40), 500)
    hour, storm = build({"hour": moment % 250 // 10, "weather": weather}, time=moment).features
    assert hour.design_effect > 10
    assert hour.spell_rows < 3
    assert storm.design_effect > 300
    assert storm.spell_rows == pytest.approx(2 * storm.design_effect - 1)


def test_a_repeated_key_says_nothing_of_how_uneven_time_is(random):
    user = np.repeat(np.arange(500), 20)[random.permutation(10_000)]
    both = build({"x": random.normal(size=500)[user]}, key=user, time=np.arange(10_000)).features[0]
    assert both.design_effect == both.key_effect == pytest.approx(20, rel=0.15)
    assert both.noise_degrees is None


def test_singletons_are_the_categories_of_one_key_or_of_one_row(random):
    column = [*"aabbcdd", *"e" * 93, None]
    user = [1, 1, 1, 2, 3, 4, None, *range(93), None]
    assert build({"x": column}).features[0].singletons == 1
    assert build({"x": column}, key=user).features[0].singletons == 2
    assert build({"x": list(range(101))}).features[0].singletons == 0
    parts = [Batch({"x": column[at : at + 9]}, key=user[at : at + 9]) for at in range(0, 101, 9)]
    for sample in (101, 50):
        assert Baseline.from_batches(lambda: parts, model="m", version="1", sample=sample).features[0].singletons == 2


def test_what_noise_was_measured_survives_the_file_and_nonsense_is_refused(random, tmp_path):
    user = np.repeat(np.arange(400), 10)
    data = {"x": np.sort(random.normal(size=4_000)), "c": np.repeat(random.choice(list("abcdefgh") * 9, 400).tolist(), 10)}
    data["c"][:10] = "once"
    built = build(data, predictions=np.sort(random.random(4_000)), time=np.arange(4_000), key=user)
    assert built.prediction_design_effect > built.prediction_key_effect > 5
    assert built.feature("c").singletons == 1
    built.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json") == built
    document = json.loads((tmp_path / "b.json").read_text())
    document["features"]["c"]["singletons"] = -1
    document["features"]["x"]["noise_degrees"] = 0
    document["features"]["x"]["spell_rows"] = 0.5
    document["prediction_noise_degrees"] = -1
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(BaselineError) as caught:
        Baseline.load(tmp_path / "b.json")
    faults = ("c.singletons: are -1", "x.noise_degrees: are 0", "x.spell_rows: is 0.5, less than 1", "prediction_noise_degrees: are -1")
    for said in faults:
        assert said in str(caught.value)


def test_a_time_that_is_named_as_a_feature_is_both(random):
    data = {"hour": np.arange(4_000) % 24, "x": random.normal(size=4_000)}
    baseline = build(data, time="hour", feature_names=["hour", "x"])
    assert [feature.name for feature in baseline.features] == ["hour", "x"]
    assert baseline.feature("hour").design_effect > 10


def test_few_rows_a_constant_and_one_time_have_no_design_effect():
    assert build({"x": list(range(300))}, time=np.arange(300)).features[0].design_effect == 1
    assert build({"x": [1.0] * 3_000}, time=np.arange(3_000), key=np.arange(3_000)).features[0].design_effect == 1
    assert build({"x": list(range(3_000))}, time=[7] * 3_000).features[0].design_effect == 1


def test_rows_without_a_time_are_left_out_and_rows_without_a_key_are_alone(random):
    values = random.normal(size=4_000)
    assert build({"x": values}, time=[None] * 4_000).features[0].design_effect == 1
    assert build({"x": values}, time=np.where(np.arange(4_000) % 2, np.nan, np.arange(4_000))).features[0].design_effect < 1.4
    assert build({"x": values}, key=[None] * 4_000).features[0].design_effect < 1.2


def test_a_design_effect_is_in_the_file_only_where_there_is_one(random, tmp_path):
    wanders = build({"x": np.sort(random.normal(size=4_000)), "y": [1] * 4_000}, time=np.arange(4_000))
    wanders.save(tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text())
    assert document["schema_version"] == 1
    assert document["features"]["x"]["design_effect"] > 1
    assert "design_effect" not in document["features"]["y"]
    assert "prediction_design_effect" not in document
    assert Baseline.load(tmp_path / "b.json") == wanders
    plain = tuple(dataclasses.replace(feature, design_effect=1.0, spell_rows=1.0) for feature in wanders.features)
    without = dataclasses.replace(wanders, features=plain)
    assert without.fingerprint == build({"x": np.sort(np.random.default_rng(3).normal(size=4_000)), "y": [1] * 4_000}).fingerprint


def test_a_design_effect_below_1_is_refused(random, tmp_path):
    build({"x": np.sort(random.normal(size=4_000))}, time=np.arange(4_000)).save(tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text())
    document["features"]["x"]["design_effect"] = 0.5
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(BaselineError, match=r"features.x.design_effect: is 0.5, less than 1"):
        Baseline.load(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time": "when"}, "time: 'when' is not a column; the columns are x"),
        ({"key": [1, 2]}, "key: has 2 entries for 4 rows"),
        ({"time": [1, "a", 2, 3]}, "time: cannot be put in order"),
        ({"time": "x"}, "columns: none is left as a feature"),
    ],
)
def test_a_time_or_key_that_cannot_be_used_is_refused_with_the_mend(options, said):
    with pytest.raises(BaselineError, match="the data") as caught:
        build({"x": [1, 2, 3, 4]}, **options)
    assert said in str(caught.value)


def test_batches_that_fit_the_sample_give_what_the_whole_gives(random):
    score = random.random(5_000)
    data = {"x": random.normal(size=5_000), "c": random.choice(["a", "b", None], 5_000).tolist(), "n": random.integers(0, 9, 5_000)}
    whole = {"predictions": score, "labels": score > random.random(5_000), "time": np.arange(5_000), "key": np.arange(5_000) // 5}
    parts = [
        Batch({name: column[at : at + 700] for name, column in data.items()}, *(part[at : at + 700] for part in whole.values()))
        for at in range(0, 5_000, 700)
    ]
    options = {"model": "churn", "version": "3"}
    assert Baseline.from_batches(lambda: parts, **options).fingerprint == build(data, **whole).fingerprint

    smaller = Baseline.from_batches(lambda: parts, sample=1_000, **options)
    exact = build(data, **whole)
    assert smaller.samples == 5_000
    assert smaller.feature("c") == exact.feature("c")
    assert smaller.feature("x").histogram.samples == 5_000
    assert smaller.feature("x").minimum == exact.feature("x").minimum
    assert smaller.feature("x").std == pytest.approx(exact.feature("x").std)
    assert (smaller.confidence, smaller.confusion) == (exact.confidence, exact.confusion)
    assert smaller.performance == pytest.approx(exact.performance)
    assert smaller.outliers.histogram.samples == 5_000
    assert smaller == dataclasses.replace(Baseline.from_batches(lambda: parts, sample=1_000, **options), created=smaller.created)


def test_a_regression_in_batches_has_the_scores_of_the_whole(random):
    data, truth = {"x": random.normal(size=3_000)}, random.normal(size=3_000)
    predictions = truth + random.normal(size=3_000)
    parts = [Batch({"x": data["x"][at : at + 500]}, predictions[at : at + 500], truth[at : at + 500]) for at in range(0, 3_000, 500)]
    smaller = Baseline.from_batches(lambda: parts, model="m", version="1", sample=900)
    exact = Baseline.from_data(data, model="m", version="1", predictions=predictions, labels=truth)
    assert smaller.performance == pytest.approx(exact.performance)
    assert smaller.prediction.samples == 3_000


def test_batches_that_cannot_be_read_again_or_are_none_are_refused():
    spent = iter([Batch({"x": np.arange(50.0)})] * 3)
    for read, problem in (
        (list, "read: gives no batches; give the same ones at each call"),
        (lambda: spent, "read: gives no batches; give the same ones at each call"),
        (lambda: [{"x": [1.0]}], r"read: gives dict; give otel_ml\.baseline\.Batch"),
        (lambda: 5, "read: gives int; give"),
    ):
        with pytest.raises(BaselineError, match=problem):
            Baseline.from_batches(read, model="m", version="1", sample=20)
