"""When an alert would have fired: Prometheus' own states over the times at which its expression held."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """From when to when, in Unix seconds; `end` is that of the past looked at where `open` is true."""

    start: float
    end: float
    open: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


def firing(active: Sequence[float], *, step: float, hold: float, keep: float, end: float) -> list[Interval]:
    """The intervals in which one alert fires, from the times at which it was evaluated and held.

    `active` lies on a grid of `step`; `hold` and `keep` are `for` and `keep_firing_for`; `end` is the last evaluation.
    The rules are those of Prometheus' `AlertingRule.Eval`: pending from the first time, firing once `hold` has passed,
    resolved at the first evaluation that is `keep` after the first one at which it did not hold.

    >>> firing([0, 60, 120, 300], step=60, hold=60, keep=0, end=600)
    [Interval(start=60, end=180, open=False)]
    """
    intervals: list[Interval] = []
    since = fired = last = math.nan
    for at in active:
        if math.isnan(last) or (at - last > step * 1.5 and (math.isnan(fired) or _resolved(last, step, keep) < at - step / 2)):
            if not math.isnan(fired):
                intervals.append(Interval(fired, _resolved(last, step, keep)))
            since, fired = at, math.nan
        if math.isnan(fired) and at - since >= hold:
            fired = at
        last = at
    if not math.isnan(fired):
        resolved = _resolved(last, step, keep)
        intervals.append(Interval(fired, min(resolved, end), open=resolved > end))
    return intervals


def _resolved(last: float, step: float, keep: float) -> float:
    """The evaluation that resolves an alert which held at `last` and then no more."""
    return last + step + math.ceil(keep / step) * step


def incidents(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of the intervals of alerts that Alertmanager would tell together.

    >>> incidents([Interval(0, 100), Interval(50, 200), Interval(300, 400)])
    [Interval(start=0, end=200, open=False), Interval(start=300, end=400, open=False)]
    """
    merged: list[Interval] = []
    for each in sorted(intervals):
        if merged and each.start <= merged[-1].end:
            last = merged.pop()
            merged.append(Interval(last.start, max(last.end, each.end), last.open or each.open))
        else:
            merged.append(each)
    return merged
