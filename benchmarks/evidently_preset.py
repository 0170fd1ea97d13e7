"""Seconds that Evidently's drift preset takes for the rows of `verdicts.py`; run by it with the Python given as `--evidently`."""

from __future__ import annotations

import time

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from speed_rows import COLUMNS, reference_and_current


def main() -> None:
    """Print the best of three runs."""
    reference, current = (pd.DataFrame(rows, columns=list(COLUMNS)) for rows in reference_and_current())
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        Report([DataDriftPreset()]).run(current, reference).dict()
        best = min(best, time.perf_counter() - start)
    print(best)


if __name__ == "__main__":
    main()
