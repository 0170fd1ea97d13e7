"""Whether confidences mean what they say: the calibration error where outcomes are known, the accuracy they promise where not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from otel_ml import catalogue as names
from otel_ml.catalogue import Metric, prometheus
from otel_ml_exporter.mixin.groups.psi import counts
from otel_ml_exporter.mixin.groups.steps import last, part, step, summed
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import Recording
from otel_ml_exporter.mixin.promql import BIN, MODEL_VERSION, MODEL_VERSION_BASELINE, SIGNAL, WINDOW, Queries, equal

BASELINE_BIN: Final = f"{MODEL_VERSION_BASELINE}, {BIN}"

_OUTCOMES: Final = (names.OUTCOME_PAIRS, names.OUTCOME_POSITIVES, names.OUTCOME_CONFIDENCE_SUM)
_CALIBRATION: Final = (names.CALIBRATION_ECE, names.CALIBRATION_ECE_NOISE_FLOOR)
_TASK: Final = prometheus(names.MODEL_TASK)
_RIGHT: Final = "model_version_bin:ml_baseline_calibration_ratio:right"
_ABOVE: Final = r"\\d+ \\((0\\.[5-9]\\d*|1), .*"
_BELOW: Final = r"\\d+ \\(.*, (0|0\\.[0-4]\\d*|0\\.5|\\d.*e-\\d+)\\]"


def outcomes(queries: Queries) -> Iterator[Recording]:
    """The outcomes that arrived since the last evaluation; replicas of the exporter count the same ones."""
    for metric in _OUTCOMES:
        yield Recording(f"{_increase(metric)}_step", f"max by ({BASELINE_BIN}) (\n    {step(queries.series(metric), queries.knobs)}\n)")


def parts(knobs: Knobs) -> Iterator[Recording]:
    """The outcomes that longer windows are sums of."""
    return (part(_increase(metric), knobs) for metric in _OUTCOMES)


def calibration(queries: Queries, window: str) -> Iterator[Recording]:
    """Calibration error and its noise floor by the arrival of outcomes."""
    yield from (_summed(queries, metric, window) for metric in _OUTCOMES)
    pairs, positives, confidence = (f"{_increase(metric)}{window}" for metric in _OUTCOMES)
    known = f"(sum by ({MODEL_VERSION}) ({pairs}) >= {queries.knobs.minimum_outcomes})"
    gaps = f"abs({positives} - {confidence})"
    share = f"clamp_min(1 - {confidence} / ({pairs} > 0), 0)"
    chance = f"sqrt(2 / pi() * {confidence} * {share})"
    for metric, terms in zip(_CALIBRATION, (gaps, chance), strict=True):
        yield Recording(_score(metric, window), f"sum by ({MODEL_VERSION}) (\n    {terms}\n)\n/ on ({MODEL_VERSION})\n  {known}")


def _increase(metric: Metric) -> str:
    return f"model_version_bin:{metric.prometheus.removesuffix('_total')}:increase"


def _score(metric: Metric, window: str) -> str:
    return f"model_version:{metric.prometheus}:window{window}"


def _summed(queries: Queries, metric: Metric, window: str) -> Recording:
    """The sums of a window, of the baseline that is loaded now; a bin without the series has none."""
    loaded = f"group by ({MODEL_VERSION_BASELINE}) ({queries.series(names.BASELINE_INFO)})"
    sums = f"{summed(_increase(metric), window, queries.knobs)}\nand on ({MODEL_VERSION_BASELINE})\n  {loaded}"
    others = "" if metric == names.OUTCOME_PAIRS else f"\nor\n  0 * {_increase(names.OUTCOME_PAIRS)}{window}"
    return Recording(f"{_increase(metric)}{window}", sums + others)


def right(queries: Queries) -> Recording:
    """How often the baseline was right in each confidence bin: as often as the class that is predicted there came true.

    A binary model predicts the positive class above 0.5, so a bin that holds 0.5 inside is right half the time. Bounds are read
    from the bin's name, for PromQL cannot see them otherwise. The other models' confidence is that of the predicted class.
    """
    ratio = queries.series(names.BASELINE_CALIBRATION_RATIO)
    above, below = (queries.series(names.BASELINE_CALIBRATION_RATIO, f'{BIN}=~"{bounds}"') for bounds in (_ABOVE, _BELOW))
    binary = f"group by ({MODEL_VERSION_BASELINE}) ({queries.series(names.BASELINE_INFO, equal(_TASK, 'binary'))})"
    expr = (
        f"(\n    {_by_bin(above)}\n  or\n    1 - {_by_bin(below)}\n  or\n    0 * {_by_bin(ratio)} + 0.5\n)\n"
        f"and on ({MODEL_VERSION_BASELINE})\n  {binary}\nor\n  {_by_bin(ratio)}"
    )
    return Recording(_RIGHT, expr)


def _by_bin(series: str) -> str:
    return f"max by ({BASELINE_BIN}) ({series})"


def estimated_accuracy(knobs: Knobs, window: str) -> Recording:
    """The accuracy that the window's confidences promise if they come true as often as in the baseline (CBPE)."""
    right = _RIGHT if window == knobs.short_window else last(_RIGHT, knobs.step)
    observed = f"sum by ({BASELINE_BIN}) ({counts(window)}{{{equal(SIGNAL, names.SIGNAL_CONFIDENCE)}}})"
    known = f"sum by ({MODEL_VERSION}) ({observed} and {right}) >= {knobs.minimum_samples}"
    return Recording(
        _score(names.PERFORMANCE, window), f"sum by ({MODEL_VERSION}) ({observed} * {right})\n/ on ({MODEL_VERSION})\n  ({known})"
    )


def calibration_published(knobs: Knobs, window: str) -> Iterator[Recording]:
    """Calibration error and noise floor under the exporter's labels."""
    return (_published(knobs, metric, window, {}) for metric in _CALIBRATION)


def estimate_published(knobs: Knobs, window: str) -> Recording:
    """The estimated accuracy under the exporter's labels."""
    return _published(
        knobs, names.PERFORMANCE, window, {prometheus(names.METRIC): "accuracy", prometheus(names.ESTIMATE): names.ESTIMATE_CBPE}
    )


def _published(knobs: Knobs, metric: Metric, window: str, labels: Mapping[str, str]) -> Recording:
    score = last(_score(metric, window), knobs.rhythm(window))
    return Recording(f"model_version:{metric.prometheus}:promql", score, {WINDOW: window, **labels})
