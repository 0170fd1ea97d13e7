"""The HTTP API is what its description says: schemathesis sends what fits it and what does not to a real server."""

import subprocess
import sys

import httpx
import numpy as np
import pytest
import yaml

from otel_ml.baseline import Baseline
from support import end, eventually, free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def url(tmp_path):
    rows = np.random.default_rng(5).uniform(0, 1, (200, 1))
    Baseline.from_data(rows, model="churn", version="3", predictions=rows[:, 0]).save(tmp_path / "churn.json")
    url = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "exporter.yaml").write_text(
        yaml.safe_dump({"listen": url[7:], "store": ":memory:", "models": [{"baseline": "churn.json"}]})
    )
    command = [sys.executable, "-m", "otel_ml_exporter.cli", "exporter", "run", "--config", str(tmp_path / "exporter.yaml")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, (tmp_path / "log").read_text)
        yield url
    finally:
        end(process)


def test_requests_that_fit_the_description_and_that_do_not_are_answered_as_it_says(url, tmp_path):
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection"
    command = [
        "run",
        f"{url}/openapi.json",
        "--checks",
        checks,
        "--max-examples",
        "40",
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "1",
    ]
    ran = subprocess.run([sys.executable, "-m", "schemathesis.cli", *command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-2_000:]
