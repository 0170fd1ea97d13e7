import numpy as np
import pandas as pd
import pytest

from otel_ml import Baseline, Monitor, testing


@pytest.fixture(scope="session")
def train():
    """500 rows: numbers with tied decimals, codes, text with gaps and booleans."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, 500).round(1),
            "visits": rng.integers(0, 5, 500),
            "plan": rng.choice(["basic", "pro", "trial"], 500),
            "active": rng.random(500) < 0.5,
        }
    )
    frame.loc[::50, "age"] = np.nan
    return frame


@pytest.fixture(scope="session")
def baseline(train):
    score = np.random.default_rng(1).random(len(train))
    return Baseline.from_data(train, model="churn", version="3", predictions=score, labels=score > 0.4)


@pytest.fixture(scope="session")
def numeric(train):
    """A baseline of the two numeric columns, in a binary model whose classes are no and yes."""
    score = np.random.default_rng(1).random(len(train))
    labels = np.where(score > 0.4, "yes", "no")
    return Baseline.from_data(train[["age", "visits"]], model="churn-numeric", version="3", predictions=score, labels=labels)


@pytest.fixture
def counted():
    """What a fresh monitor counts when a model is given `data` and answers `prediction`."""

    def count(baseline, data, prediction=None):
        monitor = Monitor(baseline)
        assert monitor.wrap(lambda _: prediction)(data) is prediction
        return testing.collect(monitor)

    return count


@pytest.fixture(autouse=True)
def _not_strict(monkeypatch):
    monkeypatch.delenv("OTEL_ML_STRICT", raising=False)
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
