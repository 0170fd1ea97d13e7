"""Scores that Prometheus computes itself, from counters and the baseline's series, in chains of recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otel_ml_exporter.mixin.groups import estimates, psi
from otel_ml_exporter.mixin.pack import Group, Recording, Rhythm
from otel_ml_exporter.mixin.promql import Queries


def scores(queries: Queries) -> Group:
    """PSI and its noise floor, calibration error, and the accuracy that confidences promise; as `otel_ml.stats` defines them.

    What has thousands of bins is computed as rarely as its window allows; only the scores are recorded often enough to be read.
    """
    knobs = queries.knobs
    compared = tuple(dict.fromkeys((knobs.short_window, knobs.long_window)))
    calibrated = tuple(dict.fromkeys((knobs.short_window, knobs.middle_window, knobs.long_window)))
    longer = Rhythm("long", knobs.part, tuple(_longer(queries, compared[1:], calibrated[1:])))
    published = Rhythm("published", knobs.fresh, tuple(_published(queries, compared, calibrated)))
    brief = "The same scores from the same series, without the exporter's arithmetic."
    return Group("scores", brief, tuple(_short(queries)), knobs.step, tuple(rhythm for rhythm in (longer, published) if rhythm.rules))


def _short(queries: Queries) -> Iterator[Recording]:
    """What was counted since the last evaluation, the baseline, and the scores of the short window."""
    yield from (*psi.observed(queries), *estimates.outcomes(queries), *psi.expected(queries), estimates.right(queries))
    yield from _scored(queries, queries.knobs.short_window)
    yield from estimates.calibration(queries, queries.knobs.short_window)


def _longer(queries: Queries, compared: Sequence[str], calibrated: Sequence[str]) -> Iterator[Recording]:
    """What was counted in the last part, and the scores of the windows that are made of parts."""
    yield from (psi.parts(queries.knobs), *estimates.parts(queries.knobs))
    for window in compared:
        yield from _scored(queries, window)
    for window in calibrated:
        yield from estimates.calibration(queries, window)


def _scored(queries: Queries, window: str) -> Iterator[Recording]:
    yield from (*psi.compared(queries.knobs, window), estimates.estimated_accuracy(queries.knobs, window))


def _published(queries: Queries, compared: Sequence[str], calibrated: Sequence[str]) -> Iterator[Recording]:
    """The scores under the exporter's labels."""
    for window in compared:
        yield from (*psi.published(queries, window), estimates.estimate_published(queries.knobs, window))
    for window in calibrated:
        yield from estimates.calibration_published(queries.knobs, window)
