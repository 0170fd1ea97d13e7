"""`opentelemetry-instrument` watches a program that knows nothing of otel-ml, and imports no framework of its own accord."""

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("opentelemetry-instrument")
QUIET = {"OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}

PROGRAM = """
import numpy as np
from sklearn.linear_model import LogisticRegression

X = np.random.default_rng(0).normal(size=(50, 4))
model = LogisticRegression().fit(X, X[:, 0] > 0)
model.predict_proba(X)
"""


def run(code, **environment):
    path = os.pathsep.join([str(COMMAND.parent), os.environ["PATH"]])
    command = [COMMAND, "python", "-c", code]
    return subprocess.run(command, env={**os.environ, **QUIET, **environment, "PATH": path}, capture_output=True, text=True, check=False)


def test_a_program_is_watched_without_a_change():
    done = run(PROGRAM)
    assert done.returncode == 0, done.stderr
    (scope,) = [
        scope
        for resource in json.loads(done.stdout)["resource_metrics"]
        for scope in resource["scope_metrics"]
        if scope["scope"]["name"] == "otel_ml"
    ]
    (rows,) = [metric["data"]["data_points"] for metric in scope["metrics"] if metric["name"] == "ml.inference.rows"]
    assert [(point["attributes"]["ml.model.name"], point["value"]) for point in rows] == [("LogisticRegression", 50)]


def test_no_framework_is_imported_for_a_program_that_uses_none():
    done = run("import sys; print({'sklearn', 'xgboost', 'lightgbm', 'onnxruntime', 'torch', 'keras', 'mlflow'} & set(sys.modules))")
    assert done.stdout.startswith("set()"), done.stderr


def test_a_broken_file_of_models_stops_the_program_before_it_starts(tmp_path):
    (tmp_path / "models.json").write_text('{"models": [{"baseline": "nowhere.json"}]}')
    done = run("print('started')", OTEL_ML_MODELS=str(tmp_path / "models.json"))
    assert done.returncode == 2
    assert done.stderr.startswith("otel-ml: ")
    assert "Traceback" not in done.stderr
    assert "started" not in done.stdout
    assert "models[0].baseline: " in done.stderr
