"""The rows that both sides of the speed comparison read; needs numpy alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

REFERENCE_ROWS, ROWS = 10_000, 100_000
COLUMNS = tuple(f"f{index}" for index in range(30))


def reference_and_current() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Two matrices of 30 columns from one distribution; the same in every process."""
    random = np.random.default_rng(0)
    return random.normal(size=(REFERENCE_ROWS, len(COLUMNS))), random.normal(size=(ROWS, len(COLUMNS)))
