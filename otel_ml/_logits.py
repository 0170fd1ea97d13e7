"""Answers that are logits: the probabilities they stand for, and one logit of a binary model as the two that it is short for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def table_of(array: npt.NDArray[Any], task: str | None) -> Floats | None:
    """The logits of shape (rows, classes) that an answer holds; None where it holds labels.

    One logit a row, that of the positive class of a binary model, is the two of which it is the difference: f is -f/2 and f/2.

    >>> table_of(np.array([4.0, -2.0]), "binary").tolist()
    [[-2.0, 2.0], [1.0, -1.0]]
    """
    if array.dtype.kind != "f" or array.ndim > 2:
        return None
    if array.ndim == 2 and array.shape[1] > 1:
        return array.astype(np.float64)
    if task not in ("binary", None):
        return None
    half = array.reshape(-1).astype(np.float64) / 2
    return np.column_stack([-half, half])


def probabilities(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The softmax of each row.

    >>> probabilities(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    with np.errstate(invalid="ignore"):
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: npt.NDArray[Any] = grown / grown.sum(axis=1, keepdims=True)
    return shares


def are_shares(logits: npt.NDArray[Any]) -> bool:
    """Whether these are probabilities after all: rows of at least two classes, none below 0, each 1 together."""
    if logits.ndim != 2 or logits.shape[1] < 2 or not len(logits):
        return False
    return bool((logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-3))
