"""A framework under watch, read back through a real SDK; and one small problem that every framework learns."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_ml import Baseline


class Watched:
    """What an SDK was told since the watch began."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def __getitem__(self, model):
        """`calls`, `failures`, `rows`, the monitor's `errors` by type, and the `features`, `predictions`, `dropped` rows and `outputs`, by bin or so."""
        found = SimpleNamespace(
            calls=0, failures=0, rows=0, errors={}, features={}, predictions=Counter(), dropped=Counter(), outputs=Counter(), version=None
        )
        for metric, point in self._points():
            attributes = point.attributes
            if attributes["ml.model.name"] != model:
                continue
            found.version = attributes["ml.model.version"]
            if metric == "ml.inference.duration":
                found.calls += point.count
                found.failures += point.count if "error.type" in attributes else 0
            elif metric == "ml.monitor.errors":
                found.errors[attributes["error.type"]] = point.value
            elif metric == "ml.inference.rows":
                found.rows += point.value
            elif metric == "ml.feature.observations" and point.value:
                found.features.setdefault(attributes["ml.feature.name"], Counter())[attributes["ml.bin"]] += point.value
            elif metric == "ml.prediction.observations" and point.value:
                found.predictions[attributes["ml.bin"]] += point.value
            elif metric == "ml.output.observations" and point.value:
                found.outputs[attributes["ml.output.name"]] += point.value
            elif metric == "ml.monitor.dropped" and point.value:
                found.dropped[attributes["ml.drop.reason"]] += point.value
        return found

    def models(self):
        """Those that have been called."""
        return {point.attributes["ml.model.name"] for metric, point in self._points() if metric == "ml.inference.duration"}

    def _points(self):
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else []:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    yield from ((metric.name, point) for point in metric.data.data_points)


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Instrument with a baseline, or a list of models, or neither; what is counted is the result."""
    started = []
    monkeypatch.setenv("OTEL_ML_STRICT", "1")

    def start(kind, baseline=None, models=None):
        if baseline is not None:
            baseline.save(tmp_path / "baseline.json")
            monkeypatch.setenv("OTEL_ML_BASELINE", str(tmp_path / "baseline.json"))
        if models is not None:
            (tmp_path / "models.json").write_text(json.dumps({"models": models}))
            monkeypatch.setenv("OTEL_ML_MODELS", str(tmp_path / "models.json"))
        watched = Watched()
        started.append(kind())
        started[-1].instrument(meter_provider=watched.provider)
        return watched

    yield start
    for instrumentor in started:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


NAMES = ("age", "income", "visits", "score")


@pytest.fixture(scope="session")
def problem():
    """200 rows of 4 features, and a label that hangs on two of them."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 4)).astype(np.float32)
    return SimpleNamespace(X=X, y=(X[:, 0] + X[:, 1] > 0).astype(int), names=list(NAMES))


@pytest.fixture(scope="session")
def baseline(problem):
    """Of that problem, with probabilities as predictions."""
    scores = np.random.default_rng(1).random(200)
    return Baseline.from_data(problem.X, model="churn", version="3", predictions=scores, labels=problem.y, feature_names=problem.names)


@pytest.fixture(scope="session")
def several(problem):
    """The baseline of a model with two outputs."""
    answers = {"kind": 1 / (1 + np.exp(-problem.X[:, 0])), "price": problem.X[:, 1] * 3}
    return Baseline.from_data(problem.X, model="several", version="1", predictions=answers, feature_names=problem.names)
