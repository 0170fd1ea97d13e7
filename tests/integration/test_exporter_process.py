"""The exporter as a process of its own: real OpenTelemetry SDK exporters push into it, real clients read it, and it is killed."""

import gzip
import json
import signal
import subprocess
import sys
import time
import zlib

import httpx
import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client.parser import text_string_to_metric_families

from otel_ml import Monitor, stats
from otel_ml import catalogue as names
from otel_ml.baseline import Baseline
from support import free_port

pytestmark = pytest.mark.e2e

COMMAND = """
import argparse, sys
from otel_ml.errors import OtelMLError
from otel_ml_exporter.cli.exporter import add_parser
parser = argparse.ArgumentParser()
add_parser(parser.add_subparsers(required=True))
args = parser.parse_args()
try:
    sys.exit(args.run(args))
except OtelMLError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def command(*arguments):
    return [sys.executable, "-c", COMMAND, "exporter", "run", *map(str, arguments)]


class Running:
    """An exporter in a directory with a configuration and a baseline; it can be killed and started again."""

    def __init__(self, directory, baseline):
        self.directory = directory
        self.log = directory / "log"
        self.url = f"http://127.0.0.1:{free_port()}"
        baseline.save(directory / "churn.json")
        self.config = directory / "exporter.yaml"
        self.write(f"listen: {self.url[7:]}\ninterval: 1s\nmodels: [{{baseline: churn.json}}, {{baseline: later-*.json}}]\n")

    def write(self, text):
        self.config.write_text(text)

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command("--config", self.config), stdout=log, stderr=log)
        self.until(lambda: self.get("/readyz").status_code == 200)

    def stop(self, how):
        self.process.send_signal(how)
        return self.process.wait(60)

    def get(self, path):
        try:
            return httpx.get(self.url + path, timeout=30)
        except httpx.TransportError:
            return httpx.Response(599)

    def until(self, holds, seconds=60.0):
        end = time.monotonic() + seconds
        while not (result := holds()):
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        return result

    def value(self, metric, **labels):
        """The value of one series, None where it is absent."""
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                if sample.name == metric.prometheus and labels.items() <= sample.labels.items():
                    return sample.value
        return None


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(5)
    score = rng.uniform(0, 1, 3_000)
    labels = (rng.uniform(0, 1, 3_000) < score).astype(int)
    ages = rng.uniform(18, 80, (3_000, 1))
    return Baseline.from_data(ages, model="churn", version="3", predictions=score, labels=labels, task="binary", feature_names=["age"])


@pytest.fixture
def exporter(tmp_path, baseline):
    running = Running(tmp_path, baseline)
    try:
        running.start()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop(signal.SIGKILL)


class Server:
    """A model server that counts `age` into the baseline's bins with the real SDK and pushes when it is told to."""

    def __init__(self, exporter, baseline, instance, fingerprint=None):
        sender = OTLPMetricExporter(f"{exporter.url}/v1/metrics", compression=Compression.Gzip)
        self._reader = PeriodicExportingMetricReader(sender, export_interval_millis=float("inf"))
        self._provider = MeterProvider([self._reader], resource=Resource.create({"service.instance.id": instance}))
        metric = names.FEATURE_OBSERVATIONS
        self._counter = self._provider.get_meter(names.SCOPE).create_counter(metric.name, metric.unit)
        self._info = self._provider.get_meter(names.SCOPE).create_gauge(names.MODEL_INFO.name, names.MODEL_INFO.unit)
        self._histogram = baseline.feature("age").histogram
        self._attributes = {
            names.MODEL_NAME: baseline.model,
            names.MODEL_VERSION: baseline.version,
            names.BASELINE_ID: fingerprint or baseline.fingerprint,
            names.FEATURE_NAME: "age",
        }
        served = (names.MODEL_NAME, names.MODEL_VERSION, names.BASELINE_ID)
        self._info.set(1, {key: self._attributes[key] for key in served} | {names.MODEL_ROLE: names.ROLE_STABLE})

    def count(self, *, bin_index=None, rows=100):
        for index, label in enumerate(self._histogram.labels[:-2]):
            chosen = rows if bin_index is None or index == bin_index else 0
            self._counter.add(chosen, {**self._attributes, names.BIN: label})

    def push(self):
        assert self._provider.force_flush(5_000)

    def close(self):
        self._provider.shutdown(1_000)


