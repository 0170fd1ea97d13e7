"""Other references than the baseline: the stable version for a canary, the rest of the traffic for a segment."""

import time
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel_ml import catalogue as names
from otel_ml_exporter.baselines import Watched
from otel_ml_exporter.config import Window, parse
from otel_ml_exporter.counts import Segment, Series, gather
from otel_ml_exporter.evaluate import evaluate
from otel_ml_exporter.references import comparable, stable_counts
from otel_ml_exporter.service import Exporter
from otel_ml_exporter.sources.prometheus import query
from otel_ml_exporter.sources.roles import LASTS, ReportedRoles
from otel_ml_exporter.thresholds import Limits

LIMITS = Limits()
SHIFTED = {"0": 900.0, "1": 100.0}


def published(readings, metric, reference):
    return {labels[2:-1]: value for found, labels, value in readings if found is metric and labels[-1] == reference}


@pytest.fixture
def canary(baseline):
    """Another version with the same bins for all but one feature."""
    features = [
        replace(feature, histogram=replace(feature.histogram, edges=(1.0, 2.0), counts=(1, 1, 1, 0, 0)))
        if feature.name == "income"
        else feature
        for feature in baseline.features
    ]
    return replace(baseline, version="4", features=tuple(features))


def roles(**by_version):
    return lambda *baselines: {(b.model, b.version, b.fingerprint): by_version[f"v{b.version}"] for b in baselines}


def test_a_canary_is_compared_with_the_stable_version_in_the_bins_that_both_have(baseline, canary, counts):
    both = [Watched("a", baseline, LIMITS), Watched("b", canary, LIMITS)]
    theirs = counts(samples=2_000)
    ours = counts(version="4", baseline_id=canary.fingerprint, predictions=SHIFTED, features={"age": counts().features["age"]})
    known = roles(v3="stable", v4="canary")(baseline, canary)
    stable = stable_counts(both[1], both, [theirs, ours], known)
    assert set(stable.features) == {"age", "airport"}
    readings = evaluate(canary, [ours], "1h", LIMITS, stable=stable).readings
    assert published(readings, names.FEATURE_DRIFTED, "stable") == {("age", "1h"): 0}
    psi, floor = (published(readings, metric, "stable")["1h",] for metric in (names.PREDICTION_PSI, names.PREDICTION_PSI_NOISE_FLOOR))
    assert psi > floor
    confidence = published(readings, names.CONFIDENCE_PSI, "stable")["1h",]
    assert confidence == pytest.approx(0, abs=1e-3)
    assert published(readings, names.OUTLIER_PSI, "stable") == {}
    assert stable_counts(both[0], both, [theirs, ours], known) is None


@pytest.mark.parametrize("role", ["stable", "canary"])
def test_without_a_stable_version_there_is_nothing_to_compare_with(baseline, canary, counts, role):
    both = [Watched("a", baseline, LIMITS), Watched("b", canary, LIMITS)]
    known = roles(v3=role, v4=role)(baseline, canary)
    assert [stable_counts(watched, both, [counts()], known) for watched in both] == [None, None]
    assert stable_counts(both[1], both[1:], [counts()], roles(v3="stable", v4="shadow")(baseline, canary)) is None


def test_outputs_of_other_bins_are_not_compared(baseline, counts):
    other = replace(baseline, prediction=None, confidence=replace(baseline.confidence, edges=(0.5,), counts=(1, 1, 0, 0)))
    left = comparable(baseline, other, counts())
    assert (left.predictions, left.confidences, left.outliers, left.energies) == ({}, {}, {}, {})
    assert comparable(baseline, replace(baseline, confidence_measure="margin"), counts()).confidences == {}


def counted(metric, segment, bins):
    return [(Series(metric.name, "churn", "3", "id", segment, label), count) for label, count in bins.items()]


def test_segments_are_told_apart_and_their_sum_is_what_it_was(baseline):
    predictions = [
        *counted(names.PREDICTION_OBSERVATIONS, "eu", {"0": 3.0, "1": 1.0}),
        *counted(names.PREDICTION_OBSERVATIONS, "us", {"0": 2.0}),
    ]
    (found,) = gather([*predictions, *counted(names.CONFIDENCE_OBSERVATIONS, "", {"a": 5.0})])
    assert found.predictions == {"0": 5.0, "1": 1.0}
    assert found.confidences == {"a": 5.0}
    assert found.segments == {"eu": Segment({"0": 3.0, "1": 1.0}, {}), "us": Segment({"0": 2.0}, {})}


