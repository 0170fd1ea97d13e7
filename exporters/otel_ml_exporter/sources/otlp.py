"""Counts received over OTLP; a window is the difference between the totals now and a snapshot of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel_ml.catalogue import DROP_LIMIT, DROP_OVERFLOW, DROP_UNUSABLE
from otel_ml_exporter.config import Window
from otel_ml_exporter.counts import ModelCounts, Roles, Series, SourceError, gather
from otel_ml_exporter.database import StoreError
from otel_ml_exporter.sources.points import Dropped, points
from otel_ml_exporter.sources.ring import Change, Ring, State
from otel_ml_exporter.sources.roles import ReportedRoles
from otel_ml_exporter.sources.totals import Totals

_MEND = {
    DROP_LIMIT: "there are more streams than source.otlp.max_streams; raise it, or have the Collector drop what no baseline needs",
    DROP_OVERFLOW: "a process has more series than its SDK keeps apart; raise cardinality_limits of its metric reader",
    DROP_UNUSABLE: "they are no counts, or name no model; look at the pipeline between the process and this exporter",
}

_log = logging.getLogger(__name__)


class OtlpSource:
    """Adds reports to totals as they come; saves the totals whenever it is read, and compares them with earlier ones."""

    name = "otlp"

    def __init__(self, ring: Ring, *, max_streams: int, retention: float) -> None:
        self._ring = ring
        self._retention = retention
        state = ring.load()
        if state is None:  # a snapshot of nothing, so that what comes before the first evaluation counts
            state = State({}, {}, {}, 1)
            ring.save(Change({}, {}, frozenset(), frozenset(), {}, 1), time.time())
        self._totals = Totals(state, limit=max_streams)
        self._roles = ReportedRoles()
        self._saving = threading.Lock()
        self._dropped = Counter(dict.fromkeys(_MEND, 0))
        self._dropping = threading.Lock()

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many points could not be counted, by reason."""
        with self._dropping:
            return dict(self._dropped)

    def receive(self, request: ExportMetricsServiceRequest) -> int:
        """Count a request, and say how many of its points could not be; what was counted before changes nothing."""
        now = time.time()
        self._roles.take(request, now)
        dropped: Counter[str] = Counter()
        for point in points(request, time.time_ns()):
            if isinstance(point, Dropped):
                dropped[point.reason] += 1
            elif not self._totals.add(point, now):
                dropped[DROP_LIMIT] += 1
        self._report(dropped)
        return dropped.total()

    def _report(self, dropped: Counter[str]) -> None:
        with self._dropping:
            first = [reason for reason in dropped if not self._dropped[reason]]
            self._dropped.update(dropped)
        for reason in first:
            _log.warning("dropped %d points received over OTLP (%s): %s", dropped[reason], reason, _MEND[reason])

    def read(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        """See `Source.read`; saves the totals too."""
        try:
            totals = self._save(at)
            return {window: gather(self._growth(totals, at - window.seconds)) for window in windows}
        except StoreError as error:
            raise SourceError(str(error)) from error

    def earlier(self, windows: Sequence[Window], at: float) -> Mapping[Window, Sequence[ModelCounts]]:
        """See `Source.earlier`; only where the snapshots reach back to the beginning of a window."""
        try:
            spans = {window: self._ring.span(at - window.seconds, at) for window in windows}
        except StoreError as error:
            raise SourceError(str(error)) from error
        return {window: gather(self._totals.growth(*span)) for window, span in spans.items() if span is not None}

    def roles(self, at: float) -> Roles:
        """See `Source.roles`; known once a version has reported."""
        return self._roles.at(at)

    def close(self) -> None:
        """See `Source.close`; saves what came since the last read."""
        self._save(time.time())

    def _growth(self, totals: Mapping[Series, tuple[int, float]], since: float) -> Iterator[tuple[Series, float]]:
        before = self._ring.totals_at(since)
        for series, (identity, total) in totals.items():
            yield series, total - before.get(identity, 0.0)

    def _save(self, at: float) -> Mapping[Series, tuple[int, float]]:
        with self._saving:
            self._totals.forget(at - self._retention, self._ring.totals_at(at - self._ring.horizon))
            change = self._totals.changes()
            totals = {self._totals.series(identity): (identity, total) for identity, total in change.totals.items()}
            try:
                self._ring.save(change, at)
            except StoreError:
                self._totals.restore(change)
                raise
            return totals
