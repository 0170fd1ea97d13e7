"""The tail probabilities and the quantile that the plugin brings along agree with scipy's."""

import math

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from otel_ml.stats._special import chi2_quantile, exceedance_tail, gamma_tail

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


@pytest.mark.parametrize(("known", "rank"), [(20, 2), (20, 5), (500, 1), (500, 2), (500, 499), (5_000, 300), (1e6, 900)])
@pytest.mark.parametrize("samples", [1, 7, 200, 10_000, 10**7])
def test_exceedance_tails_are_those_of_the_beta_binomial_distribution(known, rank, samples):
    distribution = scipy_stats.betabinom(samples, rank, known + 1 - rank)
    for exceeding in {1, 2, samples // 100, samples // 3, samples} - {0}:
        if exceeding <= samples:
            assert exceedance_tail(exceeding, samples, known, rank) == pytest.approx(distribution.sf(exceeding - 1), rel=1e-5, abs=1e-8)


def test_exceedance_tails_of_fractional_counts_lie_between_those_of_whole_ones():
    tails = [exceedance_tail(x, 50.5, 400.25, 2) for x in np.arange(0.25, 52, 0.25)]
    assert tails == sorted(tails, reverse=True)
    assert exceedance_tail(2, 51, 400, 2) > exceedance_tail(2, 50.5, 400.25, 2) > exceedance_tail(2, 50, 401, 2)


def test_tails_of_numbers_out_of_range_are_the_ends():
    assert (gamma_tail(2, -1), exceedance_tail(0, 9, 50, 2), exceedance_tail(9, 9, 2, 2), exceedance_tail(10, 9, 50, 2)) == (1, 1, 1, 0)
    assert gamma_tail(2, 800) < 1e-300 or math.isclose(gamma_tail(2, 800), 0, abs_tol=1e-300)


def test_nothing_is_sure_to_stay_below_a_finite_value():
    assert chi2_quantile(1.0, 5) == math.inf
