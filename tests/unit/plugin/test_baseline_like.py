"""A baseline that keeps the bins of another version's, so that the two can be compared."""

import numpy as np
import pandas as pd
import pytest

from otel_ml import Baseline


def table(rows, seed, *, scale=1.0, plans=("free", "paid")):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 10 * scale, rows),
            "plan": rng.choice(plans, rows),
            "when": pd.date_range("2026-01-01", periods=rows, freq="h"),
        }
    )


@pytest.fixture(scope="module")
def old():
    return Baseline.from_data(table(2_000, 0), model="churn", version="3", predictions=np.random.default_rng(0).normal(size=2_000))


def build(data, old, **options):
    return Baseline.from_data(
        data, model="churn", version="4", predictions=np.linspace(0, 50, len(data)), task="regression", like=old, **options
    )


def test_bins_are_those_of_the_other_version_and_counts_its_own(old, tmp_path):
    new = build(table(1_000, 1, scale=3.0, plans=("paid", "gold")), old)
    for feature in old.features:
        assert new.feature(feature.name).histogram.labels == feature.histogram.labels
        assert new.feature(feature.name).histogram.samples == 1_000
    assert new.prediction.edges == old.prediction.edges
    counts = dict(zip(new.feature("plan").histogram.labels, new.feature("plan").histogram.counts, strict=True))
    assert counts["free"] == 0
    assert counts["__other__"] == pytest.approx(500, abs=60)
    assert new.feature("plan").vocabulary == ("free", "gold", "paid")
    assert new.feature("age").maximum > old.feature("age").maximum
    new.save(tmp_path / "new.json")
    assert Baseline.load(tmp_path / "new.json").fingerprint == new.fingerprint != old.fingerprint


def test_what_the_other_version_does_not_have_gets_bins_of_its_own(old):
    data = table(1_000, 1).assign(income=np.arange(1_000.0), plan=np.arange(1_000) % 3)
    new = build(data, old)
    assert len(new.feature("income").histogram.edges) == 9
    assert new.feature("plan").histogram.edges == (0.0, 1.0)


def test_classes_keep_the_order_that_the_other_version_gave_them():
    scores = np.tile([0.1, 0.9], 200)
    labels = np.where(scores > 0.5, "bad", "good")
    options = {"model": "churn", "predictions": scores, "labels": labels}
    old = Baseline.from_data(np.arange(400.0)[:, None], version="3", classes=["good", "bad"], **options)
    assert Baseline.from_data(np.arange(400.0)[:, None], version="4", like=old, **options).classes == ("good", "bad")


def test_batches_are_asked_for_importance_and_keep_bins_too(old):
    from otel_ml.baseline import Batch

    data = table(1_000, 2)
    new = Baseline.from_batches(
        lambda: [Batch(data, data["age"].to_numpy())],
        model="churn",
        version="4",
        task="regression",
        like=old,
        predict=lambda rows: rows["age"].to_numpy(),
    )
    assert new.feature("age").importance == 1
    assert new.feature("age").histogram.labels == old.feature("age").histogram.labels