def test_a_segment_that_answers_otherwise_than_the_rest_is_over_its_floor(baseline, counts):
    usual = {"0": 500.0, "1": 500.0}
    segments = {"eu": Segment(usual, {}), "us": Segment(usual, {}), "odd": Segment(SHIFTED, {}), "small": Segment({"0": 99.0}, {})}
    ours = counts(segments=segments)
    readings = evaluate(baseline, [ours], "1h", LIMITS, rest=True).readings
    psi, floors = (
        published(readings, metric, "rest") for metric in (names.SEGMENT_PREDICTION_PSI, names.SEGMENT_PREDICTION_PSI_NOISE_FLOOR)
    )
    assert set(psi) == {("eu", "1h"), ("us", "1h"), ("odd", "1h")}
    assert psi["odd", "1h"] > 10 * floors["odd", "1h"]
    assert published(evaluate(baseline, [ours], "1h", LIMITS).readings, names.SEGMENT_PREDICTION_PSI, "rest") == {}
    strange = counts(segments={"eu": Segment({"no such bin": 500.0}, {}), "us": Segment(usual, {})})
    assert published(evaluate(baseline, [strange], "1h", LIMITS, rest=True).readings, names.SEGMENT_PREDICTION_PSI, "rest") == {}


def info(role, version="4"):
    request = ExportMetricsServiceRequest()
    point = request.resource_metrics.add().scope_metrics.add().metrics.add(name=names.MODEL_INFO.name).gauge.data_points.add(as_int=1)
    for key, value in ((names.MODEL_NAME, "churn"), (names.MODEL_VERSION, version), (names.BASELINE_ID, "id"), (names.MODEL_ROLE, role)):
        point.attributes.add(key=key).value.string_value = value
    return request


def test_a_role_over_otlp_is_the_one_that_was_reported_last_and_is_forgotten():
    reported = ReportedRoles()
    for role, now in (("canary", 0.0), ("stable", 60.0), ("king", 61.0)):
        reported.take(info(role), now)
    assert reported.at(60.0 + LASTS) == {("churn", "4", "id"): "stable"}
    assert reported.at(61.0 + LASTS) == {}


def test_prometheus_is_asked_for_segments_only_where_they_are_wanted():
    window = Window("1h", 3_600)
    assert "ml_segment" not in query(names.PREDICTION_OBSERVATIONS, window)
    assert "ml_segment" in query(names.PREDICTION_OBSERVATIONS, window, segments=True)


@pytest.mark.parametrize("asked", [{}, {"references": ["baseline", "stable", "rest"]}])
def test_the_exporter_compares_a_canary_that_reports_over_otlp(baseline, canary, counts, report, tmp_path, asked):  # noqa: PLR0917
    """As it is unless told otherwise: a rule of the pack reads the comparison."""
    for number, version in enumerate((baseline, canary)):
        version.save(tmp_path / f"{number}.json")
    document = {"store": ":memory:", **asked, "models": [{"baseline": "*.json"}]}
    exporter = Exporter(parse(document, tmp_path))
    for version, bins in ((baseline, {"0": 500.0, "1": 500.0}), (canary, SHIFTED)):
        values = {(names.PREDICTION_OBSERVATIONS.name, ((names.BIN, label), (names.SEGMENT, "eu"))): count for label, count in bins.items()}
        exporter.otlp.receive(report(values, version=version.version, baseline_id=version.fingerprint, instance=version.version))
        message = info("stable" if version is baseline else "canary", version.version)
        for entry in message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].attributes:
            if entry.key == names.BASELINE_ID:
                entry.value.string_value = version.fingerprint
        exporter.otlp.receive(message)
    exporter.tick(time.time())
    found = {
        labels: value for metric, labels, value in exporter.collector._readings if metric is names.PREDICTION_PSI and labels[-1] == "stable"
    }
    assert set(found) == {("churn", "4", "1h", "stable"), ("churn", "4", "24h", "stable")}
    assert min(found.values()) > 0.5
    exporter.close()
