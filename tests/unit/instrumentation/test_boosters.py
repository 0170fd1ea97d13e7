"""XGBoost and LightGBM: boosters and their scikit-learn interface count once, whichever is called."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from otel_ml import Baseline
from otel_ml.instrumentation.lightgbm import LightGBMInstrumentor
from otel_ml.instrumentation.sklearn import SklearnInstrumentor
from otel_ml.instrumentation.xgboost import XGBoostInstrumentor

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")

QUIET = {"verbosity": -1}


@pytest.fixture(params=["xgboost", "lightgbm"])
def kit(request, problem):
    """An instrumentor, a classifier of its library, and a fitted booster with what it predicts from."""
    frame = pd.DataFrame(problem.X, columns=problem.names)
    if request.param == "xgboost":
        booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(frame, problem.y), 3)
        return XGBoostInstrumentor, xgboost.XGBClassifier(n_estimators=3), booster, xgboost.DMatrix(frame)
    booster = lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(frame, problem.y), 3)
    return LightGBMInstrumentor, lightgbm.LGBMClassifier(n_estimators=3, **QUIET), booster, frame


def test_a_booster_counts_its_inputs_and_predictions(watch, problem, baseline, kit):
    instrumentor, _, booster, data = kit
    watched = watch(instrumentor, baseline)
    answer = booster.predict(data)
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped) == (1, 200, {})
    assert churn.predictions["1"] == (answer >= 0.5).sum()
    assert {name: sum(bins.values()) for name, bins in churn.features.items()} == dict.fromkeys(problem.names, 200)


def test_the_estimator_counts_once_and_fitting_does_not(watch, problem, baseline, kit):
    instrumentor, estimator, _, _ = kit
    watched = watch(instrumentor, baseline)
    watch(SklearnInstrumentor)
    frame = pd.DataFrame(problem.X, columns=problem.names)
    cross_val_predict(estimator, frame, problem.y, cv=2, method="predict_proba")
    search = GridSearchCV(make_pipeline(StandardScaler().set_output(transform="pandas"), estimator), {}, cv=2).fit(frame, problem.y)
    estimator.fit(frame, problem.y, eval_set=[(frame, problem.y)])
    assert watched.models() == set()
    estimator.predict_proba(frame[:20])
    assert (watched["churn"].calls, watched["churn"].rows) == (1, 20)
    estimator.predict(frame[:5])
    assert (watched["churn"].calls, watched["churn"].rows) == (2, 25)
    search.predict_proba(frame)
    assert watched["churn"].calls == 2


def test_explanations_are_no_predictions(watch, problem, kit):
    instrumentor, _, booster, data = kit
    watched = watch(instrumentor)
    booster.predict(data, pred_contribs=True) if instrumentor is XGBoostInstrumentor else booster.predict(data, pred_contrib=True)
    assert watched.models() == set()


def test_margins_asked_for_by_position_are_no_predictions(watch, problem):
    booster = lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(problem.X, problem.y), 1)
    estimator = lightgbm.LGBMClassifier(n_estimators=1, **QUIET).fit(problem.X, problem.y)
    watched = watch(LightGBMInstrumentor)
    booster.predict(problem.X, 0, None, True)
    estimator.predict(problem.X, True)
    assert watched.models() == set()


def test_a_file_that_lightgbm_reads_by_itself_has_predictions_and_no_inputs(watch, problem, baseline, tmp_path):
    booster = lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(problem.X, problem.y), 1)
    watched = watch(LightGBMInstrumentor, baseline)
    np.savetxt(tmp_path / "rows.csv", np.column_stack([problem.y, problem.X]), delimiter=",")
    for file in (tmp_path / "rows.csv", str(tmp_path / "rows.csv")):
        booster.predict(file)
    churn = watched["churn"]
    assert (churn.calls, churn.rows, sum(churn.predictions.values()), churn.features, churn.dropped) == (2, 400, 400, {}, {})


def test_a_fault_while_reading_is_counted_for_the_model(watch, problem, baseline, monkeypatch):
    class Broken(xgboost.DMatrix):
        def get_data(self):
            raise RuntimeError("no data")

    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(problem.X, problem.y), 1)
    monkeypatch.delenv("OTEL_ML_STRICT")
    watched = watch(XGBoostInstrumentor, baseline)
    assert booster.predict(Broken(problem.X)).shape == (200,)
    assert watched["churn"].errors == {"RuntimeError": 1}


@pytest.mark.parametrize("told", [True, False])
def test_categories_in_a_matrix_of_xgboost_are_the_values_they_stand_for_or_left_out(watch, problem, monkeypatch, told):
    """Before version 3.1 XGBoost does not tell."""
    plans = [None, *np.where(problem.y, "paid", "free")[1:]]
    frame = pd.DataFrame({"age": problem.X[:, 0], "plan": pd.Categorical(plans), "tier": pd.Categorical(problem.y + 3)})
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(frame, problem.y, enable_categorical=True), 1)
    watched = watch(XGBoostInstrumentor, Baseline.from_data(frame, model="plans", version="1"))
    if not told:
        monkeypatch.delattr(xgboost.DMatrix, "get_categories")
    booster.predict(xgboost.DMatrix(frame, enable_categorical=True))
    found = watched["plans"].features
    if not told:
        assert (found["plan"], sum(found["age"].values())) == ({"__missing__": 200}, 200)
        return
    expected = frame["plan"].value_counts().to_dict()
    assert found["plan"] == {**expected, "__missing__": 1}
    assert found["tier"] == frame["tier"].astype(str).value_counts().to_dict()


def test_uninstrument_puts_the_methods_back(watch, problem, kit):
    instrumentor, estimator, booster, _ = kit
    classes = (type(estimator), *type(estimator).__mro__[1:4], type(booster))
    before = [dict(vars(owner)) for owner in classes]
    watch(instrumentor)
    instrumentor().uninstrument()
    assert [dict(vars(owner)) for owner in classes] == before


def test_names_with_spaces_fit_though_lightgbm_writes_them_otherwise(watch, problem):
    frame = pd.DataFrame(problem.X, columns=["worst area", "worst age", "a b", "c d"])
    booster = lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(frame, problem.y), 1)
    watched = watch(LightGBMInstrumentor, Baseline.from_data(frame, model="spaced", version="1"))
    booster.predict(frame)
    assert sum(watched["spaced"].features["worst area"].values()) == 200


def test_a_matrix_of_xgboost_is_read_with_its_gaps_and_by_name(watch, problem, baseline):
    """The columns of the baseline are found whatever their order."""
    gaps = np.where(problem.X > 1.5, np.nan, problem.X)
    turned = pd.DataFrame(gaps, columns=problem.names)[problem.names[::-1]]
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(turned, problem.y), 2)
    watched = watch(XGBoostInstrumentor, baseline)
    booster.predict(xgboost.DMatrix(turned))
    by_name = watched["churn"].features
    assert {name: bins["__missing__"] for name, bins in by_name.items()} == dict(
        zip(problem.names, np.isnan(gaps).sum(axis=0), strict=True)
    )
    booster.inplace_predict(turned)
    assert watched["churn"].features == {name: bins + bins for name, bins in by_name.items()}
