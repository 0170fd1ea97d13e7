"""How sure a classifier is of a row, where that is not the probability itself: how far its probabilities are from a tie."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Measure = Literal["probability", "margin", "entropy"]
"""Of the positive class (binary) or the predicted one the `probability`; see `certainty` for the others."""
MEASURES: tuple[Measure, ...] = get_args(Measure)

Floats = npt.NDArray[np.float64]


def certainty(probabilities: Floats, measure: Measure) -> Floats:
    """How sure each row of shape (rows, classes) is: 0 where all classes are alike, 1 where one has everything; NaN where one is missing.

    `margin` is the greatest probability less the second greatest (Scheffer, Decomain and Wrobel, Active hidden Markov models for
    information extraction, 2001); `entropy` is 1 - H / ln(classes) with Shannon's entropy H, which looks at all classes.

    >>> rows = np.array([[0.5, 0.5, 0.0], [0.8, 0.1, 0.1]])
    >>> certainty(rows, "margin").round(3).tolist(), certainty(rows, "entropy").round(3).tolist()
    ([0.0, 0.7], [0.369, 0.418])
    """
    if measure == "margin":
        best = np.partition(probabilities, -2, axis=1)[:, -2:]
        sure = best[:, 1] - best[:, 0]
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(probabilities > 0, -probabilities * np.log(probabilities), 0 * probabilities)
        sure = 1 - parts.sum(axis=1) / np.log(probabilities.shape[1])
    return np.minimum(np.maximum(sure, 0), 1)
