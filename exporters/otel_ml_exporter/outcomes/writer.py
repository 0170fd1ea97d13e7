"""Many requests, one transaction: each is answered when its transaction is on the disk, and none waits for a second one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from otel_ml.errors import OtelMLError
from otel_ml_exporter.outcomes.ledger import Received
from otel_ml_exporter.outcomes.store import Entries

GROUP_ROWS = 20_000
"""Rows of a transaction after which the next request waits for the next one."""

_Waiting = tuple[Entries, "Future[Received]"]


class FullError(OtelMLError):
    """There is no room now; what was sent is not taken, and may be sent again."""


class Writer:
    """A thread that gives what waits to `keep_all`, as one group; at most `most_rows` may wait."""

    def __init__(self, keep_all: Callable[[Sequence[Entries]], Sequence[Received]], *, most_rows: int) -> None:
        self._keep_all = keep_all
        self._most_rows = most_rows
        self._waiting: list[_Waiting] = []
        self._rows = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="outcomes", daemon=True)
        self._thread.start()

    def submit(self, entries: Entries) -> Future[Received]:
        """What becomes of the entries, once they are on the disk. Raises `FullError` when too much waits."""
        with self._changed:
            if self._closed or (self._rows and self._rows + entries.rows > self._most_rows):
                raise FullError(f"{self._rows} rows wait to be written; send again a little later")
            future: Future[Received] = Future()
            self._waiting.append((entries, future))
            self._rows += entries.rows
            self._changed.notify()
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._write(group)
            with self._changed:
                self._rows -= sum(entries.rows for entries, _ in group)

    def _next_group(self) -> list[_Waiting]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            rows = size = 0
            while size < len(self._waiting) and (not size or rows + self._waiting[size][0].rows <= GROUP_ROWS):
                rows += self._waiting[size][0].rows
                size += 1
            group, self._waiting = self._waiting[:size], self._waiting[size:]
        return group

    def _write(self, group: Sequence[_Waiting]) -> None:
        try:
            results = self._keep_all([entries for entries, _ in group])
        except Exception as error:  # noqa: BLE001 - whoever waits must be told; the thread serves the next ones
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), received in zip(group, results, strict=True):
            future.set_result(received)
