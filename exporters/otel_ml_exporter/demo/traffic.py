"""Real flights, sent to the model server at a steady pace, with the truth told to the exporter after each batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import numpy as np
import pandas as pd

from otel_ml_exporter.demo import flights
from otel_ml_exporter.demo.stack import Stack

BATCH = 30
BATCHES_PER_SECOND = 6
Change = Callable[[pd.DataFrame], pd.DataFrame]


def unchanged(rows: pd.DataFrame) -> pd.DataFrame:
    """Traffic as it is."""
    return rows


def celsius(rows: pd.DataFrame) -> pd.DataFrame:
    """The preprocessing bug: an upstream service now reports the temperature in Celsius."""
    return rows.assign(temp=(rows["temp"] - 32) / 1.8)


class Traffic:
    """A thread that serves flights until the context ends; `switch` changes what it serves."""

    def __init__(self, stack: Stack, rows: pd.DataFrame) -> None:
        self._stack = stack
        self._rows: pd.DataFrame = rows
        self._change: Change = unchanged
        self._random = np.random.default_rng(2013)
        self._ids = count()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="traffic", daemon=True)
        self.served = 0
        self.failed = 0
        self.workers: set[int] = set()

    def switch(self, rows: pd.DataFrame, change: Change = unchanged) -> None:
        """Serve other flights, or the same ones damaged."""
        self._rows, self._change = rows, change

    def __enter__(self) -> Traffic:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _serve(self) -> None:
        for due in _rhythm(1 / BATCHES_PER_SECOND):
            if self._end.wait(max(0.0, due - time.monotonic())):
                return
            try:
                self._send(self._rows.iloc[self._random.integers(0, len(self._rows), BATCH)])
            except httpx.HTTPError:
                self.failed += BATCH

    def _send(self, batch: pd.DataFrame) -> None:
        ids = [f"flight-{next(self._ids)}" for _ in range(len(batch))]
        answer = self._stack.predict(_as_json(self._change(batch)), ids)
        self.served += len(batch)
        self.workers.add(answer["worker"])
        self._stack.tell_outcomes(flights.MODEL, dict(zip(ids, batch[flights.LATE].tolist(), strict=True)))


def _rhythm(seconds: float) -> Iterator[float]:
    start = time.monotonic()
    return (start + seconds * beat for beat in count())


def _as_json(rows: pd.DataFrame) -> list[dict[str, Any]]:
    inputs = rows[list(flights.FEATURES)].astype(object)
    records: list[dict[str, Any]] = inputs.where(inputs.notna(), None).to_dict("records")
    return records
