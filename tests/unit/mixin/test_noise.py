"""The chi-square quantile in PromQL, evaluated as arithmetic: within 0.02 % wherever a baseline may lead it."""

import math
import re

import pytest
from scipy.stats import chi2

from otel_ml_exporter.evaluate import features as exporter
from otel_ml_exporter.mixin.groups.noise import ALPHA, BINS, CHI_SQUARE, quantiles


def evaluated(bins, features):
    """The recordings as Python: each name is a variable, joins are plain arithmetic."""
    known = {BINS: bins}
    for rule in quantiles():
        text = re.sub(r" on \([^)]*\) group_left \(\)", "", rule.expr).replace("^", "**").replace("\n", " ")
        text = re.sub(r"count by \([^)]*\) \([\w:]+\)", str(features), text)
        for name, value in known.items():
            text = text.replace(name, f"({value!r})")
        known[rule.record] = eval(text, {"ln": math.log, "sqrt": math.sqrt})
    return known[CHI_SQUARE]


@pytest.mark.parametrize("features", [1, 2, 10, 50, 200, 1000])
@pytest.mark.parametrize("bins", [3, 4, 5, 8, 12, 17, 32, 64])
def test_the_quantile_is_within_two_in_ten_thousand(bins, features):
    assert evaluated(bins, features) == pytest.approx(chi2.isf(ALPHA / features, bins - 1), rel=2e-4)


def test_chance_is_that_of_the_exporter():
    assert ALPHA == exporter.ALPHA
