"""Many features at once give what each gives alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import chi2

from otel_ml import stats
from otel_ml.stats import table

COUNTS = arrays.arrays(float, st.tuples(st.just(2), st.integers(1, 6), st.integers(2, 9)), elements=st.integers(0, 400)).filter(
    lambda counts: (counts.sum(axis=2) > 0).all()
)


@given(COUNTS)
def test_a_table_is_its_rows(counts):
    expected, actual = counts
    q, p = (side / side.sum(axis=1, keepdims=True) for side in counts)
    bounds = np.cumsum(np.ones((len(q), q.shape[1] + 1)), axis=1)
    statistics, degrees = table.chi_squares(expected, actual)
    found = {
        stats.psi: table.psi_terms(expected, actual, 0.5).sum(axis=1),
        stats.js_distance: table.js_distances(q, p),
        stats.ks: table.ks_distances(q, p),
        stats.chi_square: statistics,
    }
    for function, values in found.items():
        assert values == pytest.approx([function(*row)[0] for row in zip(expected, actual, strict=True)], rel=1e-12, abs=1e-15)
    tails = table.chi_square_tails(statistics, degrees, np.full(len(q), np.inf))
    assert tails == pytest.approx([stats.chi_square(*row).p_value for row in zip(expected, actual, strict=True)])
    areas = [
        stats.wasserstein(*row, edges=edges[1:-1], minimum=edges[0], maximum=edges[-1], std=1.0).value
        for *row, edges in zip(expected, actual, bounds, strict=True)
    ]
    assert table.wasserstein_distances(q, p, bounds) == pytest.approx(areas)


def test_rows_have_smoothing_and_degrees_of_their_own():
    expected, actual = np.array([[200.0, 300, 0], [50, 30, 20]]), np.array([[40.0, 0, 20], [5, 9, 9]])
    terms = table.psi_terms(expected, actual, np.array([[10.0], [0.5]]))
    assert terms[0] == pytest.approx(stats.psi(expected[0], actual[0], key_effect=20).contributions)
    assert terms[1] == pytest.approx(stats.psi(expected[1], actual[1]).contributions)
    tails = table.chi_square_tails(np.array([8.0, 8.0]), np.array([4.0, 4.0]), np.array([1.5, np.inf]))
    assert tails == pytest.approx([chi2.sf(8 * 1.5 / 4, 1.5), chi2.sf(8, 4)])
