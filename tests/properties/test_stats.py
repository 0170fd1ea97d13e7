"""What holds for every set of counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ml import stats

COUNT = st.one_of(st.integers(0, 10_000), st.floats(0, 1e6, allow_nan=False, allow_subnormal=False))


def counts(size):
    return st.lists(COUNT, min_size=size, max_size=size).filter(lambda values: sum(values) > 1e-3)


@st.composite
def pairs(draw):
    size = draw(st.integers(1, 30))
    return draw(counts(size)), draw(counts(size))


@given(pairs())
def test_psi_is_never_negative_and_its_contributions_sum_to_it(pair):
    result = stats.psi(*pair)
    assert (result.contributions >= 0).all()
    assert result.value == pytest.approx(result.contributions.sum())
    assert result.noise_floor >= 0


@given(pairs())
def test_psi_is_zero_for_equal_counts_and_only_for_equal_shares(pair):
    expected, actual = pair
    assert stats.psi(expected, expected).value == 0
    smoothed = [(np.array(c) + 0.5) / (sum(c) + 0.5 * len(c)) for c in pair]
    assert (stats.psi(expected, actual).value > 1e-12) <= (not np.allclose(*smoothed, rtol=1e-15, atol=0))
    if not np.allclose(*smoothed, rtol=1e-4):
        assert stats.psi(expected, actual).value > 0


@given(pairs())
def test_psi_does_not_care_which_side_is_the_reference(pair):
    forwards, backwards = stats.psi(*pair), stats.psi(*reversed(pair))
    assert forwards.value == pytest.approx(backwards.value)
    assert forwards.noise_floor == pytest.approx(backwards.noise_floor)


@given(pairs(), st.randoms(use_true_random=False))
def test_psi_does_not_depend_on_the_order_of_bins(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    shuffled = [[side[i] for i in order] for side in pair]
    assert stats.psi(*shuffled).value == pytest.approx(stats.psi(*pair).value)


@given(pairs(), st.floats(1, 50))
def test_counting_each_key_once_is_counting_rows_divided_by_what_one_key_has(pair, key_effect):
    expected, actual = (np.array(side) / key_effect for side in pair)
    assert stats.psi(*pair, key_effect=key_effect).value == pytest.approx(stats.psi(expected, actual).value, rel=1e-6, abs=1e-12)


@given(st.integers(2, 40), st.floats(1, 100), st.floats(1, 39), st.floats(1e-5, 0.1))
def test_fewer_degrees_of_freedom_never_lower_the_floor_of_rare_noise(bins, design_effect, degrees, alpha):
    plain = stats.psi_noise_scale(bins, alpha=alpha, design_effect=design_effect)
    assert plain == pytest.approx(design_effect * stats.psi_noise_scale(bins, alpha=alpha))
    assert stats.psi_noise_scale(bins, alpha=alpha, design_effect=design_effect, degrees=degrees) >= plain * (1 - 1e-9)


@given(st.floats(0, 500), st.floats(1, 500), st.floats(2.5, 5_000), st.integers(0, 600), st.floats(1, 30))
def test_more_values_outside_are_never_likelier_and_unseen_categories_never_less_likely(outside, samples, known, singletons, effect):
    def p_value(x, once=singletons):
        return stats.range_check(x, samples, known, singletons=once, design_effect=effect).p_value

    assert 0 <= p_value(outside) <= 1
    assert p_value(outside) <= p_value(outside / 2) + 1e-6
    assert p_value(outside, singletons + 5) >= p_value(outside) - 1e-6


@settings(max_examples=50)
@given(st.integers(0, 1_000), st.integers(1, 1_000), st.floats(0.5, 0.999))
def test_a_wilson_interval_holds_the_share(successes, samples, confidence):
    share, low, high = stats.wilson_interval(min(successes, samples), samples, confidence=confidence)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=15))
def test_ece_is_a_share_and_at_most_the_largest_gap(table):
    n = [row[0] for row in table]
    result = stats.ece(n, [row[0] * row[1] for row in table], [row[0] * row[2] for row in table], least_outcomes=1)
    assert 0 <= result.value <= result.mce + 1e-12 <= 1 + 1e-9
