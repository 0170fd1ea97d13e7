"""A model with several outputs: each is compared with its own bins, and named."""

from dataclasses import replace

import numpy as np
import pytest

from otel_ml import Baseline, Monitor
from otel_ml import catalogue as names
from otel_ml_exporter.config import Window
from otel_ml_exporter.counts import Series, gather
from otel_ml_exporter.evaluate import evaluate
from otel_ml_exporter.references import comparable
from otel_ml_exporter.sources.prometheus import query
from otel_ml_exporter.thresholds import Limits

LIMITS = Limits()
AREA = np.random.default_rng(0).normal(80, 20, 1_000)


@pytest.fixture(scope="module")
def baseline():
    answers = {"sold": (AREA / 200).clip(0, 1), "price": AREA * 3, "rooms": AREA // 30}
    return Baseline.from_data({"area": AREA}, model="homes", version="1", predictions=answers)


def counted(baseline, answer):
    """What a source gathers of a monitor that answered so."""
    monitor = Monitor(baseline)
    monitor.wrap(lambda _: answer)({"area": AREA})
    layout, values = monitor._counts.layout, monitor._counts.read().tolist()
    part = {names.OUTPUT_OBSERVATIONS: names.OUTPUT_NAME, names.FEATURE_OBSERVATIONS: names.FEATURE_NAME}
    return gather(
        (
            Series(metric.name, "homes", "1", baseline.fingerprint, attributes.get(part.get(metric, ""), ""), attributes[names.BIN]),
            float(values[series.start + place]),
        )
        for metric, series in layout.series.items()
        if names.BIN in metric.attributes
        for place, attributes in enumerate(series.attributes)
    )


def scores(readings, metric=names.OUTPUT_PSI, reference="baseline"):
    return {labels[2]: value for found, labels, value in readings if found is metric and labels[-1] == reference}


def test_the_output_that_moved_is_named_and_no_other_moves(baseline):
    counts = counted(baseline, {"sold": (AREA / 200).clip(0, 1), "price": AREA * 4, "rooms": AREA // 30})
    found = evaluate(baseline, counts, "1h", LIMITS)
    psi, floor = (scores(found.readings, metric) for metric in (names.OUTPUT_PSI, names.OUTPUT_PSI_NOISE_FLOOR))
    assert psi["price"] > max(0.5, floor["price"])
    assert psi["rooms"] < floor["rooms"]
    assert next(value for metric, _, value in found.readings if metric is names.PREDICTION_PSI) < 0.01
    assert found.problems == ()


def test_few_answers_have_no_score_and_strange_bins_are_a_problem(baseline):
    (counts,) = counted(baseline, {"sold": AREA / 200, "price": AREA * 3, "rooms": AREA // 30})
    few = replace(counts, outputs={"price": {baseline.outputs[0].histogram.labels[0]: 5.0}})
    assert scores(evaluate(baseline, [few], "1h", LIMITS).readings) == {}
    strange = evaluate(baseline, [replace(counts, outputs={"price": {"castle": 500.0}})], "1h", LIMITS)
    assert strange.problems == ("output price: bin 'castle' is not in the baseline",)


def test_outputs_are_compared_with_other_references_where_they_have_the_same_bins(baseline):
    (counts,) = counted(baseline, {"sold": AREA / 200, "price": AREA * 3, "rooms": AREA // 30})
    readings = evaluate(baseline, [counts], "1h", LIMITS, previous=[counts]).readings
    assert set(scores(readings, reference="previous")) == {"price", "rooms"}
    other = replace(baseline, outputs=(replace(baseline.outputs[0], histogram=baseline.outputs[1].histogram), baseline.outputs[1]))
    assert set(comparable(baseline, other, counts).outputs) == {"rooms"}


def test_prometheus_is_asked_for_each_output_by_its_name():
    assert query(names.OUTPUT_OBSERVATIONS, Window("1h", 3600)) == (
        "sum by (ml_model_name, ml_model_version, ml_baseline_id, ml_output_name, ml_bin) (increase(ml_output_observations_total[3600s]))"
    )
