"""A Prometheus that is asked for one environment of several: whatever a command asks, it hears of no other."""

from __future__ import annotations

from collections.abc import Sequence

from otel_ml_exporter.alertmanager import Matcher
from otel_ml_exporter.mixin.grouping import matched
from otel_ml_exporter.prometheus import Alert, Line, Prometheus, Sample
from otel_ml_exporter.remote import Access
from otel_ml_exporter.routing import mutes


class Narrowed(Prometheus):
    """Every selector of every query gets `selector` too; alerts without its labels, as the Watchdog, are of all environments."""

    def __init__(self, url: str, access: Access, selector: Sequence[Matcher]) -> None:
        super().__init__("Prometheus", url, access)
        self._selector = selector

    def vector(self, expression: str, at: float | None = None) -> list[Sample]:
        """As for all series."""
        return super().vector(self._narrow(expression), at)

    def lines(self, expression: str, start: float, end: float, step: float) -> list[Line]:
        """As for all series."""
        return super().lines(self._narrow(expression), start, end, step)

    def alerts(self) -> list[Alert]:
        """Those of the environment, and those of all."""
        return [alert for alert in super().alerts() if mutes([each for each in self._selector if each.name in alert.labels], alert.labels)]

    def _narrow(self, expression: str) -> str:
        return matched(expression, [str(matcher) for matcher in self._selector])
