"""The scores that a real Prometheus records are those of `otel_ml.stats`, on the counts it recorded."""

import math
import time
from collections import defaultdict

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from otel_ml import catalogue as names
from otel_ml import stats
from otel_ml.stats.distance import SMOOTHING
from otel_ml_exporter.mixin.knobs import Knobs
from otel_ml_exporter.mixin.render import render, write
from support import eventually, running_prometheus

pytestmark = pytest.mark.e2e

KNOBS = Knobs(
    short_window="4s",
    middle_window="8s",
    long_window="12s",
    score_interval="1s",
    scrape_interval="200ms",
    minimum_samples=200,
    minimum_outcomes=200,
)
BINS = ["00 (-inf, 30]", "01 (30, 60]", "02 (60, inf]", names.MISSING, names.OTHER]
CONFIDENCES = ["00 (-inf, 0.25]", "01 (0.25, 0.75]", "02 (0.75, inf]", names.MISSING, names.OTHER]
CLASSES = ["no", "yes", names.MISSING, names.OTHER]
BASELINE = {
    (names.SIGNAL_FEATURE, "age"): dict(zip(BINS, [500, 300, 200, 0, 0], strict=True)),
    (names.SIGNAL_FEATURE, 'in "come"'): dict(zip(BINS, [40, 30, 20, 10, 0], strict=True)),
    (names.SIGNAL_FEATURE, "region"): {"north": 700, "south": 300, names.MISSING: 0, names.OTHER: 0},
    (names.SIGNAL_PREDICTION, ""): dict(zip(CLASSES, [800, 200, 0, 0], strict=True)),
    (names.SIGNAL_CONFIDENCE, ""): dict(zip(CONFIDENCES, [500, 300, 200, 0, 0], strict=True)),
    (names.SIGNAL_OUTLIER, ""): dict(zip(BINS[:2], [990, 10], strict=True)),
}
"""Counts in the baseline; of models `churn` and `digits` alike."""
RATES = {
    (names.SIGNAL_FEATURE, "age"): {BINS[0]: 100, BINS[1]: 300},
    (names.SIGNAL_FEATURE, 'in "come"'): {BINS[0]: 160, BINS[1]: 120, BINS[2]: 80, names.MISSING: 40},
    (names.SIGNAL_FEATURE, "region"): {"north": 200, "south": 120, names.OTHER: 80},
    (names.SIGNAL_PREDICTION, ""): {"no": 300, "yes": 100},
    (names.SIGNAL_CONFIDENCE, ""): {CONFIDENCES[0]: 100, CONFIDENCES[1]: 200, CONFIDENCES[2]: 100},
    (names.SIGNAL_OUTLIER, ""): {BINS[0]: 396, BINS[1]: 4},
}
"""Rows a second of one replica; bins that are not named have no series."""
OUTCOMES = {CONFIDENCES[0]: (100, 0, 10), CONFIDENCES[1]: (200, 90, 100), CONFIDENCES[2]: (100, 70, 90)}
"""Pairs, positives and sums of confidence a second; the first bin has no series of positives."""
RELIABILITY = {CONFIDENCES[0]: 0.1, CONFIDENCES[1]: 0.4, CONFIDENCES[2]: 0.85}
NOISE = {
    (names.SIGNAL_FEATURE, "age"): {"design_effect": 7.5, "degrees": 1.3, "key_effect": 20.0},
    (names.SIGNAL_PREDICTION, ""): {"design_effect": 3.0, "key_effect": 3.0},
}
"""What the baseline measured of rows that are not independent; nothing where a quantity is not named."""
ALPHA = 0.01 / 3
SPEED = {"churn": 1.0, "digits": 0.5, "quiet": 0.01}
TASKS = {"churn": "binary", "digits": "multiclass", "quiet": "binary"}
COUNTERS = {
    names.SIGNAL_FEATURE: names.FEATURE_OBSERVATIONS,
    names.SIGNAL_PREDICTION: names.PREDICTION_OBSERVATIONS,
    names.SIGNAL_CONFIDENCE: names.CONFIDENCE_OBSERVATIONS,
    names.SIGNAL_OUTLIER: names.OUTLIER_OBSERVATIONS,
}


def family(metric, values):
    """A metric with `values` by labels."""
    made = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}[metric.instrument]
    result = made(metric.prometheus.removesuffix("_total"), metric.brief, labels=metric.labels)
    for labels, value in values.items():
        result.add_metric(labels, value)
    return result


class Replica:
    """A model server whose counters move with time, and that restarts every `life` seconds."""

    def __init__(self, life):
        self.life, self.started = life, time.time()

    def collect(self):
        age = (time.time() - self.started) % self.life
        for signal, metric in COUNTERS.items():
            yield family(
                metric,
                {
                    (model, "3", "b1", *([feature] if feature else []), label): speed * rate * age
                    for model, speed in SPEED.items()
                    for (of, feature), rates in RATES.items()
                    if of == signal
                    for label, rate in rates.items()
                },
            )


