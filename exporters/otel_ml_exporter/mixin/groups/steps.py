"""Windows that are put together from recorded increases, so that a day costs no more to read than an hour, and each as rarely as it can."""

from __future__ import annotations

from otel_ml_exporter.mixin.durations import milliseconds, scaled, seconds, written
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.pack import Recording

PART = "_part"
"""What ends the name of the increases that middle and long windows are made of."""


def step(counter: str, knobs: Knobs) -> str:
    """The increase of a counter since the last evaluation.

    `increase` never sees what happens between two ranges: of ranges that only touch, one scrape interval in each would be lost,
    and the rest extrapolated. These overlap by one scrape interval, so that each begins with the scrape that ended the last.
    """
    length = seconds(knobs.step)
    overlapping = length + seconds(knobs.scrape_interval)
    return f"increase({counter}[{written(round(1000 * overlapping))}]) * {length:g} / {overlapping:g}"


def summed(increases: str, window: str, knobs: Knobs) -> str:
    """The sum of the recorded increases of a window; half an increase short, so that its edge never holds one too many.

    `increases` is the name of the records but for what tells steps, of which the short window is made, from parts.
    """
    suffix, length = ("_step", knobs.step) if window == knobs.short_window else (PART, knobs.part)
    return f"sum_over_time({increases}{suffix}[{written(milliseconds(window) - milliseconds(length) // 2)}])"


def part(increases: str, knobs: Knobs) -> Recording:
    """What was counted in the last part: the short window where middle and long window are multiples of it, else a step."""
    suffix = knobs.short_window if knobs.part == knobs.short_window else "_step"
    return Recording(increases + PART, last(increases + suffix, knobs.step))


def last(record: str, rhythm: str) -> str:
    """The newest value that a group of another rhythm recorded; half a rhythm longer, for evaluations that are late."""
    return f"last_over_time({record}[{scaled(rhythm, 1.5)}])"
