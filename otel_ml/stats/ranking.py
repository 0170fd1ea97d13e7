"""How well confidence ranks positives above negatives, from counts per confidence bin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otel_ml.stats._counts import Counts, as_counts, as_part, total


class RankScore(NamedTuple):
    """A ranking score of binned confidences, and what any order inside the bins could make of it at least and at most."""

    value: float
    low: float
    high: float
    samples: float


def roc_auc(outcomes: Counts, positives: Counts) -> RankScore:
    """Area under the ROC curve: how often a positive lies in a higher bin than a negative, ties counting half.

    Per confidence bin of the positive class, ascending, each of shape (bins,): `outcomes` whose truth is known, `positives`
    among them. `value` is the area under the trapezoids between the bins. `low` and `high` are sharp bounds of the area
    that the rows themselves give, whose order inside a bin is lost; they say nothing of sampling.

    Raises `StatisticsError` as `ece` does, and where all outcomes are of one class. Source: Hanley and McNeil, The meaning
    and use of the area under a ROC curve (1982).

    >>> [round(number, 3) for number in roc_auc([10, 10, 10], [1, 5, 9])]
    [0.856, 0.76, 0.951, 30.0]
    """
    n_b = as_counts("outcomes", outcomes)
    y_b = as_part("positives", positives, n_b)
    z_b = n_b - y_b
    pairs = total("positives", y_b) * total("negatives", z_b)
    below = np.cumsum(z_b) - z_b
    sure, tied = float((y_b * below).sum()) / pairs, float((y_b * z_b).sum()) / pairs
    return RankScore(min(sure + tied / 2, 1.0), sure, min(sure + tied, 1.0), float(n_b.sum()))
