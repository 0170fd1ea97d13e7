"""How little a classifier's own answer tells of a row: the free energy of its logits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from otel_ml.errors import StatisticsError
from otel_ml.stats._rows import Matrix


def energy(logits: npt.ArrayLike, temperature: float = 1.0) -> Matrix:
    """The energy `-T ln(sum(exp(logits / T)))` of each row of shape (rows, classes); the higher, the less the row is like those trained on.

    A softmax says how the classes share a row, and forgets how large the logits were; the energy is what it forgets. Result of shape
    (rows,), NaN where a logit is. Raises `StatisticsError` for another shape, or a temperature that is not above 0.

    Source: Liu, Wang, Owens and Li, Energy-based out-of-distribution detection (2020).

    >>> energy([[5.0, 1.0, 0.0], [0.5, 0.1, 0.0]]).round(2).tolist()
    [-5.02, -1.32]
    """
    rows = np.asarray(logits, dtype=np.float64)
    if rows.ndim != 2 or not rows.shape[1] or not temperature > 0:
        raise StatisticsError(f"energy needs rows x classes and a temperature above 0, got shape {rows.shape} and {temperature}")
    with np.errstate(invalid="ignore"):
        scaled = rows / temperature
        highest = scaled.max(axis=1)
        energies: Matrix = -temperature * (highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1)))
    return energies
