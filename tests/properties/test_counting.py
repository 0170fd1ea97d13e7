"""Counts are conserved: every value of every row falls into exactly one bin, however the rows arrive."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ml import Baseline, Monitor, testing

NUMBER = st.one_of(st.floats(width=64), st.integers(-(2**70), 2**70), st.none(), st.sampled_from([0.1, 0.2, 0.3, 1e308, -0.0]))
# Python itself does not tell True from 1 in one column: a category is text or a boolean here, a code is a number
TEXT = st.one_of(st.text(max_size=12), st.none(), st.booleans(), st.sampled_from(["__missing__", "__other__"]))
ROWS = st.lists(st.fixed_dictionaries({"x": NUMBER, "y": st.floats(width=64), "c": TEXT}), min_size=1, max_size=40)

# Rows of numbers alone wait as bytes
NUMERIC_ROWS = st.lists(st.fixed_dictionaries({"x": NUMBER, "y": st.floats(width=64)}), min_size=1, max_size=40)

BINARY = Baseline.from_data({"x": [1.0, 2.0, 3.0]}, model="m", version="1", predictions=[0.1, 0.9, 0.4], labels=[0, 1, 0])


def build(rows, **options):
    return Baseline.from_data(rows, model="property", version="1", **options)


def count(baseline, batches):
    monitor = Monitor(baseline)
    predict = monitor.wrap(lambda _: None)
    for batch in batches:
        predict(batch)
    return testing.collect(monitor)


def counts_of(baseline):
    return {f.name: dict(zip(f.histogram.labels, f.histogram.counts, strict=True)) for f in baseline.features}


@given(ROWS, st.integers(2, 20))
def test_a_baseline_is_well_formed_for_any_data(rows, bins):
    baseline = build(rows, bins=bins)
    for feature in baseline.features:
        histogram = feature.histogram
        assert histogram.samples == len(rows)
        assert len(set(histogram.labels)) == len(histogram.labels) == len(histogram.counts)
        assert list(histogram.labels[:-2]) == sorted(histogram.labels[:-2])
        assert all(len(label) <= 100 for label in histogram.labels)
        edges = histogram.edges or ()
        assert all(math.isfinite(edge) for edge in edges)
        assert all(a < b for a, b in pairwise(edges))
    if baseline.outliers is not None:
        assert baseline.outliers.histogram.samples == len(rows)


@given(ROWS)
def test_a_baseline_survives_its_file(tmp_path_factory, rows):
    baseline = build(rows)
    path = tmp_path_factory.mktemp("baseline") / "b.json"
    baseline.save(path)
    assert Baseline.load(path) == baseline


@given(st.one_of(ROWS, NUMERIC_ROWS))
def test_training_data_fold_into_the_baseline_s_counts(rows):
    baseline = build(rows)
    together, one_by_one = count(baseline, [rows]), count(baseline, rows)
    assert together.features == one_by_one.features == counts_of(baseline)
    assert count(baseline, [{name: [row[name] for row in rows] for name in rows[0]}]).features == together.features
    assert together.errors == {}


@given(*[st.shared(st.sampled_from([ROWS, NUMERIC_ROWS])).flatmap(lambda rows: rows)] * 2)
def test_any_rows_are_conserved_and_add_up(train, served):
    baseline = build(train)
    found = count(baseline, [served])
    assert found.rows == len(served)
    assert {sum(bins.values()) for bins in found.features.values()} == {len(served)}
    assert found.violations == count(baseline, served).violations
    assert all(kinds.get("far_out_of_range", 0) <= kinds.get("out_of_range", 0) for kinds in found.violations.values())
    both = count(baseline, [train, served])
    first = count(baseline, [train])
    for name, bins in both.features.items():
        assert bins == {label: first.features[name][label] + found.features[name][label] for label in bins}


@given(st.lists(st.tuples(*[st.floats(width=32, allow_nan=True)] * 2), min_size=1, max_size=60), st.integers(2, 12))
def test_arrays_of_every_precision_and_lists_fold_alike(rows, bins):
    single = np.array(rows, dtype=np.float32)
    baseline = build(single, bins=bins)
    expected = counts_of(baseline)
    for form in (single, single.astype(np.float64), single.astype(object), list(single), single.tolist(), np.asfortranarray(single)):
        found = count(baseline, [form])
        assert found.features == expected
        assert not any(kinds.get("out_of_range") for kinds in found.violations.values())


SPECIAL = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, -999.0, 999.0, 1e300, -1e300, 5e-324])
FLOATS = st.lists(st.one_of(SPECIAL, st.floats(-100, 100), st.floats(allow_nan=False)), min_size=1, max_size=40)


@given(FLOATS, FLOATS, st.sampled_from([{}, {"minimum": -5.0}, {"maximum": 7.5}, {"minimum": 0.0, "maximum": 1e300}]))
def test_numbers_are_counted_as_one_would_by_hand_in_batches_of_any_size(train, served, declared):
    baseline = build({"x": train}, schema={"x": {"type": "numeric", **declared}})
    (feature,) = baseline.features
    bins = [sum(value <= edge for value in served) for edge in (*feature.histogram.edges, math.inf)]
    finite = [value for value in served if math.isfinite(value)]
    low, high = (-math.inf, math.inf) if feature.minimum is None else (feature.minimum, feature.maximum)
    missing = sum(map(math.isnan, served))
    expected = {
        "missing": missing if not any(map(math.isnan, train)) else 0,
        "infinite": sum(map(math.isinf, served)),
        "out_of_range": sum(not low <= value <= high for value in finite),
        "far_out_of_range": sum(not low - (high - low) <= value <= high + (high - low) for value in finite),
        "default": sum(value in feature.defaults for value in served),
        "bounds": sum(value < declared.get("minimum", value) or value > declared.get("maximum", value) for value in served),
    }
    times = 1100 // len(served)
    for form in (
        lambda values: np.array(values)[:, None],
        lambda values: {"x": np.array(values)},
        lambda values: [[value] for value in values],
        lambda values: [{"x": value} for value in values],
    ):
        once, many = (count(baseline, [form(values)]) for values in (served, served * times))
        assert list(once.features["x"].values()) == [*np.diff(bins, prepend=0).tolist(), missing, 0]
        assert once.violations["x"] == {kind: expected.get(kind, 0) for kind in once.violations["x"]}
        assert many.features["x"] == {label: rows * times for label, rows in once.features["x"].items()}
        assert many.violations["x"] == {kind: rows * times for kind, rows in once.violations["x"].items()}


@given(st.lists(st.one_of(SPECIAL, st.floats(-0.1, 1.1), st.floats(-1e-5, 1e-5)), min_size=2, max_size=20))
def test_a_probability_means_the_same_alone_and_among_others(answers):
    seen = []
    monitor = Monitor(BINARY, abstain=lambda understood: seen.append(understood.confidence) or [False], fallback=None)
    for answer in (*answers, np.array(answers)):
        monitor.wrap(lambda _, answer=answer: answer)(np.zeros((np.size(answer), 1)))
    *alone, together = seen
    np.testing.assert_array_equal(np.concatenate(alone), together)


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["x", "y", "c", 0, ""]), inner, max_size=4), st.tuples(inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JUNK, JUNK)
def test_no_input_and_no_answer_whatever_breaks_a_prediction(data, answer):
    baseline = build({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"]}, predictions=[0.1, 0.9, 0.4], labels=[0, 1, 0])
    monitor = Monitor(baseline)
    assert monitor.wrap(lambda _: answer)(data) is answer
    found = testing.collect(monitor)
    assert {sum(bins.values()) for bins in found.features.values()} == {found.rows}
    assert bool(found.errors) == bool(sum(found.dropped.values()))
