"""Permutation importance: what the model depends on, found by asking the model."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from otel_ml import Baseline, BaselineError

RANDOM = np.random.default_rng(11)
COLUMNS = {"strong": RANDOM.normal(size=600), "weak": RANDOM.normal(size=600), "unused": RANDOM.normal(size=600)}
SCORE = 1 / (1 + np.exp(-(3 * COLUMNS["strong"] + COLUMNS["weak"])))
LABELS = RANDOM.random(600) < SCORE


def logistic(strong, weak):
    return 1 / (1 + np.exp(-(3 * np.asarray(strong, float) + np.asarray(weak, float))))


def by_column(table):
    return logistic(table["strong"], table["weak"])


TABLES = {
    "pandas": (pd.DataFrame(COLUMNS), by_column),
    "duplicate index": (pd.DataFrame(COLUMNS, index=[0] * 600), by_column),
    "polars": (pl.DataFrame(COLUMNS), by_column),
    "pyarrow": (pa.table(COLUMNS), by_column),
    "columns": (COLUMNS, by_column),
    "records": (pd.DataFrame(COLUMNS).to_records(index=False), by_column),
    "array": (np.column_stack(list(COLUMNS.values())), lambda rows: logistic(rows[:, 0], rows[:, 1])),
    "dicts": (
        [dict(zip(COLUMNS, map(float, row), strict=True)) for row in zip(*COLUMNS.values(), strict=True)],
        lambda rows: [float(logistic(row["strong"], row["weak"])) for row in rows],
    ),
}


def weights(table, predict, **options):
    names = list(COLUMNS) if isinstance(table, np.ndarray) and table.dtype.names is None else None
    baseline = Baseline.from_data(table, model="m", version="1", predict=predict, feature_names=names, **options)
    return {feature.name: feature.importance for feature in baseline.features}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("labels", [None, LABELS], ids=["change", "loss"])
def test_a_model_is_asked_in_the_type_of_its_own_data_and_the_order_is_that_of_its_weights(kind, labels):
    found = weights(*TABLES[kind], labels=labels)
    assert found["strong"] > found["weak"] > found["unused"] == pytest.approx(0, abs=0.01)
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize("labels", [None, COLUMNS["strong"] * 10])
def test_a_regression_is_asked_by_its_values(labels):
    found = weights(pd.DataFrame(COLUMNS), lambda frame: frame["strong"] * 10 + frame["weak"], task="regression", labels=labels)
    assert found["strong"] > 0.8


@pytest.mark.parametrize("labels", [None, np.where(COLUMNS["strong"] > 0, "yes", "no")])
def test_a_model_that_names_classes_is_asked_by_its_answers(labels):
    found = weights(pd.DataFrame(COLUMNS), lambda frame: np.where(frame["strong"] > 0, "yes", "no"), labels=labels)
    assert found == {"strong": 1.0, "weak": 0.0, "unused": 0.0}


def test_what_the_user_says_is_important_is_not_asked_of_the_model():
    def never(_):
        raise AssertionError

    assert weights(pd.DataFrame(COLUMNS), never, importance={"weak": 2}) == {"strong": None, "weak": 1.0, "unused": None}


def test_a_model_that_ignores_its_input_has_no_importance():
    assert set(weights(COLUMNS, lambda table: np.full(len(table["weak"]), 0.5)).values()) == {None}


def test_time_and_key_are_not_given_to_the_model_and_large_data_are_sampled():
    seen = set()

    def predict(frame):
        seen.add((tuple(frame.columns), len(frame)))
        return frame["x"].to_numpy()

    frame = pd.DataFrame({"x": np.linspace(0, 1, 9_000), "when": np.arange(9_000)})
    Baseline.from_data(frame, model="m", version="1", predict=predict, time="when")
    assert seen == {(("x",), 5_000)}


def fail(_):
    raise KeyError("income")


@pytest.mark.parametrize(
    ("predict", "said"),
    [(fail, "predict: raised KeyError: 'income'"), (lambda _: [1.0], "predict: gave 1 predictions for 600 rows")],
)
def test_a_model_that_cannot_be_asked_is_a_fault_with_the_mend(predict, said):
    with pytest.raises(BaselineError, match="the data") as caught:
        weights(COLUMNS, predict)
    assert said in str(caught.value)
