"""How much may come in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IntakeLimits:
    """How much may come before clients are asked to wait.

    Bytes of a body after decompression, rows of a request, requests at once, rows a second (0: any number), rows that wait to
    be written, and rows that are stored.
    """

    body: int = 16 * 1024 * 1024
    rows: int = 10_000
    requests: int = 16
    rate: int = 0
    waiting: int = 100_000
    stored: int = 50_000_000
