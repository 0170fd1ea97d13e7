"""What sampled rows see on a month of flights: share of windows in which each score is over its noise floor, as a Markdown table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from otel_ml import Baseline
from otel_ml import catalogue as names
from otel_ml_exporter.demo.flights import FEATURES, load
from otel_ml_exporter.evaluate.rows import row_readings
from otel_ml_exporter.rows.codes import Coder, Codes
from otel_ml_exporter.thresholds import Limits

FLOORS = {
    names.DOMAIN_CLASSIFIER_AUC: names.DOMAIN_CLASSIFIER_AUC_NOISE_FLOOR,
    names.MMD: names.MMD_NOISE_FLOOR,
    names.PCA_ERROR_RATIO: names.PCA_ERROR_RATIO_NOISE_FLOOR,
    names.HOTELLING_T2: names.HOTELLING_T2_NOISE_FLOOR,
}
ROWS, SAMPLE = 1_000, 5_000


def nothing(_window: pd.DataFrame, _random: np.random.Generator) -> None:
    pass


def wrong_join(window: pd.DataFrame, random: np.random.Generator) -> None:
    """Half of the rows get the dew point of another row: each column is as it was."""
    half = random.permutation(len(window))[: len(window) // 2]
    window.iloc[half, window.columns.get_loc("dewp")] = window["dewp"].to_numpy()[random.permutation(half)]


def kilometres(window: pd.DataFrame, _random: np.random.Generator) -> None:
    window["distance"] = window["distance"] * 1.609


def main() -> None:
    flights = load()
    month = flights.loc[flights["month"] == 1, list(FEATURES)].sample(frac=1.0, random_state=0)
    known, served = month.iloc[: len(month) // 2], month.iloc[len(month) // 2 :]
    baseline = Baseline.from_data(known, model="flights", version="1")
    coder = Coder(baseline)

    def codes(rows: pd.DataFrame) -> Codes:
        return coder.rows({name: rows[name].tolist() for name in rows}, len(rows))

    sample = codes(known.iloc[:SAMPLE])
    print(f"| windows of {ROWS:,} rows | number | {' | '.join(f'`{metric.prometheus}`' for metric in FLOORS)} |")
    print(f"| --- | --- |{' --- |' * len(FLOORS)}")
    for change, windows in ((nothing, 100), (wrong_join, 20), (kilometres, 20)):
        over = dict.fromkeys(FLOORS, 0)
        for seed in range(windows):
            window = served.sample(ROWS, random_state=seed)
            change(window, np.random.default_rng(seed))
            values = {reading.metric: reading.value for reading in row_readings(baseline, sample, codes(window), "1h", Limits())}
            for metric, floor in FLOORS.items():
                over[metric] += values[metric] > values[floor]
        print(f"| {change.__name__.replace('_', ' ')} | {windows} | {' | '.join(f'{over[metric] / windows:.0%}' for metric in FLOORS)} |")


if __name__ == "__main__":
    main()
