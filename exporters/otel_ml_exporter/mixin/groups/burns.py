"""Budgets of bad calls, and alerts that page when one burns too fast.

Two windows must agree: the long one is the evidence, the short one says that it still burns. The factors are those of the Site
Reliability Workbook (chapter 5): 14.4 spends 2 % of a 30-day budget in an hour, 6 spends 5 % in six hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otel_ml_exporter.mixin.durations import seconds
from otel_ml_exporter.mixin.groups.limits import limit
from otel_ml_exporter.mixin.groups.verdicts import answering
from otel_ml_exporter.mixin.pack import Recording
from otel_ml_exporter.mixin.promql import MODEL_VERSION, Queries

FAST: Final = 14.4
SLOW: Final = 6
MOST: Final = 0.9
"""A large budget never burns 14.4 times as fast; this share of bad calls always does."""

CALLS: Final = "ml_inference_calls"


def counted(name: str, window: str) -> str:
    """The name of the recorded increase of a count of calls."""
    return f"model_version:{name}:increase{window}"


def summed(queries: Queries, name: str, window: str) -> str:
    """A count of calls over a window, put together from increases over the rate window; scaled alike in every count."""
    return f"sum_over_time({counted(name, queries.knobs.rate_window)}[{window}])"


def calls_over(queries: Queries, window: str) -> str:
    """The calls of a long window; each evaluation's increase tells the calls of a rate window, so it counts for its own interval."""
    knobs = queries.knobs
    return f"{seconds(knobs.interval) / seconds(knobs.rate_window):g} * {summed(queries, CALLS, window)}"


@dataclass(frozen=True)
class Budget:
    """A share of calls that may be bad: `bad` names their count, `signal` the budget."""

    bad: str
    signal: str
    queries: Queries

    def ratio(self, window: str) -> str:
        """The name of the recorded share of bad calls."""
        return f"model_version:{self.bad}:ratio{window}"

    def recordings(self) -> Iterator[Recording]:
        """The share of bad calls over each window of the burn rates."""
        knobs = self.queries.knobs
        now = f"{counted(self.bad, knobs.rate_window)}\n/ on ({MODEL_VERSION})\n  ({counted(CALLS, knobs.rate_window)} > 0)"
        yield Recording(self.ratio(knobs.rate_window), now)
        for window in dict.fromkeys((knobs.slow_burn_window, knobs.short_window, knobs.middle_window)):
            if window != knobs.rate_window:
                bad, calls = (summed(self.queries, name, window) for name in (self.bad, CALLS))
                yield Recording(self.ratio(window), f"{bad}\n/ on ({MODEL_VERSION})\n  ({calls} > 0)")

    def burning(self) -> str:
        """The share of bad calls over the short or the middle window, where the budget burns too fast and calls are enough."""
        knobs = self.queries.knobs
        fast = self._both(FAST, knobs.short_window, knobs.rate_window)
        slow = self._both(SLOW, knobs.middle_window, knobs.slow_burn_window)
        return f"(\n{fast}\n  or on ({MODEL_VERSION})\n{slow}\n)\n{answering(self.queries)}"

    def _both(self, factor: float, long: str, short: str) -> str:
        """Too many bad calls in both windows, and enough calls in the long one."""
        joined = f"      and on ({MODEL_VERSION})\n        "
        most = f"> on ({MODEL_VERSION}) clamp_max({factor} * {limit(self.signal)}, {MOST})"
        enough = f"{counted(CALLS, long)} >= {self.queries.knobs.minimum_calls}"
        return f"    (\n        {self.ratio(long)} {most}\n{joined}{self.ratio(short)} {most}\n{joined}{enough}\n    )"
