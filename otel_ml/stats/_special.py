"""Two tail probabilities and a quantile, so that the plugin does not need scipy; the tests hold them to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_TINY, _HUGE = 1e-300, 1e200
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
    """Upper tail of the regularised incomplete gamma function, Q(shape, x).

    A series below the mean and a continued fraction above it (Abramowitz and Stegun 1964, 6.5.29 and 6.5.31).
    """
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


@lru_cache(maxsize=1 << 15)
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


def exceedance_tail(exceeding: float, samples: float, known: float, rank: int) -> float:
    """How likely at least `exceeding` of `samples` new values lie beyond the value of this `rank` among `known` ones.

    All are independent draws from one continuous distribution, and rank 1 is the outermost. Then their order says everything:
    of the `exceeding + rank - 1` outermost, at most `rank - 1` are known ones, a hypergeometric sum (Gumbel and von Schelling,
    The distribution of the number of exceedances, 1950), also for fractional counts. It is the tail of a beta-binomial
    distribution of `rank` and `known + 1 - rank`.
    """
    if exceeding <= 0 or rank >= known:
        return 1.0
    if exceeding > samples:
        return 0.0
    last = rank - 1
    drawn = exceeding + last
    scale = _log_choose(known, last) + _log_choose(samples, exceeding) - _log_choose(known + samples, drawn)
    term = total = 1.0
    for i in range(last, 0, -1):
        left = samples - drawn + i
        if left <= 0 or term <= total * _EPSILON:
            break
        term *= i / (known - i + 1) * left / (drawn - i + 1)
        total += term
        if total > _HUGE:
            scale, term, total = scale + math.log(total), term / total, 1.0
    return math.exp(min(scale + math.log(total), 0.0))


def _log_choose(n: float, k: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
