"""The exporter's HTTP face: metrics and health out; counts, events and outcomes in."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_ml import catalogue as names
from otel_ml_exporter import landing, openapi, otlp_http
from otel_ml_exporter.access import READ, WRITE
from otel_ml_exporter.collector import CONTENT_TYPE
from otel_ml_exporter.database import StoreError
from otel_ml_exporter.otlp_http import RefusedError
from otel_ml_exporter.outcomes import ingest
from otel_ml_exporter.outcomes.ingest import Batch
from otel_ml_exporter.outcomes.intake import RefusedEntriesError
from otel_ml_exporter.outcomes.ledger import Received
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.shape import UnfitError

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_Refuse = Callable[[RefusedError, str], Response]


def application(exporter: Exporter) -> Starlette:
    """The endpoints of a running exporter."""
    return Starlette(routes=_Endpoints(exporter).routes())


class _Endpoints:
    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._slots = asyncio.Semaphore(exporter.config.limits.requests)

    def routes(self) -> list[Route]:
        return [
            Route("/", self._reading(self.index)),
            Route("/metrics", self._reading(self.metrics)),
            Route("/openapi.json", self.description),
            Route("/healthz", self.health),
            Route("/readyz", self.ready),
            Route("/v1/metrics", self._taking(self._take_metrics, _otlp_refusal), methods=["POST"]),
            Route("/v1/logs", self._taking(self._take_logs, _otlp_refusal), methods=["POST"]),
            Route("/v1/outcomes", self._taking(self._take_outcomes, _problem), methods=["POST"]),
        ]

    def _allowed(self, request: Request, scope: str) -> str:
        """Whose token allows this; empty where nobody needs one."""
        holder = self._exporter.config.access.holder(request.headers.get("authorization", ""), scope)
        if holder is None:
            raise RefusedError(
                401, f"a token that allows to {scope} is needed; send it as `Authorization: Bearer ...`", reason=names.DROP_TOKEN
            )
        return holder

    def _reading(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A handler that answers who may read."""

        async def handle(request: Request) -> Response:
            try:
                self._allowed(request, READ)
            except RefusedError as error:
                return otlp_http.problem(error)
            return await answer(request)

        return handle

    async def index(self, _: Request) -> Response:
        return HTMLResponse(landing.page(self._exporter))

    async def metrics(self, _: Request) -> Response:
        return StreamingResponse(self._exporter.collector.text(), headers={"Content-Type": CONTENT_TYPE})

    async def description(self, _: Request) -> Response:
        return JSONResponse(openapi.document())

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, _: Request) -> Response:
        if self._exporter.report is None:
            return PlainTextResponse("the first evaluation has not ended yet\n", 503)
        try:
            await run_in_threadpool(self._exporter.database.probe)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return PlainTextResponse("ready\n")

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the places where bodies are worked on; nobody waits for one."""
        if self._slots.locked():
            message = f"{self._exporter.config.limits.requests} requests are being worked on; try again"
            raise RefusedError(429, message, reason=names.DROP_BUSY)
        async with self._slots:
            yield

    def _taking(
        self, take: Callable[[bytes, str, str], Response | Awaitable[Response]], refuse: _Refuse
    ) -> Callable[[Request], Awaitable[Response]]:
        """A handler that reads a body within limits, and lets `take` work on it in a thread."""
        most = self._exporter.config.limits.body

        async def handle(request: Request) -> Response:
            media_type = otlp_http.content_type(request)
            try:
                writer = self._allowed(request, WRITE)
                async with self._slot():
                    body = await otlp_http.read_body(request, most)
                    encoding = request.headers.get("content-encoding", "")
                    taken = await run_in_threadpool(lambda: take(otlp_http.decompressed(body, encoding, most), media_type, writer))
                    return taken if isinstance(taken, Response) else await taken
            except RefusedError as error:
                refusal = error
            except RefusedEntriesError as error:
                refusal = RefusedError(429, str(error), reason=error.reason, retry_after=error.retry_after)
            except StoreError as error:
                refusal = RefusedError(503, str(error), reason=names.DROP_STORE)
            if refusal.reason:
                self._exporter.intake.refused(refusal.reason)
            return refuse(refusal, media_type)

        return handle

    def _take_metrics(self, body: bytes, media_type: str, _: str) -> Response:
        if self._exporter.otlp is None:
            raise RefusedError(404, "this exporter reads its counts from Prometheus; send metrics there, or configure source.otlp")
        dropped = self._exporter.otlp.receive(otlp_http.parse(ExportMetricsServiceRequest, body, media_type))
        success = ExportMetricsServiceResponse()
        if dropped:
            message = "see ml_exporter_points_dropped_total"
            success.partial_success.CopyFrom(ExportMetricsPartialSuccess(rejected_data_points=dropped, error_message=message))
        return otlp_http.answer(success, media_type)

    def _take_logs(self, body: bytes, media_type: str, writer: str) -> Awaitable[Response]:
        now, request = time.time(), otlp_http.parse(ExportLogsServiceRequest, body, media_type)
        batch = ingest.from_logs(request, now)
        written = self._exporter.intake.submit(batch, writer)
        self._exporter.rows.take(request, now)
        return self._logs_taken(batch, written, media_type)

    async def _logs_taken(self, batch: Batch, written: Future[Received], media_type: str) -> Response:
        await asyncio.wrap_future(written)
        success = ExportLogsServiceResponse()
        if batch.rejected:
            message = "; ".join(map(str, batch.rejected[:10]))
            success.partial_success.CopyFrom(ExportLogsPartialSuccess(rejected_log_records=len(batch.rejected), error_message=message))
        return otlp_http.answer(success, media_type)

    def _take_outcomes(self, body: bytes, media_type: str, writer: str) -> Awaitable[Response]:
        most = self._exporter.config.limits.rows
        try:
            if media_type in NDJSON:
                batch = ingest.from_lines(body, time.time(), most=most)
            else:
                batch = ingest.from_json(json.loads(body), time.time(), most=most)
        except UnfitError as error:
            raise RefusedError(400, f"the body {error.problem}; {error.mend}") from error
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, f"the body is not JSON ({error})") from error
        return self._outcomes_taken(batch, self._exporter.intake.submit(batch, writer))

    async def _outcomes_taken(self, batch: Batch, written: Future[Received]) -> Response:
        received = await asyncio.wrap_future(written)
        rejected = [rejection.shown() for rejection in batch.rejected]
        if not batch.outcomes:
            return otlp_http.problem(RefusedError(400, "no outcome was accepted"), accepted=0, rejected=rejected)
        results: Counter[str] = Counter()
        for (_, result), rows in received.outcomes.items():
            results[result] += rows
        return JSONResponse({"accepted": len(batch.outcomes), "results": results, "rejected": rejected})


def _otlp_refusal(error: RefusedError, media_type: str) -> Response:
    return otlp_http.refusal(error, media_type)


def _problem(error: RefusedError, _: str) -> Response:
    return otlp_http.problem(error)
