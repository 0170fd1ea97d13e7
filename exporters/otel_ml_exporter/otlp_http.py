"""OTLP over HTTP as its specification has it: bodies in and answers out, in protobuf or JSON, compressed or not."""

from __future__ import annotations

import asyncio
import json
import math
import zlib
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from starlette.requests import Request
from starlette.responses import Response

from otel_ml.errors import OtelMLError

PATIENCE = 30.0
"""Seconds that a client may take to send its body."""
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PROBLEM = "application/problem+json"
RETRY_AFTER = 5.0
"""Seconds after which to come again, where nothing better is known."""

M = TypeVar("M", bound=Message)

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_RPC_CODES = {400: 3, 401: 16, 404: 12, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}
"""google.rpc.Code of each HTTP status: INVALID_ARGUMENT, UNIMPLEMENTED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE."""


class RefusedError(OtelMLError):
    """A request that is not taken: the HTTP status and the `reason` to count it under; after `retry_after` seconds 429 and 503 may pass."""

    def __init__(self, status: int, message: str, *, reason: str = "", retry_after: float = RETRY_AFTER) -> None:
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(message)


async def read_body(request: Request, most: int) -> bytes:
    """The body as it was sent. Raises `RefusedError` when it is too large, or too slow."""
    try:
        return await asyncio.wait_for(_read_all(request, most), PATIENCE)
    except asyncio.TimeoutError as error:
        raise RefusedError(408, f"the body took longer than {PATIENCE:g} s; send smaller batches") from error


async def _read_all(request: Request, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)


def content_type(request: Request) -> str:
    """The media type of a request, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decompressed(body: bytes, encoding: str, most: int) -> bytes:
    """The body as it was before its content encoding. Raises `RefusedError` when that is unknown, broken, or too large."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW_BITS:
        raise RefusedError(415, f"content encoding {encoding!r} is unknown; use gzip, deflate or none")
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = inflater.decompress(body, most + 1)
    except zlib.error as error:
        raise RefusedError(400, f"the body is not {encoding} ({error})") from error
    if len(plain) > most:
        raise _too_large(most)
    if not inflater.eof:
        raise RefusedError(400, f"the {encoding} body ends too early")
    return plain


def parse(kind: type[M], body: bytes, media_type: str) -> M:
    """The message in a body. Raises `RefusedError` when there is none."""
    message = kind()
    try:
        if media_type == PROTOBUF:
            message.ParseFromString(body)
        elif media_type == JSON:
            json_format.Parse(body, message, ignore_unknown_fields=True)
        else:
            raise RefusedError(415, f"content type {media_type or 'none'!r} is unknown; send {PROTOBUF} or {JSON}")
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is no {kind.DESCRIPTOR.name} ({error})") from error
    return message


def answer(message: Message, media_type: str) -> Response:
    """A success, in the content type of the request."""
    if media_type == PROTOBUF:
        return Response(message.SerializeToString(), media_type=PROTOBUF)
    return Response(json_format.MessageToJson(message, indent=None), media_type=JSON)


def refusal(error: RefusedError, media_type: str) -> Response:
    """A `google.rpc.Status`, in the content type of the request where that is known."""
    code, text = _RPC_CODES[error.status], str(error)
    headers = _headers(error)
    if media_type == PROTOBUF:
        return Response(_status(code, text), error.status, headers, media_type=PROTOBUF)
    return Response(json.dumps({"code": code, "message": text}), error.status, headers, media_type=JSON)


def problem(error: RefusedError, **details: Any) -> Response:
    """A problem document (RFC 9457)."""
    document = {"status": error.status, "title": str(error), **details}
    return Response(json.dumps(document), error.status, _headers(error), media_type=PROBLEM)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {most} bytes, compressed or not; send smaller batches")


def _headers(error: RefusedError) -> dict[str, str]:
    if error.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(math.ceil(error.retry_after))} if error.status in (429, 503) else {}


def _status(code: int, message: str) -> bytes:
    """`google.rpc.Status` in protobuf: field 1 is the code, field 2 the message; its class is in a package we do not need."""
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])