class Exporter:
    """What the exporter publishes of the baselines and of outcomes; two replicas of it count the same outcomes."""

    def __init__(self):
        self.started = time.time()

    def collect(self):
        models = [(model, "3", "b1") for model in SPEED]
        yield family(names.BASELINE_INFO, {(*model, TASKS[model[0]]): 1 for model in models})
        yield family(
            names.BASELINE_SAMPLES, {(*model, *quantity): sum(bins.values()) for model in models for quantity, bins in BASELINE.items()}
        )
        yield family(
            names.BASELINE_BIN_RATIO,
            {
                (*model, *quantity, label): count / sum(bins.values())
                for model in models
                for quantity, bins in BASELINE.items()
                for label, count in bins.items()
            },
        )
        noise = {quantity: dict(NOISE.get(quantity, {})) for quantity in BASELINE}
        smoothing = {quantity: SMOOTHING * known.pop("key_effect", 1.0) for quantity, known in noise.items()}
        scale = {quantity: stats.psi_noise_scale(len(BASELINE[quantity]), alpha=ALPHA, **known) for quantity, known in noise.items()}
        for metric, found in ((names.BASELINE_SMOOTHING, smoothing), (names.BASELINE_NOISE_SCALE, scale)):
            yield family(metric, {(*model, *quantity): value for model in models for quantity, value in found.items()})
        yield family(names.BASELINE_CALIBRATION_RATIO, {(*model, label): share for model in models for label, share in RELIABILITY.items()})
        age = time.time() - self.started
        for index, metric in enumerate((names.OUTCOME_PAIRS, names.OUTCOME_POSITIVES, names.OUTCOME_CONFIDENCE_SUM)):
            moving = {
                (*model, label): SPEED[model[0]] * rates[index] * age
                for model in models
                for label, rates in OUTCOMES.items()
                if rates[index]
            }
            yield family(metric, moving)


@pytest.fixture(scope="module")
def targets():
    """Two replicas of the model servers, one of which restarts, and two of the exporter."""
    servers = []
    for source in (Replica(1e9), Replica(7.3), Exporter(), Exporter()):
        registry = CollectorRegistry()
        registry.register(source)
        servers.append(start_http_server(0, "127.0.0.1", registry))
    yield [f"127.0.0.1:{server.server_port}" for server, _ in servers]
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, targets):
    """A Prometheus with the rules of the scores; its HTTP API as a client."""
    directory = tmp_path_factory.mktemp("prometheus")
    write(render("rules", KNOBS), directory)
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
        "rule_files": [str(directory / "alert_rules" / "scores.yaml")],
        "scrape_configs": [{"job_name": "models", "static_configs": [{"targets": targets}]}],
    }
    with running_prometheus(directory, config) as client:
        yield client


def ask(client, query, at):
    answer = client.get("/api/v1/query", params={"query": query, "time": at}).json()
    assert answer["status"] == "success", answer
    return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]


@pytest.fixture(scope="module")
def recorded(prometheus):
    """What one evaluation recorded after the long window was full: label sets and values by record."""
    parts = "count_over_time(model_version_quantity_bin:ml_observations:increase_part[1m])"
    full = 5  # three make the long window; the first ones are of a Prometheus that just began to scrape
    eventually(lambda: any(value >= full for _, value in ask(prometheus, parts, time.time())), lambda: "nothing is recorded")
    time.sleep(2)
    found = defaultdict(list)
    for labels, value in ask(prometheus, '{__name__=~"model_version.*"}', time.time() - 1.5):
        found[labels.pop("__name__")].append((labels, value))
    return found


def window_counts(recorded, model, signal, feature, window):
    """The recorded counts per bin."""
    return {
        labels["ml_bin"]: value
        for labels, value in recorded[f"model_version_quantity_bin:ml_observations:increase{window}"]
        if (labels["ml_model_name"], labels["ml_signal"], labels.get("ml_feature_name", "")) == (model, signal, feature)
    }


def score(recorded, metric, model, window, *, feature="", **others):
    """One score as it is published, by the exporter's labels; None when it is absent."""
    level = "model_version_feature" if feature else "model_version"
    wanted = {"ml_model_name": model, "ml_model_version": "3", "window": window, **others}
    wanted |= {"ml_feature_name": feature} if feature else {}
    return only(recorded[f"{level}:{metric.prometheus}:promql"], wanted)


def only(recorded, wanted):
    """The value of the one series that has these labels, and perhaps more; None when there is none."""
    values = [value for labels, value in recorded if labels.items() >= wanted.items()]
    assert len(values) < 2
    return values[0] if values else None


METRICS = {
    names.SIGNAL_FEATURE: (names.FEATURE_PSI, names.FEATURE_PSI_NOISE_FLOOR),
    names.SIGNAL_PREDICTION: (names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR),
    names.SIGNAL_CONFIDENCE: (names.CONFIDENCE_PSI, names.CONFIDENCE_PSI_NOISE_FLOOR),
    names.SIGNAL_OUTLIER: (names.OUTLIER_PSI, names.OUTLIER_PSI_NOISE_FLOOR),
}


