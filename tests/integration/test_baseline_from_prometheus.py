"""`otel-ml baseline build --from-prometheus`, with a real Prometheus that scrapes a real monitor's counters."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest

from otel_ml import Baseline, Monitor
from otel_ml import catalogue as names
from otel_ml_exporter.cli import main
from support import eventually, running_prometheus

pytestmark = pytest.mark.e2e


class Exposition(BaseHTTPRequestHandler):
    """What prometheus_client knows of this process."""

    def do_GET(self):
        body = generate_latest(REGISTRY)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model that was given 3,000 rows, each older than 40; its baseline's file, and the Prometheus that counted them."""
    directory = tmp_path_factory.mktemp("history")
    random = np.random.default_rng(5)
    ages, score = random.uniform(18, 80, 3_000), random.random(3_000)
    data = {"age": ages, "plan": random.choice(["free", "paid"], 3_000)}
    baseline = Baseline.from_data(data, model="churn", version="3", predictions=score, labels=score > random.random(3_000))
    baseline.save(directory / "old.json")
    provider = MeterProvider([PrometheusMetricReader()])
    monitor = Monitor(baseline, meter_provider=provider)
    target = ThreadingHTTPServer(("127.0.0.1", 0), Exposition)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    scrape = {"job_name": "models", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{target.server_port}"]}]}
    metric = names.FEATURE_OBSERVATIONS.prometheus
    with running_prometheus(directory, {"scrape_configs": [scrape]}) as prometheus:

        def scraped(query, least):
            found = prometheus.get("/api/v1/query", params={"query": query}).json()["data"]["result"]
            return bool(found) and float(found[0]["value"][1]) >= least

        eventually(lambda: scraped(f'count_over_time({metric}{{ml_bin="__other__",ml_feature_name="plan"}}[5m])', 2), lambda: "no scrape")
        rows = [{"age": float(age), "plan": "free" if age < 60 else "gold"} for age in random.uniform(40, 80, 3_000)]
        monitor.wrap(lambda given: np.full(len(given), 0.9))(rows)
        eventually(lambda: scraped(f'sum({metric}{{ml_feature_name="age"}})', 3_000), lambda: "not counted")
        time.sleep(2.2)  # two more scrapes, so that the increase is in the middle of the range
        yield directory, str(prometheus.base_url).rstrip("/"), baseline
    target.shutdown()
    target.server_close()
    provider.shutdown()


def build(served, *options):
    directory, url, _ = served
    path = directory / "new.json"
    assert main(["baseline", "build", f"--from-prometheus={url}", "--range=5m", "-o", str(path), *options]) == 0
    return Baseline.load(path)


def test_what_was_served_becomes_the_counts_of_the_same_bins(served):
    directory, _, old = served
    new = build(served, f"--like={directory / 'old.json'}")
    age = new.feature("age")
    assert age.histogram.edges == old.feature("age").histogram.edges
    assert age.histogram.counts[:3] == (0, 0, 0)
    assert age.histogram.samples == pytest.approx(3_000, rel=0.3)  # increase() extrapolates to the ends of the range
    assert (age.minimum, age.maximum) == (old.feature("age").minimum, old.feature("age").maximum)
    assert new.feature("plan").histogram.counts[-1] > 1_000
    assert new.calibration == old.calibration
    assert new.prediction.counts[1] == pytest.approx(3_000, rel=0.3)
    assert new.prediction.counts[0] == 0
    assert new.fingerprint != old.fingerprint


def test_without_the_old_file_the_edges_are_those_of_the_labels(served, capsys):
    _, _, old = served
    new = build(served, "--model=churn", "--version=3")
    assert "feature plan: " in capsys.readouterr().err
    age = new.feature("age")
    assert age.histogram.labels == old.feature("age").histogram.labels
    assert age.histogram.edges == pytest.approx(old.feature("age").histogram.edges, rel=1e-5)
    assert age.minimum is None
    assert new.feature("plan").histogram.categories == ("free", "paid")
    assert (new.task, new.classes) == ("binary", old.classes)
    assert new.confidence.edges == old.confidence.edges


def test_a_model_that_prometheus_does_not_know_is_refused_with_those_it_knows(served, capsys):
    directory, url, _ = served
    options = [f"--from-prometheus={url}", "--range=5m", "-o", str(directory / "x.json"), "--model=fraud", "--version=1"]
    assert main(["baseline", "build", *options]) == 1
    assert "counted nothing of model fraud 1 in 5m; models it knows: churn 3" in capsys.readouterr().err


def test_another_baseline_than_the_served_one_is_refused_with_both_ids(served, capsys):
    directory, url, old = served
    other = Baseline.from_data({"age": [1, 2]}, model="churn", version="3")
    other.save(directory / "other.json")
    options = [f"--from-prometheus={url}", "--range=5m", "-o", str(directory / "x.json"), f"--like={directory / 'other.json'}"]
    assert main(["baseline", "build", *options]) == 1
    said = capsys.readouterr().err
    assert old.fingerprint in said
    assert other.fingerprint in said
    assert "give the file that the model is served with" in said


@pytest.mark.parametrize(
    ("url", "range_", "said"),
    [("http://127.0.0.1:1", "7d", "does not answer"), ("http://127.0.0.1:1", "week", "--range is 'week', not a duration; write it as")],
)
def test_a_server_that_is_not_there_and_a_range_that_is_none_are_refused(tmp_path, capsys, url, range_, said):
    options = ["--model=m", "--version=1", f"--range={range_}", "-o", str(tmp_path / "x.json")]
    assert main(["baseline", "build", f"--from-prometheus={url}", *options]) == 1
    assert said in capsys.readouterr().err
