"""What holds for every distance of two sets of counts, for whichever counts."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ml import StatisticsError, stats


def _wasserstein(expected, actual):
    """Over bins of width 1, in units of their number, so that it lies in [0, 1] too."""
    bins = len(expected)
    return stats.wasserstein(expected, actual, edges=range(1, bins), minimum=0, maximum=bins, std=bins)


UNORDERED = {
    "psi": stats.psi,
    "js_distance": stats.js_distance,
    "l_infinity": stats.l_infinity,
    "chi_square": stats.chi_square,
    "chi_square_unpooled": functools.partial(stats.chi_square, least_expected=0),
}
ORDERED = {"ks": stats.ks, "wasserstein": _wasserstein}
DISTANCES = UNORDERED | ORDERED
SHARES = ("js_distance", "l_infinity", "ks", "wasserstein")

every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
every_share = pytest.mark.parametrize("distance", [DISTANCES[name] for name in SHARES], ids=SHARES)
few = settings(max_examples=25, deadline=None)

COUNT = st.one_of(st.just(0), st.integers(0, 10_000), st.floats(0, 1e6, allow_subnormal=False))


@st.composite
def pairs(draw):
    size = draw(st.integers(1, 20))
    side = st.lists(COUNT, min_size=size, max_size=size).filter(lambda counts: sum(counts) > 1e-3)
    return draw(side), draw(side)


@every_distance
@few
@given(pairs())
def test_it_is_finite_and_never_negative(distance, pair):
    assert 0 <= distance(*pair)[0] < math.inf
    assert distance(*pair).samples == pytest.approx(sum(pair[1]))


@every_distance
@few
@given(pairs())
def test_it_is_zero_for_equal_counts(distance, pair):
    assert distance(pair[0], pair[0])[0] == pytest.approx(0, abs=1e-9)


@every_distance
@few
@given(pairs())
def test_it_is_the_same_from_either_side(distance, pair):
    assert distance(*pair)[0] == pytest.approx(distance(*reversed(pair))[0], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("distance", UNORDERED.values(), ids=UNORDERED)
@few
@given(pairs(), st.randoms(use_true_random=False))
def test_it_does_not_depend_on_the_order_of_bins_where_order_means_nothing(distance, pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    shuffled = [[side[i] for i in order] for side in pair]
    assert distance(*shuffled)[0] == pytest.approx(distance(*pair)[0], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("distance", ORDERED.values(), ids=ORDERED)
@few
@given(pairs())
def test_it_is_the_same_read_backwards_where_order_means_something(distance, pair):
    assert distance(*(side[::-1] for side in pair))[0] == pytest.approx(distance(*pair)[0], rel=1e-9, abs=1e-9)


@every_share
@few
@given(pairs(), st.floats(0.01, 100))
def test_it_is_of_shares_and_not_of_their_scale(distance, pair, factor):
    expected, actual = pair
    assert distance(expected, np.array(actual) * factor)[0] == pytest.approx(distance(expected, actual)[0], rel=1e-7, abs=1e-7)


@few
@given(pairs(), st.integers(2, 9))
def test_chi_square_grows_with_both_sides(pair, factor):
    expected, actual = (np.array(side) for side in pair)
    once = stats.chi_square(expected, actual, least_expected=0).statistic
    assert stats.chi_square(expected * factor, actual * factor, least_expected=0).statistic == pytest.approx(
        factor * once, rel=1e-6, abs=1e-9
    )


@every_share
@few
@given(pairs())
def test_it_is_at_most_one(distance, pair):
    assert distance(*pair)[0] <= 1


@every_distance
@few
@given(pairs(), st.integers(1, 5))
def test_a_bin_that_is_empty_on_both_sides_changes_nothing_but_psi(distance, pair, more):
    if distance in (stats.psi, _wasserstein):  # PSI smooths each bin; the other is measured in numbers of bins here
        return
    assert distance(*([*side, *[0] * more] for side in pair))[0] == pytest.approx(distance(*pair)[0], rel=1e-9, abs=1e-9)


@every_distance
def test_fractional_counts_are_counts(distance):
    whole = distance([100, 200, 300], [30, 20, 10])[0]
    assert distance([100.001, 199.999, 300], [30.0005, 20, 9.9995])[0] == pytest.approx(whole, rel=1e-3)


@every_distance
def test_one_bin_holds_no_distance(distance):
    assert distance([5.5], [9])[0] == 0


@every_distance
def test_a_single_sample_is_enough(distance):
    assert 0 <= distance([10, 20, 30], [0, 1, 0])[0] < math.inf
    assert 0 <= distance([1, 0, 0], [0, 0, 1])[0] < math.inf


@every_distance
@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([0, 0], [1, 1]),
        ([1, 1], [0, 0]),
        ([], []),
        ([1, -1], [1, 1]),
        ([1, 1], [1, math.nan]),
        ([1, 1], [1, math.inf]),
        ([1, 1], [1, 1, 1]),
    ],
)
def test_counts_that_are_none_are_refused(distance, expected, actual):
    with pytest.raises(StatisticsError):
        distance(expected, actual)


@every_distance
def test_more_of_a_shift_is_more_of_a_distance(distance):
    start, end = np.array([400, 300, 200, 100.0]), np.array([100, 200, 300, 400.0])
    values = [distance(start, (1 - t) * start + t * end)[0] for t in (0, 0.25, 0.5, 0.75, 1)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert values[-1] > values[1] > 0
