"""The model server of the demo: a prefork HTTP service, as gunicorn would be, with a monitored model in each worker.

The parent trains, binds the socket and forks; a worker that dies is forked again. OpenTelemetry is configured after the fork,
since its exporters run threads. Each worker is scraped on a port of its own, or pushes OTLP when there is no Prometheus.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

import uvicorn
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import start_http_server
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from otel_ml import Monitor
from otel_ml_exporter.demo import flights

PUSH_MILLISECONDS = 1_000
POLL_SECONDS = 0.1


def application(model: flights.Model, monitor: Monitor) -> Starlette:
    """`POST /predict` takes `{"rows": [...], "ids": [...]}` and answers `{"late": [probability, ...]}`."""

    def predict(rows: list[dict[str, object]], ids: list[str]) -> list[float]:
        with monitor.observe(rows, prediction_ids=ids) as call:
            call.prediction = model.predict_proba(rows)
        return call.prediction  # type: ignore[no-any-return]

    async def answer(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse({"late": await run_in_threadpool(predict, body["rows"], body["ids"]), "worker": os.getpid()})

    return Starlette(routes=[Route("/predict", answer, methods=["POST"])])


def configure_telemetry(metrics_port: int, exporter_url: str) -> None:
    """Scraped on `metrics_port`, or pushed to the exporter when it is 0; prediction events always go to the exporter."""
    resource = Resource.create({"service.name": flights.MODEL, "service.instance.id": f"worker-{os.getpid()}"})
    reader: MetricReader
    if metrics_port:
        reader = PrometheusMetricReader()
        start_http_server(metrics_port, "127.0.0.1")
    else:
        push = OTLPMetricExporter(f"{exporter_url}/v1/metrics")
        reader = PeriodicExportingMetricReader(push, export_interval_millis=PUSH_MILLISECONDS)
    set_meter_provider(MeterProvider([reader], resource=resource))
    logs = LoggerProvider(resource)
    events = OTLPLogExporter(f"{exporter_url}/v1/logs")
    logs.add_log_record_processor(BatchLogRecordProcessor(events, schedule_delay_millis=PUSH_MILLISECONDS))
    set_logger_provider(logs)


def work(listener: socket.socket, model: flights.Model, options: argparse.Namespace, metrics_port: int) -> None:
    """One worker, until it is told to stop."""
    configure_telemetry(metrics_port, options.exporter)
    app = application(model, Monitor(options.baseline, events=True))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", limit_concurrency=64)).run(sockets=[listener])


def supervise(options: argparse.Namespace) -> int:
    """Fork a worker for each metrics port and fork again what dies, until SIGTERM; then wait for their last reports."""
    model = flights.Model(flights.split(flights.load()).train)
    listener = socket.create_server(("127.0.0.1", options.port))
    told: list[int] = []  # signals are looked at between forks, so that no worker is forked behind the back of one
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    signal.signal(signal.SIGINT, lambda number, _: told.append(number))

    def fork(metrics_port: int) -> int:
        if child := os.fork():
            return child
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it is done; telemetry is flushed at exit
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if not told:
            work(listener, model, options, metrics_port)
        sys.exit(0)

    workers = {fork(port): port for port in options.metrics_ports}
    while not told:
        time.sleep(POLL_SECONDS)
        for gone in [worker for worker in workers if os.waitpid(worker, os.WNOHANG)[0]]:
            port = workers.pop(gone)
            workers[fork(port)] = port
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    for worker in workers:
        os.waitpid(worker, 0)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m otel_ml_exporter.demo.serve`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--metrics-ports", type=lambda text: [int(port) for port in text.split(",")], required=True)
    parser.add_argument("--baseline", required=True)
    parser.add_argument("--exporter", required=True, help="base URL of the companion exporter")
    return supervise(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
