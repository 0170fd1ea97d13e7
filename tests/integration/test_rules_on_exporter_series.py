"""Alerts on quality, on the series that a real exporter publishes of real pairs: what it says of them is told to promtool."""

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from otel_ml.baseline import Baseline
from otel_ml_exporter.config import parse
from otel_ml_exporter.outcomes.tables import Outcome, Prediction
from otel_ml_exporter.service import Exporter

RULES = Path(__file__).parents[2] / "alert_rules" / "quality.yaml"
ROWS = 3_000
HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture
def assert_firing(tmp_path):
    """Which alerts of a name fire, by score, estimate and segment, when the exporter has said for two hours what it says now."""

    def check(exporter, name, *expected):
        series = [
            {"series": labels, "values": f"{value}x120"}
            for line in b"".join(exporter.collector.text()).decode().splitlines()
            if not line.startswith("#")
            for labels, _, value in [line.rpartition(" ")]
        ]
        asked = {
            "expr": f'group by (ml_metric, ml_estimate, ml_segment) (ALERTS{{alertname="{name}", alertstate="firing"}})',
            "eval_time": "2h",
            "exp_samples": [{"labels": _written(labels), "value": 1} for labels in expected],
        }
        story = {
            "rule_files": [str(RULES)],
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}],
        }
        (tmp_path / "story.yaml").write_text(yaml.safe_dump(story), encoding="utf-8")
        program = shutil.which("promtool")
        assert program, "promtool is not on the PATH; install Prometheus (Debian package: prometheus)"
        result = subprocess.run([program, "test", "rules", tmp_path / "story.yaml"], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr

    return check


@pytest.fixture
def price(tmp_path):
    """Make an exporter that watches a regression, with pairs made `age` seconds ago and known now; its error is 10 on average."""
    made = []
    rng = np.random.default_rng(6)
    predicted = rng.normal(100, 20, ROWS)
    truth = predicted + rng.laplace(0, 10, ROWS)
    baseline = Baseline.from_data(predicted[:, None], model="price", version="1", predictions=predicted, task="regression")
    baseline.save(tmp_path / "price.json")

    def make(*, age=60.0, **settings):
        exporter = Exporter(parse({"store": ":memory:", "models": [{"baseline": "price.json", **settings}]}, tmp_path))
        made.append(exporter)
        now = time.time()
        segments = np.where(np.arange(ROWS) % 2, "eu", "us")
        exporter.outcomes.keep(
            [
                Prediction("price", "1", str(i), now - age, None, float(p), None, 1.0, str(s))
                for i, (p, s) in enumerate(zip(predicted, segments, strict=True))
            ],
            [Outcome("price", str(i), repr(float(y)), now - 60) for i, y in enumerate(truth)],
        )
        exporter.tick(now)
        return exporter

    yield make
    for exporter in made:
        exporter.close()


def _written(labels):
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def test_a_regression_pages_when_its_whole_interval_is_over_the_stated_error(price, assert_firing):
    exporter = price(thresholds={"performance_mae": 9})
    assert_firing(exporter, "ModelAccuracyBelowFloor", {"ml_metric": "mae", "ml_estimate": "realized"})


def test_every_stated_limit_of_a_regression_is_held(price, assert_firing):
    exporter = price(thresholds={"performance_mae": 20, "performance_rmse": 12, "performance_r2": 0.9})
    assert_firing(exporter, "ModelAccuracyBelowFloor", *({"ml_metric": metric, "ml_estimate": "realized"} for metric in ("rmse", "r2")))


def test_without_a_stated_limit_no_error_is_too_large(price, assert_firing):
    assert_firing(price(), "ModelAccuracyBelowFloor")


def test_where_labels_have_a_declared_delay_the_cohort_is_judged(price, assert_firing):
    limits = {"thresholds": {"performance_mae": 9}, "label_delay": "1d"}
    assert_firing(price(age=HOUR, **limits), "ModelAccuracyBelowFloor")
    assert_firing(price(age=DAY + HOUR, **limits), "ModelAccuracyBelowFloor", {"ml_metric": "mae", "ml_estimate": "cohort"})
