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
ROWS = 6_000
SEGMENTS = np.where(np.arange(ROWS) % 5, "eu", "us")
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
def running(tmp_path):
    """Make an exporter that watches a model, with pairs of it whose predictions are `age` seconds old and whose outcomes are new."""
    made = []

    def make(baseline, answers, truths, *, age=60.0, **settings):
        baseline.save(tmp_path / "model.json")
        exporter = Exporter(parse({"store": ":memory:", "models": [{"baseline": "model.json", **settings}]}, tmp_path))
        made.append(exporter)
        now = time.time()
        predictions = [
            Prediction(baseline.model, baseline.version, str(i), now - age, *answer, 1.0, SEGMENTS[i]) for i, answer in enumerate(answers)
        ]
        exporter.outcomes.keep(predictions, [Outcome(baseline.model, str(i), truth, now - 60) for i, truth in enumerate(truths)])
        exporter.tick(now)
        return exporter

    yield make
    for exporter in made:
        exporter.close()


@pytest.fixture
def price(running):
    """A regression that is off by 10 on average, in segment `us` by as many times that."""
    rng = np.random.default_rng(6)
    predicted = rng.normal(100, 20, ROWS)
    errors = rng.laplace(0, 10, ROWS)
    baseline = Baseline.from_data(predicted[:, None], model="price", version="1", predictions=predicted, task="regression")

    def make(*, us=1.0, **settings):
        truths = predicted + np.where(SEGMENTS == "us", us, 1.0) * errors
        return running(baseline, [(None, number, None) for number in predicted.tolist()], map(str, truths.tolist()), **settings)

    return make


@pytest.fixture
def fraud(running):
    """A classifier that finds nine positives of ten, in segment `us` three; one row in ten is positive."""
    rng = np.random.default_rng(7)
    truths = rng.uniform(0, 1, ROWS) < 0.1
    found = truths & (rng.uniform(0, 1, ROWS) < np.where(SEGMENTS == "us", 0.3, 0.9))
    scores = np.where(found, 0.9, 0.1)
    baseline = Baseline.from_data(scores[:, None], model="fraud", version="1", predictions=scores, labels=truths.astype(int), task="binary")

    def make(**settings):
        answers = [(str(int(positive)), None, score) for positive, score in zip(found, scores.tolist(), strict=True)]
        return running(baseline, answers, map(str, truths.astype(int)), **settings)

    return make


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


def test_a_segment_that_errs_by_far_more_than_the_whole_files_a_ticket(price, assert_firing):
    assert_firing(price(), "ModelSegmentDegraded")
    assert_firing(price(us=4.0), "ModelSegmentDegraded", {"ml_metric": "mae", "ml_segment": "us"})


def test_a_segment_whose_positives_are_missed_is_seen_by_its_recall_where_that_is_stated(fraud, assert_firing):
    """Of rare positives the accuracy says little."""
    assert_firing(fraud(), "ModelSegmentDegraded")
    assert_firing(fraud(thresholds={"segment_recall_gap": 0.2}), "ModelSegmentDegraded", {"ml_metric": "recall", "ml_segment": "us"})


def test_a_segment_that_is_less_accurate_files_a_ticket(fraud, assert_firing):
    exporter = fraud(thresholds={"segment_gap": 0.02})
    assert_firing(exporter, "ModelSegmentDegraded", {"ml_metric": "accuracy", "ml_segment": "us"})
