"""A random sample of the rows of any recent window, in little memory."""

from __future__ import annotations

import heapq
import random
import threading
from typing import NamedTuple

import numpy as np

from otel_ml_exporter.rows.codes import Codes


class _Row(NamedTuple):
    time: float
    draw: float
    codes: Codes


class Reservoir:
    """Holds enough rows to give a random sample of `keep` rows of each window that ends now.

    Each row draws a number, the smaller the more predictions it stands for (Efraimidis and Spirakis 2006); the sample of a window
    are its rows with the smallest. So a row is forgotten when `keep` later ones drew a smaller number: of n rows about
    `keep * (1 + log(n / keep))` stay (Babcock, Datar and Motwani 2002).
    """

    def __init__(self, keep: int, *, seed: int | None = None) -> None:
        self._keep = keep
        self._random = random.Random(seed)  # noqa: S311 - no secret hangs on who is sampled
        self._rows: list[_Row] = []
        self._bound = 4 * keep
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, time: float, codes: Codes, weight: float = 1.0) -> None:
        """Offer a row that was predicted at the Unix time `time` and stands for `weight` predictions."""
        with self._lock:
            self._rows.append(_Row(time, self._random.expovariate(weight), codes))
            if len(self._rows) > self._bound:
                self._thin()
                self._bound = max(4 * self._keep, 2 * len(self._rows))

    def sample(self, since: float, width: int) -> Codes:
        """At most `keep` random rows from `since` on; shape (rows, width)."""
        with self._lock:
            recent = [row for row in self._rows if row.time >= since]
        chosen = heapq.nsmallest(self._keep, recent, key=lambda row: row.draw)
        return np.array([row.codes for row in chosen]).reshape(-1, width)

    def forget(self, before: float) -> None:
        """Let go of all rows older than a Unix time."""
        with self._lock:
            self._rows = [row for row in self._rows if row.time >= before]

    def _thin(self) -> None:
        """Keep each row that is among the `keep` smallest draws of the rows from it on."""
        smallest: list[float] = []  # a heap of negated draws: its first is the largest of the smallest
        kept = []
        for row in sorted(self._rows, key=lambda row: row.time, reverse=True):
            if len(smallest) < self._keep:
                heapq.heappush(smallest, -row.draw)
            elif row.draw < -smallest[0]:
                heapq.heapreplace(smallest, -row.draw)
            else:
                continue
            kept.append(row)
        self._rows = kept[::-1]
