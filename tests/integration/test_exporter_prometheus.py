"""The exporter beside a real Prometheus that scrapes a real exposition."""

import asyncio
import time
from contextlib import ExitStack

import httpx
import numpy as np
import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from otel_ml_exporter.config import parse
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.sources.prometheus import PrometheusSource
from otel_ml_exporter.web import application
from support import eventually, running_prometheus

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def baseline():
    ages = np.random.default_rng(5).uniform(18, 80, (3_000, 1))
    return Baseline.from_data(ages, model="churn", version="3", feature_names=["age"])


@pytest.fixture
def replicas():
    """Two model servers, each a registry served over HTTP, with the counter of the feature at zero, a role and two segments."""
    metric, info, predictions = names.FEATURE_OBSERVATIONS, names.MODEL_INFO, names.PREDICTION_OBSERVATIONS
    servers = []
    for _ in range(2):
        registry = prometheus_client.CollectorRegistry()
        counter = prometheus_client.Counter(metric.prometheus, metric.brief, metric.labels, registry=registry)
        gauge = prometheus_client.Gauge(info.prometheus, info.brief, info.labels, registry=registry)
        gauge.labels("fraud", "7", "id", "binary", names.ROLE_CANARY).set(1)
        answers = prometheus_client.Counter(predictions.prometheus, predictions.brief, predictions.labels, registry=registry)
        for segment in ("eu", "us"):
            answers.labels("fraud", "7", "id", "yes", segment).inc(0)
        counter.answers = answers
        server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry=registry)
        servers.append((counter, server, thread))
    yield servers
    for _, server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def prometheus(tmp_path, replicas):
    """The API of a server that scrapes each second, and what stops it."""
    targets = [f"127.0.0.1:{server.server_port}" for _, server, _ in replicas]
    scrape = {"job_name": "models", "scrape_interval": "1s", "static_configs": [{"targets": targets}]}
    with ExitStack() as server:
        yield server.enter_context(running_prometheus(tmp_path, {"scrape_configs": [scrape]})), server.close


@pytest.fixture
def exporter(tmp_path, prometheus, baseline):
    baseline.save(tmp_path / "churn.json")
    source = {"prometheus": {"url": str(prometheus[0].base_url), "timeout": "5s"}}
    document = {"source": source, "windows": ["1m", "1h"], "store": ":memory:", "models": [{"baseline": "churn.json"}]}
    exporter = Exporter(parse(document, tmp_path))
    yield exporter
    exporter.close()


def scrapes(prometheus):
    """How often the counters were scraped until now."""
    query = f"sum(count_over_time({names.FEATURE_OBSERVATIONS.prometheus}[5m]))"
    result = prometheus.get("/api/v1/query", params={"query": query}).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0


def count(replicas, baseline, each):
    for index, label in enumerate(baseline.feature("age").histogram.labels):
        for counter, _, _ in replicas:
            counter.labels("churn", "3", baseline.fingerprint, "age", label).inc(each(index))
    for counter, _, _ in replicas:
        counter.answers.labels("fraud", "7", "id", "yes", "eu").inc(each(1))
        counter.answers.labels("fraud", "7", "id", "yes", "us").inc(3 * each(1))


def values(exporter, metric):
    return {
        sample.labels.get("window", ""): sample.value
        for family in text_string_to_metric_families(b"".join(exporter.collector.text()).decode())
        for sample in family.samples
        if sample.name == metric.prometheus
    }


def test_replicas_are_added_by_prometheus_and_a_dead_one_leaves_no_stale_score(exporter, prometheus, replicas, baseline, caplog):
    server, stop = prometheus
    count(replicas, baseline, lambda _: 0)
    eventually(lambda: scrapes(server) >= 48, lambda: "no scrape")
    count(replicas, baseline, lambda index: 2_000 if index == 0 else 100 if index < 10 else 0)
    before = scrapes(server)
    eventually(lambda: scrapes(server) >= before + 168, lambda: "no scrape of the new counts")

    assert exporter._source.roles(time.time()) == {("fraud", "7", "id"): names.ROLE_CANARY}
    told_apart = PrometheusSource(exporter.config.source, segments=True)
    (found,) = [
        entry for entry in told_apart.read(exporter.config.windows, time.time())[exporter.config.windows[0]] if entry.baseline_id == "id"
    ]
    told_apart.close()
    assert found.predictions["yes"] == pytest.approx(sum(part.predictions["yes"] for part in found.segments.values()))
    assert found.segments["us"].predictions["yes"] == pytest.approx(3 * found.segments["eu"].predictions["yes"], rel=0.01)

    report = exporter.tick(time.time())
    assert report.problem is None
    samples = {window.label: evaluation.samples for window, evaluation in report.models[0].windows.items()}
    assert samples["1m"] == pytest.approx(5_800, rel=0.25)
    assert values(exporter, names.FEATURE_DRIFTED) == {"1m": 1, "1h": 1}
    before = exporter._source.earlier(exporter.config.windows, time.time() - 1)
    assert {window.label: entries[0].baseline_id for window, entries in before.items()} == dict.fromkeys(("1m", "1h"), baseline.fingerprint)
    assert exporter._source.earlier(exporter.config.windows, time.time() - 7 * 86_400) == {}
    assert values(exporter, names.EXPORTER_SOURCE_UP) == {"": 1}
    assert values(exporter, names.EXPORTER_BASELINE_MISMATCHES) == {"": 0}

    stop()
    for _ in range(3):
        assert "does not answer" in exporter.tick(time.time()).problem
    assert values(exporter, names.FEATURE_DRIFTED) == values(exporter, names.WINDOW_SAMPLES) == {}
    assert values(exporter, names.EXPORTER_SOURCE_UP) == {"": 0}
    assert values(exporter, names.BASELINE_INFO) == {"": 1}
    assert values(exporter, names.EXPORTER_EVALUATION_ERRORS) == {"": 3}
    assert sum("does not answer" in record.getMessage() for record in caplog.records) == 1


def test_metrics_are_not_received_beside_prometheus(exporter):
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application(exporter)), base_url="http://exporter") as client:
            return await client.post("/v1/metrics", content=b"{}", headers={"Content-Type": "application/json"})

    answer = asyncio.run(ask())
    assert answer.status_code == 404
    assert "reads its counts from Prometheus" in answer.json()["message"]
