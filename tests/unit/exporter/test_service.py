"""The rhythm and the HTTP face around it: what is published when something fails, and that the page is safe to open."""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from otel_ml import catalogue as names
from otel_ml_exporter import database as database_module
from otel_ml_exporter import otlp_http
from otel_ml_exporter.config import parse
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.sources.roles import LASTS
from otel_ml_exporter.web import application


@pytest.fixture
def exporter(baseline, tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "PATIENCE", 0.2)
    baseline.save(tmp_path / "churn.json")
    exporter = Exporter(parse({"interval": "1s", "models": [{"baseline": "churn.json"}]}, tmp_path))
    yield exporter
    exporter.close()


@pytest.fixture
def taken(tmp_path, exporter):
    """Another process that holds the store."""
    other = sqlite3.connect(tmp_path / "otel-ml.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.rollback()
    other.close()


def request(exporter, method, path, **options):
    async def send():
        transport = httpx.ASGITransport(application(exporter))
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def published(exporter, metric):
    return {reading.labels: reading.value for reading in exporter.collector._readings if reading.metric is metric}


def test_a_tick_publishes_every_own_metric(exporter):
    exporter.tick(time.time())
    assert published(exporter, names.EXPORTER_SOURCE_UP) == {("otlp",): 1}
    assert published(exporter, names.EXPORTER_EVALUATION_ERRORS) == {(): 0}
    assert published(exporter, names.EXPORTER_BASELINE_MISSING) == {("churn.json",): 0}
    assert published(exporter, names.EXPORTER_BASELINE_MISMATCHES) == {("churn", "3"): 0}
    assert set(published(exporter, names.EXPORTER_POINTS_DROPPED)) == {("limit",), ("overflow",), ("unusable",)}
    assert published(exporter, names.EXPORTER_LAST_EVALUATION)[()] == pytest.approx(time.time(), abs=5)
    assert published(exporter, names.EXPORTER_EVALUATION_DURATION)[()] > 0


def test_a_mismatch_is_a_baseline_that_is_served_now_whatever_is_still_counted_in_the_window(exporter, baseline, report):
    age = (names.FEATURE_OBSERVATIONS.name, ((names.FEATURE_NAME, "age"), (names.BIN, baseline.feature("age").histogram.labels[0])))
    now = time.time()
    exporter.otlp.receive(report({age: 500}, baseline_id="old", time=1))
    exporter.tick(now)
    assert published(exporter, names.EXPORTER_BASELINE_MISMATCHES) == {("churn", "3"): 1}
    exporter.otlp.receive(report({age: 500}, baseline_id=baseline.fingerprint, instance="b", time=2))
    exporter.tick(now + 60)
    assert published(exporter, names.EXPORTER_BASELINE_MISMATCHES) == {("churn", "3"): 1}, "a rollout in progress serves both"

    later = now + LASTS + 60
    exporter.otlp._roles.take(report({}, baseline_id=baseline.fingerprint), later)
    exporter.tick(later)
    assert published(exporter, names.EXPORTER_BASELINE_MISMATCHES) == {("churn", "3"): 0}
    hour = exporter.otlp.read(exporter.config.windows, later)[exporter.config.windows[0]]
    assert {entry.baseline_id for entry in hour} == {"old", baseline.fingerprint}


def test_a_store_that_is_taken_is_a_source_that_is_down_and_asks_clients_to_come_again(exporter, taken, caplog):
    caplog.set_level("INFO")
    row = {"model": "churn", "prediction_id": "a", "label": 1}
    answer = request(exporter, "POST", "/v1/outcomes", json=row)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    attributes = {names.MODEL_NAME: "churn", names.PREDICTION_ID: "a", names.OUTCOME_LABEL: "1"}
    entries = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": names.EVENT_OUTCOME, "attributes": entries}]}]}]}
    assert request(exporter, "POST", "/v1/logs", json=logs).status_code == 503
    exporter.tick(time.time())
    assert published(exporter, names.EXPORTER_SOURCE_UP) == {("otlp",): 0}
    ready = request(exporter, "GET", "/readyz")
    assert ready.status_code == 503
    assert "locked" in ready.text
    taken.rollback()
    exporter.tick(time.time())
    assert published(exporter, names.EXPORTER_SOURCE_UP) == {("otlp",): 1}
    assert request(exporter, "GET", "/readyz").status_code == 200
    assert [message for message in caplog.messages if message.startswith("source: ")][-1] == "source: well again"


def test_not_ready_before_the_first_evaluation(exporter):
    assert request(exporter, "GET", "/readyz").status_code == 503
    assert request(exporter, "GET", "/").status_code == 200
    exporter.tick(time.time())
    assert request(exporter, "GET", "/readyz").status_code == 200


def test_more_requests_than_there_are_places_are_asked_to_come_again(exporter):
    async def crowd():
        transport = httpx.ASGITransport(application(exporter))
        enough = asyncio.Event()

        async def slow():
            await enough.wait()
            yield b"{}"

        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            send = [client.post("/v1/logs", content=slow(), headers={"Content-Type": "application/json"}) for _ in range(16)]
            waiting = [asyncio.create_task(entry) for entry in send]
            await asyncio.sleep(0.1)
            refused = await client.post("/v1/logs", content=b"{}", headers={"Content-Type": "application/json"})
            enough.set()
            return refused, [answer.status_code for answer in await asyncio.gather(*waiting)]

    refused, others = asyncio.run(crowd())
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, 8, "5")
    assert others == [200] * 16


