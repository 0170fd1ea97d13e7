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
