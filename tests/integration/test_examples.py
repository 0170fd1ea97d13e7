"""Each example runs as its own head says, with a real server, and its predictions are counted once."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support import end, eventually, free_port, otlp_receiver

pytestmark = pytest.mark.timeout(600)

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {"fastapi_torch": "torch", "fastapi_onnxruntime": "skl2onnx", "gunicorn_xgboost": "xgboost"}
ROWS = re.compile(r'^ml_inference_rows_total\{.*ml_model_name="([^"]+)".*\} (\d+)', re.MULTILINE)


def commands(example):
    """From the head of an example: how it trains, its environment, and how it serves."""
    lines = [line.strip() for line in (EXAMPLES / f"{example}.py").read_text().split('"""')[1].splitlines()]
    exported = dict(pair.split("=", 1) for line in lines if line.startswith("export ") for pair in line.split()[1:])
    (train,) = [line for line in lines if line.startswith("python examples/train.py")]
    (serve,) = [line for line in lines if re.match(r"(opentelemetry-instrument |uvicorn )", line)]
    return train, exported, serve


@contextmanager
def running(example, folder, **environment):
    """The example's server in a copy of the examples; its address."""
    if (needed := NEEDS.get(example)) and not find_spec(needed):
        pytest.skip(f"{needed} is not installed")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("files"))
    train, exported, serve = commands(example)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **exported, **environment, "PATH": path}
    subprocess.run(shlex.split(train), cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    port = free_port()
    place = ["-b", f"127.0.0.1:{port}"] if "gunicorn" in serve else ["--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*shlex.split(serve), *place], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/docs").status_code == 200, (folder / "log").read_text, seconds=200)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


def ask(address, folder):
    """Predictions for the three rows that training left."""
    rows = json.loads((folder / "examples" / "files" / "rows.json").read_text())
    answer = httpx.post(f"{address}/predict", json=rows, timeout=30)
    assert answer.status_code == 200, answer.text
    scores = answer.json()
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("example", ["fastapi_sklearn", "fastapi_decorator", "fastapi_onnxruntime", "fastapi_torch"])
def test_a_fastapi_service_is_scraped(example, tmp_path):
    metrics = free_port()
    with running(example, tmp_path, OTEL_EXPORTER_PROMETHEUS_PORT=str(metrics)) as address:
        ask(address, tmp_path)
        ask(address, tmp_path)
        page = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
    assert dict(ROWS.findall(page)) == {"tumour": "6"}
    assert page.count("ml_inference_duration_seconds_count{") == 1
    features = re.findall(r'^ml_feature_observations_total\{.*ml_feature_name="worst area".*\} (\d+)', page, re.MULTILINE)
    assert sum(map(int, features)) == 6


def test_the_workers_of_gunicorn_push_what_they_counted(tmp_path):
    """Every request is counted by the one worker that answered it; the parent counts nothing."""
    with otlp_receiver() as (url, bodies):
        with running("gunicorn_xgboost", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_METRIC_EXPORT_INTERVAL="500") as address:
            for _ in range(10):
                ask(address, tmp_path)
            eventually(lambda: sum(rows_by_instance(bodies).values()) == 30, (tmp_path / "log").read_text)
        counted = rows_by_instance(bodies)
    assert sum(counted.values()) == 30
    assert len(counted) >= 2


def rows_by_instance(bodies):
    """The last count of rows that each process has sent."""
    counted = {}
    for path, body in list(bodies):
        assert path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            instance = next(pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.instance.id")
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics if metric.name == "ml.inference.rows"):
                counted[instance] = sum(point.as_int for point in metric.sum.data_points)
    return counted