@pytest.mark.parametrize("window", [KNOBS.short_window, KNOBS.long_window])
@pytest.mark.parametrize("model", ["churn", "digits"])
@pytest.mark.parametrize(("signal", "feature"), BASELINE)
def test_psi_and_its_noise_floor_are_those_of_the_library(recorded, model, signal, feature, window):
    expected = BASELINE[signal, feature]
    counted = window_counts(recorded, model, signal, feature, window)
    assert counted.keys() == expected.keys()
    noise = NOISE.get((signal, feature), {})
    psi = stats.psi(list(expected.values()), [counted[label] for label in expected], alpha=ALPHA, **noise)
    wanted = {"ml_model_name": model, "ml_signal": signal} | ({"ml_feature_name": feature} if feature else {})
    value, floor = (only(recorded[f"model_version_quantity:{name}:window{window}"], wanted) for name in ("ml_psi", "ml_psi_noise_floor"))
    assert value == pytest.approx(psi.value, abs=1e-9)
    assert floor == pytest.approx(psi.noise_floor, rel=1e-9)


@pytest.mark.parametrize("window", [KNOBS.short_window, KNOBS.long_window])
def test_replicas_and_restarts_add_up_and_a_bin_without_a_series_counts_zero(recorded, window):
    length = float(window.removesuffix("s"))
    counted = window_counts(recorded, "churn", names.SIGNAL_FEATURE, "age", window)
    rates = RATES[names.SIGNAL_FEATURE, "age"]
    assert counted == {label: pytest.approx(2 * length * rates.get(label, 0), rel=0.3) for label in BINS}


@pytest.mark.parametrize("window", [KNOBS.short_window, KNOBS.middle_window, KNOBS.long_window])
@pytest.mark.parametrize("model", ["churn", "digits"])
def test_calibration_is_that_of_the_library(recorded, model, window):
    def sums(metric):
        record = f"model_version_bin:{metric.prometheus.removesuffix('_total')}:increase{window}"
        by_bin = {labels["ml_bin"]: value for labels, value in recorded[record] if labels["ml_model_name"] == model}
        return [by_bin[label] for label in OUTCOMES]

    ece = stats.ece(*map(sums, (names.OUTCOME_PAIRS, names.OUTCOME_POSITIVES, names.OUTCOME_CONFIDENCE_SUM)))
    assert ece.value == pytest.approx(0.1, rel=0.02)
    for metric, value in ((names.CALIBRATION_ECE, ece.value), (names.CALIBRATION_ECE_NOISE_FLOOR, ece.noise_floor)):
        found = only(recorded[f"model_version:{metric.prometheus}:window{window}"], {"ml_model_name": model})
        assert found == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("window", [KNOBS.short_window, KNOBS.long_window])
@pytest.mark.parametrize("model", ["churn", "digits"])
def test_the_estimated_accuracy_is_that_of_the_library(recorded, model, window):
    counted = window_counts(recorded, model, names.SIGNAL_CONFIDENCE, "", window)
    outcomes, positives = [1000] * 3, [1000 * share for share in RELIABILITY.values()]
    cbpe = stats.cbpe(outcomes, positives, [counted[label] for label in RELIABILITY], edges=[0.25, 0.75], binary=model != "digits")
    value = only(recorded[f"model_version:{names.PERFORMANCE.prometheus}:window{window}"], {"ml_model_name": model})
    assert value == pytest.approx(cbpe.value, abs=1e-9)


@pytest.mark.parametrize("window", [KNOBS.short_window, KNOBS.long_window])
@pytest.mark.parametrize("model", ["churn", "digits"])
def test_what_was_computed_is_published_under_the_labels_of_the_exporter(recorded, model, window):
    against = {"reference": names.REFERENCE_BASELINE}
    told = {
        score(recorded, metric, model, window, feature=feature, **against) is None
        for signal, feature in BASELINE
        for metric in METRICS[signal]
    }
    told |= {score(recorded, metric, model, window) is None for metric in (names.CALIBRATION_ECE, names.CALIBRATION_ECE_NOISE_FLOOR)}
    told.add(score(recorded, names.PERFORMANCE, model, window, ml_metric="accuracy", ml_estimate=names.ESTIMATE_CBPE) is None)
    assert told == {False}
    age = score(recorded, names.FEATURE_PSI, model, window, feature="age", **against)
    computed = {"ml_model_name": model, "ml_feature_name": "age"}
    assert age == pytest.approx(only(recorded[f"model_version_quantity:ml_psi:window{window}"], computed), rel=0.2)


def test_a_model_without_enough_samples_has_no_score(recorded):
    short = KNOBS.short_window
    assert math.isclose(sum(window_counts(recorded, "quiet", names.SIGNAL_FEATURE, "age", short).values()), 32, rel_tol=0.3)
    assert score(recorded, names.FEATURE_PSI, "quiet", short, feature="age", reference=names.REFERENCE_BASELINE) is None
    assert score(recorded, names.CALIBRATION_ECE, "quiet", short) is None
    assert score(recorded, names.PERFORMANCE, "quiet", short, ml_metric="accuracy", ml_estimate=names.ESTIMATE_CBPE) is None


def test_every_rule_is_healthy(prometheus):
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
