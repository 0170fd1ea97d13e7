"""Two tail probabilities and a quantile, so that the plugin does not need scipy.

Series and continued fractions of the regularised incomplete gamma and beta functions (Abramowitz and Stegun 1964, 6.5.29,
6.5.31, 26.5.8); the tests hold them to scipy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300
_EPSILON = 1e-15
_TERMS = 10_000


def _continued_fraction(start: float, term: Callable[[int], tuple[float, float]]) -> float:
    """`start + a1/(b1 + a2/(b2 + ...))` by the modified Lentz method; `term(i)` gives `(a_i, b_i)`, i from 1."""
    value = start or _TINY
    c, d = value, 0.0
    for i in range(1, _TERMS):
        a, b = term(i)
        d = 1 / ((b + a * d) or _TINY)
        c = (b + a / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return value


def gamma_tail(shape: float, x: float) -> float:
    """Upper tail of the regularised incomplete gamma function, Q(shape, x)."""
    if x <= 0:
        return 1.0
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        for i in range(1, _TERMS):
            term *= x / (shape + i)
            total += term
            if term < total * _EPSILON:
                break
        return 1 - scale * total
    return scale / _continued_fraction(x + 1 - shape, lambda i: (-i * (i - shape), x + 2 * i + 1 - shape))


@lru_cache(maxsize=4096)
def chi2_quantile(probability: float, degrees: float) -> float:
    """The value that a chi-square variable with `degrees` of freedom stays below with `probability`."""
    if degrees <= 0 or probability <= 0:
        return 0.0
    if probability >= 1:
        return math.inf
    spread = 2 / (9 * degrees)
    guess = degrees * (1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)) ** 3  # Wilson and Hilferty 1931
    x, low, high = max(guess, 1e-8), 0.0, math.inf
    for _ in range(200):  # Newton's steps, halved where one leaves what is known to hold the quantile
        excess = gamma_tail(degrees / 2, x / 2) - (1 - probability)
        low, high = (x, high) if excess > 0 else (low, x)
        density = math.exp((degrees / 2 - 1) * math.log(x / 2) - x / 2 - math.lgamma(degrees / 2)) / 2
        closer = x + excess / density if density > 0 else math.inf
        if not low < closer < high:
            closer = (low + high) / 2 if high < math.inf else 2 * x
        if abs(closer - x) < 1e-13 * x:
            break
        x = closer
    return x


def beta_tail(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b); `binomial P(X >= k)` is I_p(k, n - k + 1), also for fractional counts."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_tail(1 - x, b, a)
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a

    def term(i: int) -> tuple[float, float]:
        m, odd = divmod(i, 2)
        if odd:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0

    return scale / _continued_fraction(1.0, term)
