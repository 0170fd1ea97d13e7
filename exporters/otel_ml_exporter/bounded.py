"""Requests that end: a server may be slow or talkative, yet nobody waits for it, or keeps what it sends, without a limit."""

from __future__ import annotations

import time
from typing import Any, Final

import httpx

MOST_BYTES: Final = 256 * 2**20
"""Ten thousand points of a thousand series."""

_OF_THE_WIRE: Final = ("content-encoding", "content-length", "transfer-encoding")


class TooMuchError(httpx.TransportError):
    """An answer is larger than any that is asked for."""


def request(client: httpx.Client, method: str, url: str, seconds: float, **options: Any) -> httpx.Response:
    """The whole answer, whatever its status; httpx itself only limits the wait for each part of it.

    Raises `httpx.ReadTimeout` when it is not there after `seconds`, and `TooMuchError`.
    """
    end = time.monotonic() + seconds
    body = bytearray()
    with client.stream(method, url, **options) as answer:
        for part in answer.iter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise TooMuchError(f"more than {MOST_BYTES // 2**20} MiB")
            if time.monotonic() > end:
                raise httpx.ReadTimeout(f"only {len(body)} bytes in {seconds:g} s")
        headers = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in _OF_THE_WIRE]
        return httpx.Response(answer.status_code, headers=headers, content=bytes(body))