def test_a_body_that_does_not_come_is_given_up(exporter, monkeypatch):
    monkeypatch.setattr(otlp_http, "PATIENCE", 0.1)

    async def never():
        await asyncio.sleep(60)
        yield b""

    assert request(exporter, "POST", "/v1/outcomes", content=never()).status_code == 408


def test_names_on_the_page_are_escaped(baseline, tmp_path):
    replace(baseline, model="<script>alert(1)</script>").save(tmp_path / "churn.json")
    exporter = Exporter(parse({"store": ":memory:", "models": [{"baseline": "churn.json"}, {"baseline": "<b>.json"}]}, tmp_path))
    exporter.tick(time.time())
    page = request(exporter, "GET", "/").text
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    exporter.close()


def test_the_rhythm_survives_a_fault_of_ours(exporter, monkeypatch):
    """A fault that nobody foresaw is counted, and the next evaluation publishes again."""
    faults = iter([RuntimeError("unforeseen")])
    load = exporter.baselines.load

    def fail_once():
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return load()

    monkeypatch.setattr(exporter.baselines, "load", fail_once)
    stop = threading.Event()
    thread = threading.Thread(target=exporter.run, args=(stop,))
    thread.start()
    end = time.monotonic() + 10
    while exporter.report is None and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    thread.join()
    assert published(exporter, names.EXPORTER_EVALUATION_ERRORS) == {(): 1}
    assert published(exporter, names.BASELINE_INFO)


def logs(baseline, count, time_unix):
    """Predictions of class 1 with a confidence of 0.9, and their outcomes."""
    predictions = [Prediction("churn", "3", f"p{i}", time_unix - 60, "1", None, 0.9, 1.0) for i in range(count)]
    return predictions, [Outcome("churn", f"p{i}", "1", time_unix) for i in range(count)]


def test_outcomes_become_performance_delays_and_counters_that_begin_at_zero(exporter, baseline):
    now = time.time()
    exporter.tick(now)
    assert set(published(exporter, names.OUTCOME_PAIRS).values()) == {0}
    assert len(published(exporter, names.OUTCOME_PAIRS)) == 15
    exporter.outcomes.keep(*logs(baseline, 120, now))
    exporter.tick(now + 1)
    assert published(exporter, names.PERFORMANCE)["churn", "3", "1h", "accuracy", "realized"] == 1
    assert published(exporter, names.PERFORMANCE_LOW)["churn", "3", "1h", "accuracy", "realized"] > 0.9
    assert published(exporter, names.OUTCOME_DELAY)["churn", "3", "1h", "0.5"] == pytest.approx(60, rel=0.05)
    label = baseline.confidence.labels[13]
    assert published(exporter, names.OUTCOME_POSITIVES)["churn", "3", baseline.fingerprint, label] == 120
    exporter.tick(now + 30 * 86_400)
    assert published(exporter, names.OUTCOME_COVERAGE_RATIO) == {}
    assert published(exporter, names.OUTCOME_PAIRS)["churn", "3", baseline.fingerprint, label] == 120


def test_a_window_is_compared_with_the_one_before_where_that_is_remembered(baseline, tmp_path, report):
    baseline.save(tmp_path / "churn.json")
    document = {"windows": ["1h"], "references": ["baseline", "previous"], "previous": "2h", "models": [{"baseline": "churn.json"}]}
    with closing(Exporter(parse(document, tmp_path))) as exporter:
        age = baseline.feature("age").histogram
        start = time.time()
        for hour in range(5):
            counts = {
                (names.FEATURE_OBSERVATIONS.name, ((names.FEATURE_NAME, "age"), (names.BIN, label))): 1_000 * (hour + 1)
                for label in age.labels[: 5 if hour < 4 else 10]
            }
            exporter.otlp.receive(report(counts, baseline_id=baseline.fingerprint, time=hour + 1))
            exporter.tick(start + 3_600 * hour)
        drifted = published(exporter, names.FEATURE_DRIFTED)
    assert drifted["churn", "3", "age", "1h", "previous"] == 1
    assert set(published(exporter, names.FEATURE_KS)) == {("churn", "3", "age", "1h", "baseline")}
