import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from otel_ml.errors import StatisticsError
from otel_ml.stats import energy

LOGITS = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-500, 500))


@given(LOGITS)
def test_it_is_the_logarithm_of_the_sum_of_exponentials(logits):
    expected = [-np.logaddexp.reduce(row) for row in logits]
    np.testing.assert_allclose(energy(logits), expected, rtol=1e-9, atol=1e-9)


@given(LOGITS, st.floats(-100, 100))
def test_what_is_added_to_all_logits_is_taken_from_the_energy(logits, shift):
    np.testing.assert_allclose(energy(logits + shift), energy(logits) - shift, rtol=1e-9, atol=1e-9)


@given(LOGITS, st.floats(0.1, 10))
def test_a_temperature_scales_logits_and_energy_alike(logits, temperature):
    np.testing.assert_allclose(energy(logits, temperature), temperature * energy(logits / temperature), rtol=1e-9, atol=1e-9)


def test_logits_that_are_missing_have_no_energy_and_those_that_are_minus_infinity_none_of_their_own():
    found = energy([[np.nan, 1.0], [-np.inf, 3.0]])
    assert np.isnan(found[0])
    assert found[1] == -3


@pytest.mark.parametrize(("logits", "temperature"), [([1.0, 2.0], 1), (np.empty((2, 0)), 1), ([[1.0]], 0), ([[1.0]], float("nan"))])
def test_what_has_no_energy_is_refused(logits, temperature):
    with pytest.raises(StatisticsError, match="energy needs"):
        energy(logits, temperature)