def test_counts_pushed_by_two_servers_become_one_verdict(exporter, baseline):
    servers = [Server(exporter, baseline, name) for name in "ab"]
    for server in servers:
        server.count(rows=100)
        server.push()
    exporter.until(lambda: exporter.value(names.WINDOW_SAMPLES, ml_signal="feature", window="1h") == 2_000)
    assert exporter.value(names.FEATURE_DRIFTED, ml_feature_name="age", window="1h") == 0
    servers[0].count(bin_index=0, rows=5_000)
    servers[0].push()
    exporter.until(lambda: exporter.value(names.FEATURE_DRIFTED, ml_feature_name="age", window="24h") == 1)
    assert exporter.value(names.FEATURE_PSI, window="1h") > 1
    assert exporter.value(names.EXPORTER_BASELINE_MISMATCHES, ml_model_name="churn") == 0
    for server in servers:
        server.close()


def test_counts_of_another_baseline_are_reported_and_not_compared(exporter, baseline):
    server = Server(exporter, baseline, "a", fingerprint="feedfeedfeedfeed")
    server.count()
    server.push()
    exporter.until(lambda: exporter.value(names.EXPORTER_BASELINE_MISMATCHES, ml_model_name="churn") == 1)
    assert exporter.value(names.FEATURE_PSI) is None
    server.close()
    log = exporter.log.read_text()
    assert "feedfeedfeedfeed" in log
    assert baseline.fingerprint in log


def test_a_kill_loses_no_count(exporter, baseline):
    server = Server(exporter, baseline, "a")
    server.count(rows=100)
    server.push()
    exporter.until(lambda: exporter.value(names.WINDOW_SAMPLES, ml_signal="feature", window="1h") == 1_000)
    server.count(rows=10)
    server.push()
    exporter.stop(signal.SIGKILL)
    exporter.start()
    server.count(rows=1)
    server.push()
    exporter.until(lambda: exporter.value(names.WINDOW_SAMPLES, ml_signal="feature", window="1h") == 1_110)
    server.close()


def test_sigterm_saves_what_came_and_ends_well(exporter, baseline):
    server = Server(exporter, baseline, "a")
    server.count(rows=100)
    server.push()
    assert exporter.stop(signal.SIGTERM) == 0
    exporter.start()
    exporter.until(lambda: exporter.value(names.WINDOW_SAMPLES, ml_signal="feature", window="1h") == 1_000)
    server.close()
    assert "stopped" in exporter.log.read_text()


def test_no_acknowledged_outcome_is_lost_in_a_kill(exporter, baseline):
    """Predictions come from a monitor, one by one and as a batch, outcomes as JSON; the process dies right after it acknowledged them."""
    provider = LoggerProvider(Resource.create({}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{exporter.url}/v1/logs")))
    predict = Monitor(baseline, events=True, prediction_ids="ids", logger_provider=provider).wrap(lambda rows, ids: rows[:, 0])
    scores = np.arange(120)[:, None] % 10 / 10 + 0.05
    ids = [f"p{index}" for index in range(120)]
    for row in range(10):
        predict(scores[row : row + 1], ids[row])
    predict(scores[10:], ids[10:])
    provider.shutdown()
    rows = [{"model": "churn", "prediction_id": f"p{index}", "label": int(index % 10 > 4)} for index in range(115)]
    answer = httpx.post(f"{exporter.url}/v1/outcomes", json=rows)
    exporter.stop(signal.SIGKILL)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 115, "results": {"matched": 115}, "rejected": []})
    exporter.start()
    exporter.until(lambda: exporter.value(names.WINDOW_SAMPLES, ml_signal="calibration", window="1h") == 115)
    assert exporter.value(names.OUTCOME_COVERAGE_RATIO, window="1h") == pytest.approx(115 / 120)
    assert exporter.value(names.CALIBRATION_ECE, window="1h") > 0.1
    assert exporter.value(names.OUTCOME_LAST_TIMESTAMP) == pytest.approx(time.time(), abs=60)


def test_a_baseline_that_appears_later_is_picked_up_and_one_that_goes_is_missed(exporter, baseline):
    assert exporter.value(names.EXPORTER_BASELINE_MISSING, file="later-*.json") == 1
    rows = np.random.default_rng(1).normal(size=(500, 1))
    Baseline.from_data(rows, model="other", version="1", feature_names=["x"]).save(exporter.directory / "later-1.json")
    exporter.until(lambda: exporter.value(names.BASELINE_INFO, ml_model_name="other") == 1)
    (exporter.directory / "churn.json").unlink()
    exporter.until(lambda: exporter.value(names.EXPORTER_BASELINE_MISSING, file="churn.json") == 1)
    assert exporter.value(names.BASELINE_INFO, ml_model_name="churn") is None


