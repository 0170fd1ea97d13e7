"""What the labels of bins say about the bins, where nothing but the labels is left."""

from __future__ import annotations

import numpy as np
import pytest

from otel_ml import Baseline
from otel_ml_exporter.cli.baseline.history import HistoryError, _histogram


def labels_of(values):
    histogram = Baseline.from_data({"x": values}, model="m", version="1").feature("x").histogram
    return dict(zip(histogram.labels, map(float, histogram.counts), strict=True))


@pytest.mark.parametrize(
    "values",
    [np.random.default_rng(0).normal(size=500), [5.0] * 9, np.arange(500) * 1e12, -np.arange(500) / 1e9, ["a", "b", "a"], [True, False]],
    ids=["normal", "constant", "huge", "tiny", "text", "bool"],
)
def test_a_histogram_comes_back_from_its_labels(values):
    bins = labels_of(values)
    found = _histogram("x", bins)
    assert dict(zip(found.labels, found.counts, strict=True)) == bins


def test_fractions_that_an_increase_extrapolates_are_rounded():
    assert _histogram("x", {"a": 3.6, "b": 1.2, "__missing__": 0.0, "__other__": 0.4}).counts == (4, 1, 0, 0)


def test_categories_that_are_numbers_are_in_their_order():
    assert _histogram("x", {"10": 1.0, "9": 1.0}).categories == ("9", "10")


@pytest.mark.parametrize(
    "bins",
    [
        {"00 (-inf, 1]": 1.0, "02 (2, inf]": 1.0},
        {"00 (-inf, 1]": 1.0},
        {"00 (-inf, 1]": 1.0, "01 (1, 1]": 1.0, "02 (1, inf]": 1.0},
    ],
    ids=["gap", "no end", "too close"],
)
def test_labels_that_do_not_give_the_edges_are_refused_with_the_mend(bins):
    with pytest.raises(HistoryError, match=r"the bins of age have gaps, or edges .* give --like OLD.json"):
        _histogram("age", bins)
