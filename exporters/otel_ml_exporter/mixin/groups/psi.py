"""PSI and its noise floor for every quantity that a baseline has bins of.

A quantity is a feature, the predictions, the confidences, the outlier scores or the energies: one baseline, one signal, one feature or
none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.steps import last, part, step, summed
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import Recording
from otel_ml_exporter.mixin.promql import (
    BIN,
    FEATURE,
    MODEL_VERSION,
    MODEL_VERSION_BASELINE,
    MODEL_VERSION_FEATURE,
    QUANTITY,
    REFERENCE,
    SEGMENT,
    SIGNAL,
    WINDOW,
    Queries,
    equal,
)

QUANTITY_BIN: Final = f"{QUANTITY}, {BIN}"

_INCREASE: Final = "model_version_quantity_bin:ml_observations:increase"
_SAMPLES: Final = "model_version_quantity:ml_baseline_samples:max"
_SMOOTHING: Final = "model_version_quantity:ml_baseline_smoothing:max"
_SCALE: Final = "model_version_quantity:ml_baseline_noise_scale:max"
_EXPECTED: Final = "model_version_quantity_bin:ml_baseline_counts:smoothed"
_TOTAL: Final = "model_version_quantity:ml_baseline_counts:sum"
_COUNTED: Final = (
    (names.SIGNAL_FEATURE, names.FEATURE_OBSERVATIONS),
    (names.SIGNAL_PREDICTION, names.PREDICTION_OBSERVATIONS),
    (names.SIGNAL_CONFIDENCE, names.CONFIDENCE_OBSERVATIONS),
    (names.SIGNAL_OUTLIER, names.OUTLIER_OBSERVATIONS),
    (names.SIGNAL_ENERGY, names.ENERGY_OBSERVATIONS),
)
_PUBLISHED: Final = (
    (names.SIGNAL_FEATURE, names.FEATURE_PSI, names.FEATURE_PSI_NOISE_FLOOR),
    (names.SIGNAL_PREDICTION, names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR),
    (names.SIGNAL_CONFIDENCE, names.CONFIDENCE_PSI, names.CONFIDENCE_PSI_NOISE_FLOOR),
    (names.SIGNAL_OUTLIER, names.OUTLIER_PSI, names.OUTLIER_PSI_NOISE_FLOOR),
    (names.SIGNAL_ENERGY, names.ENERGY_PSI, names.ENERGY_PSI_NOISE_FLOOR),
)


def observed(queries: Queries) -> Iterator[Recording]:
    """What was counted since the last evaluation, per bin, over all replicas and segments."""
    for signal, metric in _COUNTED:
        labels = [label for label in metric.labels if label != SEGMENT]
        counts = f"sum by ({', '.join(labels)}) (\n    {step(queries.series(metric), queries.knobs)}\n)"
        yield Recording(f"{_INCREASE}_step", counts, {SIGNAL: signal})


def expected(queries: Queries) -> Iterator[Recording]:
    """The baseline: samples and noise of each quantity, and the counts of its bins, smoothed as those of a window are."""
    for record, metric in (
        (_SAMPLES, names.BASELINE_SAMPLES),
        (_SMOOTHING, names.BASELINE_SMOOTHING),
        (_SCALE, names.BASELINE_NOISE_SCALE),
    ):
        yield Recording(record, f"max by ({QUANTITY}) ({queries.series(metric)})")
    ratio = f"max by ({QUANTITY_BIN}) ({queries.series(names.BASELINE_BIN_RATIO)})"
    yield Recording(_EXPECTED, f"{ratio}\n* on ({QUANTITY}) group_left ()\n  {_SAMPLES}\n+ on ({QUANTITY}) group_left ()\n  {_SMOOTHING}")
    yield Recording(_TOTAL, f"sum by ({QUANTITY}) ({_EXPECTED})")


def counts(window: str) -> str:
    """The name of the recorded counts of a window, per bin."""
    return f"{_INCREASE}{window}"


def parts(knobs: Knobs) -> Recording:
    """The counts that longer windows are sums of."""
    return part(_INCREASE, knobs)


def compared(knobs: Knobs, window: str) -> Iterator[Recording]:
    """Counts, samples, shares, PSI and noise floor; a bin of the baseline that nothing fell in counts 0.

    Both sides of PSI add up to 1, so that any factor of the ratio under its logarithm leaves the sum as it is: the baseline's
    counts stand there for its shares.
    """

    def known(record: str) -> str:
        return record if window == knobs.short_window else last(record, knobs.step)

    samples = f"model_version_quantity:ml_observations:increase{window}"
    shares = f"model_version_quantity_bin:ml_observations:ratio{window}"
    enough = f"({samples} >= {knobs.minimum_samples})"
    yield Recording(counts(window), f"{summed(_INCREASE, window, knobs)}\nor\n  0 * {known(_EXPECTED)}")
    yield Recording(samples, f"sum by ({QUANTITY}) ({counts(window)})")
    smoothed = f"({counts(window)} + on ({QUANTITY}) group_left () {known(_SMOOTHING)})"
    yield Recording(shares, f"{smoothed}\n/ on ({QUANTITY}) group_left ()\n  ({enough} + {known(_TOTAL)} - {known(_SAMPLES)})")
    gap = f"({shares} - {known(_EXPECTED)} / on ({QUANTITY}) group_left () {known(_TOTAL)})"
    yield Recording(_psi(window), f"sum by ({QUANTITY}) (\n    {gap}\n  * ln({shares} / {known(_EXPECTED)})\n)")
    yield Recording(_floor(window), f"{known(_SCALE)}\n* (1 / {enough} + 1 / {known(_SAMPLES)})")


def _psi(window: str) -> str:
    return f"model_version_quantity:ml_psi:window{window}"


def _floor(window: str) -> str:
    return f"model_version_quantity:ml_psi_noise_floor:window{window}"


def published(queries: Queries, window: str) -> Iterator[Recording]:
    """The scores of the baselines that are loaded now, under the exporter's labels, so that the two can be compared."""
    knobs = queries.knobs
    loaded = f"and on ({MODEL_VERSION_BASELINE})\n    {queries.series(names.BASELINE_INFO)}"
    for signal, *metrics in _PUBLISHED:
        for metric, record in zip(metrics, (_psi(window), _floor(window)), strict=True):
            level, by = ("model_version_feature", MODEL_VERSION_FEATURE) if FEATURE in metric.labels else ("model_version", MODEL_VERSION)
            score = last(f"{record}{{{equal(SIGNAL, signal)}}}", knobs.rhythm(window))
            labels = {WINDOW: window, REFERENCE: names.REFERENCE_BASELINE}
            yield Recording(f"{level}:{metric.prometheus}:promql", f"max by ({by}) (\n    {score}\n  {loaded}\n)", labels)