def test_the_http_face(exporter):
    """Limits, content types and the form of refusals, as OTLP over HTTP and RFC 9457 have them."""
    with httpx.Client(base_url=exporter.url) as client:
        assert client.get("/healthz").text == "ok\n"
        page = client.get("/")
        assert "churn" in page.text
        assert "://" not in page.text.replace(exporter.url, "")

        assert client.post("/v1/metrics", content=b"", headers=PROTOBUF).headers["content-type"] == "application/x-protobuf"
        assert client.post("/v1/logs", content=b"{}", headers=JSON).json() == {}

        broken = client.post("/v1/metrics", content=b"\xff\xff", headers=PROTOBUF)
        assert (broken.status_code, broken.headers["content-type"], broken.content[:2]) == (400, "application/x-protobuf", b"\x08\x03")
        assert client.post("/v1/logs", content=b"{", headers=JSON).json()["code"] == 3
        assert client.post("/v1/logs", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
        assert client.post("/v1/logs", content=b"x", headers={**PROTOBUF, "Content-Encoding": "br"}).status_code == 415
        assert client.post("/v1/logs", content=b"x", headers={**PROTOBUF, "Content-Encoding": "gzip"}).status_code == 400

        bomb = gzip.compress(bytes(17 << 20))
        assert len(bomb) < 100_000
        assert client.post("/v1/metrics", content=bomb, headers={**PROTOBUF, "Content-Encoding": "gzip"}).status_code == 413
        assert client.post("/v1/outcomes", content=bytes(17 << 20)).status_code == 413
        deflated = {**JSON, "Content-Encoding": "deflate"}
        assert client.post("/v1/metrics", content=zlib.compress(b"{}"), headers=deflated).status_code == 200

        mixed = client.post("/v1/outcomes", json=[{"model": "churn", "prediction_id": "a", "label": 1}, {"model": "churn"}])
        assert mixed.status_code == 200
        assert mixed.json()["accepted"] == 1
        assert {(entry["row"], entry["field"]) for entry in mixed.json()["rejected"]} == {(1, "prediction_id"), (1, "label")}
        none = client.post("/v1/outcomes", json={"model": "churn"})
        assert (none.status_code, none.headers["content-type"]) == (400, "application/problem+json")
        assert client.post("/v1/outcomes", content=b"{").json()["title"].startswith("the body is not JSON")
        assert client.get("/v1/outcomes").status_code == 405


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False)


def test_check_names_every_fault_and_missing_baselines(tmp_path, baseline):
    running = Running(tmp_path, baseline)
    checked = run("--config", running.config, "--check")
    assert checked.returncode == 0
    assert "later-*.json" in checked.stderr
    document = json.loads((tmp_path / "churn.json").read_text())
    (tmp_path / "churn.json").write_text(json.dumps({**document, "samples": 1}))
    broken = run("--config", running.config, "--check")
    assert broken.returncode == 1
    assert "fingerprint" in broken.stderr
    running.write("listen: nowhere\nmodel: []\n")
    faulty = run("--config", running.config, "--check")
    assert faulty.returncode == 1
    assert all(place in faulty.stderr for place in ("listen", "model: is unknown; did you mean models?", "models: is absent"))


def test_once_prints_a_table_and_says_drift_by_its_exit_code(exporter, baseline):
    server = Server(exporter, baseline, "a")
    server.count(rows=100)
    server.push()
    exporter.stop(signal.SIGTERM)
    stable = run("--config", exporter.config, "--once")
    assert stable.returncode == 0, stable.stderr
    assert stable.stdout.split("\n")[0].split() == ["model", "version", "window", "feature", "psi", "floor", "verdict", "samples"]
    psi = stats.psi(baseline.feature("age").histogram.counts, [100] * 10 + [0, 0])
    expected = ["churn", "3", "1h", "age", f"{psi.value:.4f}", f"{psi.noise_floor:.4f}", "stable", "1000"]
    assert stable.stdout.split("\n")[1].split() == expected
    exporter.start()
    server.count(bin_index=0, rows=5_000)
    server.push()
    server.close()
    exporter.stop(signal.SIGTERM)
    drifted = run("--config", exporter.config, "--once")
    assert drifted.returncode == 1
    assert "drift" in drifted.stdout


def test_an_address_in_use_is_said_in_words(exporter):
    second = run("--config", exporter.config)
    assert second.returncode == 1
    assert "cannot be used" in second.stderr
