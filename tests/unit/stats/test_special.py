"""The tail probabilities and the quantile that the plugin brings along agree with scipy's."""

import math

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from otel_ml.stats._special import beta_tail, chi2_quantile, gamma_tail

DEGREES = [1, 2, 3, 5, 9, 10, 11, 33, 100, 101, 500, 999, 2_000]
PROBABILITIES = [1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-6, 1 - 1e-8]


@pytest.mark.parametrize("degrees", DEGREES)
def test_chi_square_quantiles_agree_to_nine_digits(degrees):
    found = [chi2_quantile(probability, degrees) for probability in PROBABILITIES]
    assert found == pytest.approx(scipy_stats.chi2.ppf(PROBABILITIES, degrees).tolist(), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("probability", "degrees"), [(0.0, 5), (0.5, 0), (-1, 5)])
def test_a_quantile_of_nothing_is_zero(probability, degrees):
    assert chi2_quantile(probability, degrees) == 0.0


@pytest.mark.parametrize("shape", [0.1, 0.5, 1, 7.3, 50, 400, 1_000])
def test_gamma_tails_agree(shape):
    for x in np.array([0, 1e-8, 0.1, 0.5, 0.9, 1, 1.1, 2, 5]) * shape:
        assert gamma_tail(shape, float(x)) == pytest.approx(special.gammaincc(shape, x), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("a", [0.5, 1, 3.7, 50.25, 999, 20_000])
@pytest.mark.parametrize("b", [0.5, 1, 12.5, 10_000, 1e6])
def test_beta_tails_agree_also_for_fractional_counts(a, b):
    centre = a / (a + b)
    for x in (0.0, 1e-9, centre / 3, centre, min(1.3 * centre, 0.999), 0.5, 1 - 1e-9, 1.0):
        assert beta_tail(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-12)


def test_tails_of_numbers_out_of_range_are_the_ends():
    assert (beta_tail(-1, 2, 3), beta_tail(2, 2, 3), gamma_tail(2, -1)) == (0.0, 1.0, 1.0)
    assert gamma_tail(2, 800) < 1e-300 or math.isclose(gamma_tail(2, 800), 0, abs_tol=1e-300)


def test_nothing_is_sure_to_stay_below_a_finite_value():
    assert chi2_quantile(1.0, 5) == math.inf
