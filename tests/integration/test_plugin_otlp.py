"""Counts arrive at a real OTLP receiver, over HTTP and over gRPC, exactly as they were made."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceServicer, add_MetricsServiceServicer_to_server
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from otel_ml import Baseline, Monitor, testing
from support import otlp_receiver


@pytest.fixture
def http_receiver():
    with otlp_receiver() as received:
        yield received


@pytest.fixture
def grpc_receiver():
    requests = []

    class Receiver(MetricsServiceServicer):
        def Export(self, request, _):  # noqa: N802
            requests.append(request)
            return ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    add_MetricsServiceServicer_to_server(Receiver(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", requests
    server.stop(None).wait()


def serve(exporter, model):
    """Count 1,000 rows of real traffic through an exporter; what the monitor counted, by its own account."""
    rng = np.random.default_rng(0)
    score = rng.random(400)
    data = rng.normal(size=(400, 4))
    baseline = Baseline.from_data(data, model=model, version="1", predictions=score, labels=score > 0.5)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    monitor = Monitor(baseline, meter_provider=provider)
    predict = monitor.wrap(lambda X: rng.random(len(X)))
    for _ in range(20):
        predict(rng.normal(0.5, 1, (50, 4)))
    provider.force_flush()
    provider.shutdown()
    return testing.collect(monitor)


def sums(request):
    """Feature and bin to count, and the number of rows, as they came over the wire."""
    features, rows = {}, []
    for metric in (metric for resource in request.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics):
        for point in metric.sum.data_points:
            assert metric.sum.is_monotonic
            attributes = {pair.key: pair.value.string_value for pair in point.attributes}
            if metric.name == "ml.feature.observations":
                features.setdefault(attributes["ml.feature.name"], {})[attributes["ml.bin"]] = point.as_int
            elif metric.name == "ml.inference.rows":
                rows.append(point.as_int)
    return features, rows


def test_counts_arrive_over_http(http_receiver):
    endpoint, bodies = http_receiver
    counted = serve(HttpExporter(f"{endpoint}/v1/metrics"), "over-http")
    request = ExportMetricsServiceRequest.FromString(bodies[0][1])
    assert sums(request) == (counted.features, [1_000])


def test_counts_arrive_over_grpc(grpc_receiver):
    endpoint, requests = grpc_receiver
    counted = serve(GrpcExporter(endpoint, insecure=True), "over-grpc")
    assert sums(requests[0]) == (counted.features, [1_000])


def test_a_text_that_is_no_unicode_does_not_stop_the_export(http_receiver):
    endpoint, bodies = http_receiver
    baseline = Baseline.from_data([{"a": "\ud800"}, {"a": "b"}], model="surrogate", version="1")
    provider = MeterProvider([PeriodicExportingMetricReader(HttpExporter(f"{endpoint}/v1/metrics"), export_interval_millis=3_600_000)])
    Monitor(baseline, meter_provider=provider).wrap(lambda _: None)([{"a": "\ud800"}])
    provider.shutdown()
    features, _ = sums(ExportMetricsServiceRequest.FromString(bodies[0][1]))
    assert features == {"a": {"?": 1, "b": 0, "__missing__": 0, "__other__": 0}}


def test_events_arrive_with_their_name_and_features(http_receiver):
    endpoint, bodies = http_receiver
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    baseline = Baseline.from_data({"a": [1, 2]}, model="events-otlp", version="1", predictions=[0.1, 0.9])
    monitor = Monitor(baseline, events=True, event_features=True, logger_provider=provider)
    with monitor.observe({"a": 1}, prediction_ids=["first"]) as call:
        call.prediction = 0.9
    provider.shutdown()
    (record,) = ExportLogsServiceRequest.FromString(bodies[0][1]).resource_logs[0].scope_logs[0].log_records
    assert record.event_name == "ml.prediction"
    sent = {pair.key: pair.value for pair in record.attributes}
    assert sent["ml.prediction.id"].string_value == "first"
    assert [(pair.key, pair.value.int_value) for pair in sent["ml.prediction.features"].kvlist_value.values] == [("a", 1)]
