"""Windows that are put together from short recorded increases, so that a day costs no more than an hour to read."""

from __future__ import annotations

from otel_ml_exporter.mixin.durations import milliseconds, seconds, written
from otel_ml_exporter.mixin.knobs import Knobs


def step(counter: str, knobs: Knobs) -> str:
    """The increase of a counter since the last evaluation.

    `increase` never sees what happens between two ranges: of ranges that only touch, one scrape interval in each would be lost,
    and the rest extrapolated. These overlap by one scrape interval, so that each begins with the scrape that ended the last.
    """
    length = seconds(knobs.step)
    overlapping = length + seconds(knobs.scrape_interval)
    return f"increase({counter}[{written(round(1000 * overlapping))}]) * {length:g} / {overlapping:g}"


def summed(record: str, window: str, knobs: Knobs) -> str:
    """The sum of the recorded increases of a window; half a step short, so that its edge never holds one too many."""
    return f"sum_over_time({record}[{written(milliseconds(window) - milliseconds(knobs.step) // 2)}])"
