"""The door of the store: what comes in within limits, counted by what became of it; what is not taken is refused in words."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from otel_ml import catalogue as names
from otel_ml.errors import OtelMLError
from otel_ml_exporter.outcomes.ingest import Batch
from otel_ml_exporter.outcomes.ledger import OUTCOME_RESULTS, PREDICTION_RESULTS, Received
from otel_ml_exporter.outcomes.limits import IntakeLimits
from otel_ml_exporter.outcomes.store import Entries, OutcomeStore
from otel_ml_exporter.outcomes.writer import FullError, Writer

REASONS = (names.DROP_BUSY, names.DROP_FULL, names.DROP_RATE, names.DROP_STORE, names.DROP_TOKEN)


class RefusedEntriesError(OtelMLError):
    """Entries that are not taken now, and the seconds after which it is worth to try again."""

    def __init__(self, reason: str, message: str, retry_after: float) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(message)


class Rate:
    """Rows a second over a second: a bucket that fills as time goes on."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left = float(rate)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, rows: int) -> float:
        """0 where so many rows may come now, else the seconds to wait; a request that is larger than the bucket empties it."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._left = min(self._left + (now - self._at) * self._rate, self._rate)
            self._at = now
            needed = min(rows, self._rate)
            if self._left >= needed:
                self._left -= rows
                return 0.0
            return (needed - self._left) / self._rate


class Intake:
    """Takes batches for a store; `close` it, so that what was taken is written."""

    def __init__(self, store: OutcomeStore, limits: IntakeLimits) -> None:
        self.limits = limits
        self._store = store
        self._writer = Writer(store.keep_all, most_rows=limits.waiting)
        self._rate = Rate(limits.rate)
        self._lock = threading.Lock()
        self._predictions: Counter[tuple[str, str]] = Counter()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._written: Counter[tuple[str, str]] = Counter()
        self._refused = Counter(dict.fromkeys(REASONS, 0))

    def submit(self, batch: Batch, writer: str = "") -> Future[Received]:
        """What becomes of a batch, once it is on the disk. Raises `RefusedEntriesError` where there is no room for it."""
        entries = Entries(batch.predictions, batch.outcomes, writer)
        if entries.rows and self._store.rows + entries.rows > self.limits.stored:
            message = f"the store holds {self._store.rows} rows of at most {self.limits.stored}; raise limits.stored or shorten retention"
            raise RefusedEntriesError(names.DROP_FULL, message, 60)
        wait = self._rate.take(entries.rows)
        if wait:
            raise RefusedEntriesError(names.DROP_RATE, f"more than {self.limits.rate} rows a second come; send again later", wait)
        try:
            future = self._writer.submit(entries)
        except FullError as error:
            raise RefusedEntriesError(names.DROP_BUSY, str(error), 1) from error
        future.add_done_callback(lambda done: self._count(done, batch, writer))
        return future

    def refused(self, reason: str) -> None:
        """Count a request that was refused."""
        with self._lock:
            self._refused[reason] += 1

    def outcome_results(self) -> Mapping[tuple[str, str], int]:
        """What became of outcomes, by model and result; under an empty name what belongs to no known model."""
        return self._results(self._outcomes, OUTCOME_RESULTS)

    def prediction_results(self) -> Mapping[tuple[str, str], int]:
        """What became of predictions, as for outcomes."""
        return self._results(self._predictions, PREDICTION_RESULTS)

    def refusals(self) -> Mapping[str, int]:
        """How many requests were refused, by reason."""
        with self._lock:
            return dict(self._refused)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _results(self, counted: Mapping[tuple[str, str], int], results: Sequence[str]) -> Mapping[tuple[str, str], int]:
        """The counts, with 0 for what has not happened yet, so that its first time is an increase."""
        never = dict.fromkeys(((model, result) for model in sorted(self._store.known.models) for result in results), 0)
        with self._lock:
            return {**never, ("", names.RESULT_UNKNOWN_MODEL): 0, ("", names.RESULT_INVALID): 0, **counted}

    def written(self) -> Mapping[tuple[str, str], int]:
        """The labels that each token wrote since this was last asked, by (token, model)."""
        with self._lock:
            written, self._written = self._written, Counter()
        return written

    def _count(self, done: Future[Received], batch: Batch, writer: str) -> None:
        received = None if done.cancelled() or done.exception() else done.result()
        known = self._store.known.models
        with self._lock:
            if received is not None and writer:
                for (model, _), rows in received.outcomes.items():
                    self._written[writer, model] += rows
            if received is not None:
                for counter, results in ((self._predictions, received.predictions), (self._outcomes, received.outcomes)):
                    for (model, result), rows in results.items():
                        counter[model if model in known else "", result] += rows
            kinds = Counter(rejection.event for rejection in batch.rejected)
            self._outcomes["", names.RESULT_INVALID] += kinds[names.EVENT_OUTCOME]
            self._predictions["", names.RESULT_INVALID] += kinds[names.EVENT_PREDICTION]
