"""The predicted class of a confidence bin, read from its name: the same as from its bounds."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ml._binning import CONFIDENCE_EDGES, interval_labels
from otel_ml_exporter.mixin.groups.estimates import _ABOVE, _BELOW


def side(label):
    """As Prometheus matches: the whole value, with the escapes of a PromQL string undone."""
    above, below = (re.fullmatch(pattern.replace("\\\\", "\\"), label) for pattern in (_ABOVE, _BELOW))
    assert not (above and below)
    return 1 if above else -1 if below else 0


def expected(edges):
    bounds = [0, *(float(f"{edge:.6g}") for edge in edges), 1]
    return [1 if low >= 0.5 else -1 if high <= 0.5 else 0 for low, high in pairwise(bounds)]


def test_of_the_default_bins_the_middle_one_holds_the_threshold():
    assert [side(label) for label in interval_labels(CONFIDENCE_EDGES)] == [-1] * 7 + [0] + [1] * 7


@pytest.mark.parametrize("label", ["__missing__", "__other__"])
def test_a_reserved_bin_has_no_side(label):
    assert side(label) == 0


@given(st.lists(st.floats(1e-9, 1, exclude_max=True) | st.sampled_from([0.5, 1e-5, 0.499999, 0.05]), min_size=1, max_size=20, unique=True))
def test_every_bin_is_on_the_side_of_its_bounds(edges):
    edges = sorted(edges)
    assert [side(label) for label in interval_labels(edges)] == expected(edges)
