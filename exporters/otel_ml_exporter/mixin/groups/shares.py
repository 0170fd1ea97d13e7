"""Alerts on a share of a counter: how the share, its evidence and its limit are written."""

from __future__ import annotations

from dataclasses import dataclass

from otel_ml import catalogue as names
from otel_ml_exporter.mixin.groups.limits import limit, thresholds
from otel_ml_exporter.mixin.pack import Recording
from otel_ml_exporter.mixin.promql import MODEL_VERSION, Queries


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of counts that must stay under a limit.

    `part` and `whole` name counters of the recordings, `level` the labels in the names of recordings, `by` the labels
    themselves, `signal` the threshold.
    """

    level: str
    by: str
    part: str
    whole: str
    signal: str
    default: float
    minimum: int
    queries: Queries
    severity: str = names.CRITICAL

    @property
    def limit(self) -> str:
        """The name of the recorded threshold."""
        return limit(self.signal)

    def ratio(self, window: str) -> str:
        """The name of the recorded share."""
        return f"{self.level}:{self.part}:ratio{window}"

    def count(self, window: str) -> str:
        """The name of the recorded denominator."""
        return f"{self.level}:{self.whole}:increase{window}"

    def recordings(self, window: str, *, part: str, whole: str) -> tuple[Recording, Recording]:
        """Denominator and share over a window, from their expressions."""
        ratio = f"{part}\n/ on ({self.by})\n  ({self.count(window)} > 0)"
        return Recording(self.count(window), whole), Recording(self.ratio(window), ratio)

    def thresholds(self) -> tuple[Recording, Recording]:
        """The exporter's threshold, and the limit: that, or the default for models whose exporter publishes none."""
        return thresholds(self.queries, self.signal, self.default, self.severity)

    def exceeded(self) -> str:
        """The share now, where it is over the limit with enough counts: at once in busy models, over the long hour in quiet ones."""
        fast, slow = self.queries.knobs.rate_window, self.queries.knobs.short_window
        over = f"> on ({MODEL_VERSION}) group_left ()\n    {self.limit}"
        return (
            f"(\n    {self.ratio(fast)}\n  {over}\n)\nand on ({self.by}) (\n"
            f"    {self.count(fast)} >= {self.minimum}\n  or on ({self.by})\n"
            f"    (\n        {self.ratio(slow)} > on ({MODEL_VERSION}) group_left () {self.limit}\n"
            f"      and on ({self.by})\n        {self.count(slow)} >= {self.minimum}\n    )\n)"
        )
